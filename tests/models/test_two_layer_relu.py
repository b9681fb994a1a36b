import pytest
import torch

from expkit.models.two_layer_relu import TwoLayerReLU


def test_value_and_gradient_by_hand():
    model = TwoLayerReLU([2], width=4)
    model.hidden.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 1.0]])
    model.readout.data = torch.tensor([0.5, -0.5, 0.5, -0.5])
    output = model(torch.tensor([[2.0, 3.0]]))
    assert output.item() == 0.5 * 2 - 0.5 * 3 + 0 - 0.5 * 5
    output.sum().backward()
    # d f / d w_j = a_j x where the unit is active
    expected = torch.tensor([[1.0, 1.5], [-1.0, -1.5], [0.0, 0.0], [-1.0, -1.5]])
    assert torch.equal(model.hidden.grad, expected)
    assert model.readout.grad is None


def test_initial_weights_have_the_stated_distribution():
    torch.manual_seed(0)
    model = TwoLayerReLU([400], width=1000, init_scale=1e-3)
    assert model.hidden.std().item() == pytest.approx(1e-3, rel=0.01)
    assert model.hidden.mean().abs().item() < 1e-5
    assert model.readout.abs().unique().item() == pytest.approx(1000**-0.5)
    assert abs(model.readout.sign().sum().item()) < 4 * 1000**0.5


def test_a_task_with_more_outputs_is_refused():
    with pytest.raises(ValueError, match="one output"):
        TwoLayerReLU([4], n_outputs=10)
