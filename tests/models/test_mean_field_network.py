import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from expkit.models.mean_field_network import MeanFieldNetwork

PHI = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "identity": lambda z: z}


@pytest.mark.parametrize("activation", PHI)
def test_is_the_formula_in_numpy(activation):
    model = MeanFieldNetwork([6], n_outputs=2, width=5, activation=activation, gain=1.3, init_offset=0.4).double()
    x = torch.randn(7, 6, dtype=torch.float64)
    hidden = PHI[activation](1.3 / np.sqrt(6) * x.numpy() @ (model.hidden.detach().numpy() + 0.4).T)
    expected = hidden @ model.readout.detach().numpy().T / 5
    np.testing.assert_allclose(model(x).detach().numpy(), expected, rtol=1e-12)


def test_outputs_shrink_with_the_width_as_an_average_of_independent_terms():
    x = torch.randn(400, 8)
    spread = [MeanFieldNetwork([8], width=width)(x).std().item() for width in (100, 10_000)]
    assert spread[0] / spread[1] == pytest.approx(10, rel=0.3)


def test_training_with_an_offset_is_training_from_shifted_weights():
    def trained(model):
        optimizer = torch.optim.SGD(model.parameters(), lr=5.0)
        for _ in range(20):
            optimizer.zero_grad()
            (model(x) - y).square().mean().backward()
            optimizer.step()
        return model(x)

    x, y = torch.randn(20, 3, dtype=torch.float64), torch.randn(20, 1, dtype=torch.float64)
    beside = MeanFieldNetwork([3], width=4, init_offset=0.7).double()
    inside = MeanFieldNetwork([3], width=4).double()
    inside.load_state_dict(beside.state_dict())
    with torch.no_grad():
        inside.hidden += 0.7
    torch.testing.assert_close(trained(beside), trained(inside), rtol=1e-10, atol=0)


def test_stacked_runs_may_differ_in_offset_and_gain():
    offsets, gains = [0.0, -0.5, 2.0], [1.0, 1.5, 0.3]
    models = [MeanFieldNetwork([3], init_offset=o, gain=g).double() for o, g in zip(offsets, gains, strict=True)]
    parameters, _ = stack_module_state(models)
    x = torch.randn(9, 3, dtype=torch.float64)

    def loss(parameters, offset, gain):
        models[0].init_offset, models[0].gain = offset, gain
        return functional_call(models[0], parameters, (x,)).square().mean()

    numbers = torch.tensor(offsets, dtype=torch.float64), torch.tensor(gains, dtype=torch.float64)
    gradients = vmap(grad(loss))(parameters, *numbers)
    models[0].init_offset, models[0].gain = offsets[0], gains[0]
    for run, model in enumerate(models):
        model(x).square().mean().backward()
        torch.testing.assert_close(gradients["hidden"][run], model.hidden.grad, rtol=1e-12, atol=0)
        torch.testing.assert_close(gradients["readout"][run], model.readout.grad, rtol=1e-12, atol=0)


def test_images_are_flattened():
    model = MeanFieldNetwork([2, 3, 3])
    image = torch.randn(4, 2, 3, 3)
    assert torch.equal(model(image), model(image.flatten(1)))
