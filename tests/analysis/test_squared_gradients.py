"""Sums of squared per-example gradients, against one backward pass for each example and number."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from expkit.analysis import squared_gradients as module
from expkit.analysis.squared_gradients import squared_gradients
from expkit.models.mlp import MLP

N, D, K = 11, 6, 3


class Tied(nn.Module):
    """Uses one layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.readout = nn.Linear(D, D), nn.Linear(D, K)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(torch.tanh(self.inner(torch.tanh(self.inner(x)))))


class Sequences(nn.Module):
    """A linear layer at each of two positions, whose sum is read out."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.readout = nn.Linear(D // 2, 4), nn.Linear(4, K)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(torch.tanh(self.inner(x.view(-1, 2, D // 2))).sum(1))


def shared_weight() -> nn.Module:
    model = nn.Sequential(nn.Linear(D, D), nn.Tanh(), nn.Linear(D, D), nn.Tanh(), nn.Linear(D, K))
    model[2].weight = model[0].weight
    return model


LINEAR = {
    "perceptron": lambda: MLP([D], K, width=5, depth=2, activation="tanh"),
    "without biases": lambda: MLP([D], K, width=5, depth=1, bias=False),
}
OTHERS = {
    "layer norm": lambda: MLP([D], K, width=5, depth=1, norm="layernorm"),
    "a layer used twice": Tied,
    "positions": Sequences,
    "a weight shared by layers": shared_weight,
    "convolution": lambda: nn.Sequential(nn.Unflatten(1, (1, D)), nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(8, K)),
}


def numbers(output: Tensor) -> Tensor:
    log_probability = output.log_softmax(-1)
    return log_probability.detach().exp().sqrt() * log_probability


def one_after_the_other(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    named = dict(model.named_parameters())
    totals = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
    for example in x:
        for number in numbers(model(example[None]))[0]:
            gradients = torch.autograd.grad(number, list(named.values()), retain_graph=True)
            for name, gradient in zip(named, gradients, strict=True):
                totals[name] += gradient**2
    return totals


@pytest.mark.parametrize("make", [*LINEAR.values(), *OTHERS.values()], ids=[*LINEAR, *OTHERS])
def test_they_are_those_of_single_examples(make) -> None:
    torch.manual_seed(0)
    model, x = make().double().eval(), torch.randn(N, D, dtype=torch.float64)
    expected = one_after_the_other(model, x)
    with torch.no_grad():  # as interventions are called
        found = squared_gradients(model, [x], numbers, chunk=4)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name])
    assert not any(hooked._forward_hooks for hooked in model.modules())


@pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR)
def test_linear_layers_alone_need_no_gradient_of_a_single_example(make, monkeypatch) -> None:
    monkeypatch.setattr(module, "_one_by_one", None)
    squared_gradients(make(), [torch.randn(N, D)], numbers)
