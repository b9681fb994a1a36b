import math

import pytest
import torch

from expkit.models.mean_field_network import MeanFieldNetwork
from expkit.models.two_layer import TwoLayer
from expkit.models.two_layer_relu import TwoLayerReLU


def test_value_of_a_single_unit_by_hand():
    model = TwoLayer([2], width=1, activation="identity", curvature=0.5, scaling="mean_field", output_scale=3.0)
    model.hidden.data = torch.tensor([[1.0, -2.0]])
    model.readout.data = torch.tensor([[2.0]])
    h = (1.0 * 4.0 - 2.0 * 1.0) / math.sqrt(2)
    output = model(torch.tensor([[4.0, 1.0]]))
    assert output.item() == pytest.approx(3.0 * 2.0 * (h + 0.5 * h**2 / 2))


def test_without_scaling_and_with_a_small_readout_it_is_the_network_of_xor_clusters():
    model, other = TwoLayer([5], width=8, scaling="none"), TwoLayerReLU([5], width=8)
    other.hidden.data, other.readout.data = model.hidden.data, model.readout.data.squeeze(0)
    x = torch.randn(4, 5)
    torch.testing.assert_close(model(x), other(x))


def test_in_mean_field_scaling_it_is_the_mean_field_network():
    options = {"n_outputs": 3, "width": 8, "activation": "tanh"}
    model = TwoLayer([5], scaling="mean_field", readout="normal", **options)
    other = MeanFieldNetwork([5], gain=1.0, **options)
    other.load_state_dict({"hidden": model.hidden, "readout": model.readout})
    x = torch.randn(4, 5)
    torch.testing.assert_close(model(x), other(x))


def test_in_ntk_scaling_the_output_at_initialization_has_a_variance_that_width_does_not_change():
    """For relu, E f^2 = |x|^2 / 2d: the arc-cosine kernel at angle 0."""
    x = torch.randn(1, 20)
    for width in (10, 400):
        outputs = torch.stack([TwoLayer([20], width=width)(x).squeeze() for _ in range(3000)])
        assert float(outputs.detach().square().mean()) == pytest.approx(float(x.square().sum()) / 40, rel=0.12)


def test_the_output_scale_multiplies_the_tangent_kernel_by_its_square():
    x = torch.randn(3, 4)

    def kernel(scale):
        torch.manual_seed(1)
        model = TwoLayer([4], width=6, output_scale=scale)
        rows = [
            torch.cat([g.flatten() for g in torch.autograd.grad(f, list(model.parameters()), retain_graph=True)])
            for f in model(x).squeeze(1)
        ]
        return torch.stack(rows) @ torch.stack(rows).T

    torch.testing.assert_close(kernel(3.0), 9 * kernel(1.0))


@pytest.mark.parametrize(("readout", "moments"), [("ones", (1, 1)), ("signs", (0, 1)), ("normal", (0, 1))])
def test_the_readout_is_drawn_as_stated_and_trained_if_asked(readout, moments):
    model = TwoLayer([2], width=20_000, readout=readout, train_readout=False)
    mean, square = moments
    assert float(model.readout.mean()) == pytest.approx(mean, abs=0.03)
    assert float(model.readout.square().mean()) == pytest.approx(square, rel=0.03)
    model(torch.randn(3, 2)).sum().backward()
    assert model.readout.grad is None
    assert model.hidden.grad is not None


@pytest.mark.parametrize("wrong", [{"scaling": "half"}, {"readout": "zeros"}, {"activation": "rleu"}])
def test_unknown_names_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong.values()))):
        TwoLayer([2], **wrong)
