"""Spiking neurons against snntorch and by hand; delays by when a spike arrives and by finite differences."""

from __future__ import annotations

import copy
import math

import pytest
import snntorch
import torch
from torch.autograd import gradcheck
from torch.func import functional_call, grad, jvp, stack_module_state, vmap
from torch.nn import functional as F

from expkit.models.dcls_delay import DCLSDelay, causal_convolution
from expkit.models.lif import LIF, LeakyIntegrator
from expkit.models.snn import SNN
from expkit.models.surrogate_gradient import arctan_slope


def reference(current: torch.Tensor, tau: float, alpha: float) -> torch.Tensor:
    """snntorch's neuron, step by step."""
    neuron = snntorch.Leaky(1 - 1 / tau, spike_grad=snntorch.surrogate.atan(alpha), reset_mechanism="zero")
    potential, spikes = torch.zeros_like(current[..., 0]), []
    for now in current.unbind(-1):
        spike, potential = neuron(now, potential)
        spikes.append(spike)
    return torch.stack(spikes, -1)


@pytest.mark.parametrize("tau", [1.0, 1.5, 4.0])
def test_neurons_spike_and_pass_gradients_as_those_of_snntorch(tau) -> None:
    torch.manual_seed(0)
    current = torch.randn(3, 5, 40, requires_grad=True)
    spikes, expected = LIF(tau, alpha=5.0)(current), reference(current, tau, 5.0)
    assert 0.05 < float(expected.detach().mean()) < 0.5
    assert torch.equal(spikes, expected)
    direction = torch.randn_like(spikes)
    own, theirs = (torch.autograd.grad((out * direction).sum(), current)[0] for out in (spikes, expected))
    assert torch.allclose(own, theirs, atol=1e-6)


def test_a_neuron_by_hand() -> None:
    current = torch.tensor([0.8, 0.8, 0.8, 0.0, 1.2, 0.0])  # potentials 0.8, 1.2 (spike), 0.8, 0.4, 1.4 (spike), 0
    assert LIF(tau=2.0)(current).tolist() == [0, 1, 0, 0, 1, 0]
    assert torch.allclose(LeakyIntegrator(2.0)(current), torch.tensor([0.8, 1.2, 1.4, 0.7, 1.55, 0.775]))


def test_the_surrogate_gradient_is_a_bump_of_area_one_and_that_of_the_arctangent() -> None:
    at = torch.linspace(-2000, 2000, 400_001, dtype=torch.float64)
    assert float(torch.trapezoid(arctan_slope(at, 5.0), at)) == pytest.approx(1, abs=1e-3)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad((torch.atan(math.pi / 2 * 5 * x) / math.pi).sum(), x)
    assert torch.allclose(arctan_slope(x.detach(), 5.0), slope)


def test_the_convolution_agrees_with_that_of_torch() -> None:
    x, kernel = torch.randn(3, 4, 20).double(), torch.randn(5, 4, 7).double()
    expected = F.conv1d(F.pad(x, (6, 0)), kernel.flip(-1))
    assert torch.allclose(causal_convolution(x, kernel), expected)


def test_a_delayed_spike_arrives_when_it_should() -> None:
    layer = DCLSDelay(2, 1, max_delay=10, learned=True, scale=2.0).eval()
    layer.weight.data = torch.tensor([[1.5, -2.0]])
    layer.position.data = torch.tensor([[3.2, 0.4]]) / 2  # rounded: 3 steps and none
    x = torch.zeros(1, 2, 12)
    x[0, 0, 2], x[0, 1, 7] = 1, 1
    expected = torch.zeros(12)
    expected[5], expected[7] = 1.5, -2.0
    assert torch.allclose(layer(x)[0, 0], expected, atol=1e-6)
    layer.train().sigma.fill_(1.0)  # spread around 3.2, by a Gaussian whose mean is there
    layer.weight.data[0, 1] = 0
    arriving = layer(x)[0, 0] / 1.5
    assert float(arriving.sum()) == pytest.approx(1, abs=1e-5)
    assert float((arriving * torch.arange(12)).sum()) == pytest.approx(2 + 3.2, abs=0.02)
    layer.sigma.fill_(0.01)
    assert float(layer(x)[0, 0, 5]) == pytest.approx(1.5, abs=1e-5)


def test_the_gradient_of_a_position_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    layer = DCLSDelay(3, 4, max_delay=8, learned=True, sigma=1.3, scale=5.0).double()
    layer.position.data.uniform_(0.1, 1.3)
    x = torch.randn(2, 3, 15).double()

    def output(position, weight):
        return functional_call(layer, {"position": position, "weight": weight}, (x,))

    assert gradcheck(output, (layer.position, layer.weight))


def test_a_delay_beyond_the_end_can_come_back() -> None:
    layer = DCLSDelay(1, 1, max_delay=6, learned=True, sigma=1.0)
    layer.position.data.fill_(9.0)
    assert layer.delays.item() == 5
    target = torch.zeros(1, 1, 12)
    target[0, 0, 2] = 1
    x = torch.zeros(1, 1, 12)
    x[0, 0, 0] = 1
    (slope,) = torch.autograd.grad((layer(x) - target * layer.weight.detach()).square().sum(), layer.position)
    assert slope.item() > 0  # descent makes the delay shorter


def test_gradient_descent_finds_a_delay() -> None:
    torch.manual_seed(0)
    x = (torch.rand(64, 1, 40) < 0.1).float()
    layer = DCLSDelay(1, 1, max_delay=20, learned=True, sigma=6.0)
    layer.position.data.fill_(2.0)
    layer.weight.data.fill_(1.0)
    optimizer = torch.optim.Adam([{"params": [layer.position], "lr": 0.3}, {"params": [layer.weight], "lr": 0.01}])
    for step in range(200):
        layer.sigma.fill_(6 * (0.5 / 6) ** min(1, step / 100))
        optimizer.zero_grad()
        F.mse_loss(layer(x)[..., 13:], x[..., :-13]).backward()
        optimizer.step()
    assert layer.delays.item() == pytest.approx(13, abs=0.3)


@pytest.mark.parametrize("delays", ["none", "random", "learned"])
def test_stacked_networks_agree_with_a_loop(delays) -> None:
    torch.manual_seed(0)
    models = [SNN((4, 15), 3, width=6, delays=delays, max_delay=5, sigma=2.0).double() for _ in range(3)]
    x = 2 * torch.rand(8, 4, 15).double()
    parameters, buffers = copy.deepcopy(stack_module_state(models))
    trained = [name for name, parameter in models[0].named_parameters() if parameter.requires_grad]

    def loss(some, parameters, buffers):
        return functional_call(models[0], ({**parameters, **some}, buffers), (x,)).square().sum()

    some = {name: parameters[name] for name in trained}
    stacked = vmap(grad(loss))(some, parameters, copy.deepcopy(buffers))
    for number, model in enumerate(models):
        model(x).square().sum().backward()
        for name in trained:
            own = model.get_parameter(name).grad
            assert own.abs().max() > 0, name
            assert torch.allclose(stacked[name][number], own), name


def test_forward_mode_agrees_with_reverse_mode() -> None:
    torch.manual_seed(0)
    current, direction = torch.randn(4, 20).double(), torch.randn(4, 20).double()

    def total(x):
        return (LIF(2.0)(x) * torch.arange(20)).sum()

    forward = jvp(total, (current,), (direction,))[1]
    assert torch.allclose(forward, (grad(total)(current) * direction).sum())


def test_what_an_untrained_network_puts_out_is_a_vote_of_every_time_step() -> None:
    torch.manual_seed(0)
    model = SNN((4, 15), 3, width=6, delays="random", max_delay=5)
    output = model(2 * torch.rand(8, 4, 15))
    assert output.shape == (8, 3)
    assert torch.allclose(output.sum(1), torch.full((8,), 15.0))
    assert [tuple(layer.shape) for layer in model.spikes(torch.rand(8, 4, 15))] == [(8, 6, 15)] * 2
