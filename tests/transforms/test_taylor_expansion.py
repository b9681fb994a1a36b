"""The expansion against explicit derivatives, closed forms, and between the engines."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian, jacrev

from expkit.analysis.empirical_ntk import empirical_ntk
from expkit.errors import ConfigError
from expkit.models.linear import Linear
from expkit.models.mlp import MLP
from expkit.models.two_layer import TwoLayer
from expkit.records.record import Record
from expkit.transforms.taylor_expansion import TaylorExpansion
from support import train

X = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def mlp() -> nn.Module:
    torch.manual_seed(2)
    return MLP([4], 2, width=6, depth=2, activation="tanh").double()


def pair(model: nn.Module, order: int | None, step: float = 0.5, **options: bool) -> tuple[nn.Module, nn.Module]:
    """A model, and its expansion around where it was, both moved by the same random step."""
    expansion = TaylorExpansion(copy.deepcopy(model), order, **options)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for own, other in zip(model.parameters(), expansion.model.parameters(), strict=True):
            moved = step * torch.randn(own.shape, dtype=own.dtype, generator=generator)
            own += moved
            other += moved
    return model, expansion


@pytest.mark.parametrize("order", [1, 2])
def test_it_is_exact_for_a_model_that_is_linear_in_its_parameters(order):
    model, expansion = pair(Linear([4], 3).double(), order, step=10.0)
    torch.testing.assert_close(expansion(X), model(X))


def test_the_second_order_is_exact_for_a_product_of_two_layers():
    product = TwoLayer([4], 3, width=5, activation="identity").double()
    model, quadratic = pair(product, 2, step=10.0)
    torch.testing.assert_close(quadratic(X), model(X))


@pytest.mark.parametrize(("order", "slope"), [(1, 2), (2, 3)])
def test_the_error_falls_with_the_power_of_the_first_term_left_out(order, slope):
    steps = [0.04, 0.02, 0.01, 0.005]
    errors = []
    for step in steps:
        model, expansion = pair(mlp(), order, step)
        errors.append(float((model(X) - expansion(X)).norm().detach()))
    rises = [math.log(a / b) / math.log(2) for a, b in pairwise(errors)]
    assert rises[-1] == pytest.approx(slope, abs=0.1)


@pytest.mark.parametrize("order", [1, 2])
def test_terms_and_gradients_are_those_of_the_explicit_jacobian_and_hessian(order):
    start = mlp()
    initial = {name: value.detach().clone() for name, value in start.named_parameters()}
    moved_model, expansion = pair(start, order)
    sizes = {name: value.numel() for name, value in initial.items()}
    flat = torch.cat([value.flatten() for value in initial.values()])
    moved = torch.cat([value.detach().flatten() for value in moved_model.parameters()]) - flat

    def function(vector):
        parts = dict(zip(initial, vector.split(list(sizes.values())), strict=True))
        return functional_call(start, {name: parts[name].view_as(initial[name]) for name in initial}, (X,)).flatten()

    jacobian, second = jacrev(function)(flat), hessian(function)(flat)
    expected = function(flat) + jacobian @ moved
    slope = jacobian
    if order == 2:
        expected = expected + torch.einsum("i,kij,j->k", moved, second, moved) / 2
        slope = slope + second @ moved
    output = expansion(X).flatten()
    torch.testing.assert_close(output, expected)
    weights = torch.arange(1.0, len(output) + 1, dtype=torch.float64)
    gradients = torch.autograd.grad(weights @ output, list(expansion.model.parameters()))
    torch.testing.assert_close(torch.cat([g.flatten() for g in gradients]), weights @ slope)


def test_gradient_descent_on_the_first_order_is_kernel_regression_step_by_step():
    """f_t - y = (I - 2 eta/n K)^t (f_0 - y) on training data, and the matching sum on others."""
    model = TwoLayer([4], width=50).double()
    expansion = TaylorExpansion(model, 1)
    y = X.prod(1, keepdim=True)
    new = torch.randn(3, 4, dtype=torch.float64)
    jacobians = [
        torch.stack([torch.cat([g.flatten() for g in torch.autograd.grad(f, list(model.parameters()))]) for f in out])
        for out in ([model(row[None]).squeeze() for row in X], [model(row[None]).squeeze() for row in new])
    ]
    kernel, cross = jacobians[0] @ jacobians[0].T, jacobians[1] @ jacobians[0].T
    start, start_new = expansion(X).detach(), expansion(new).detach()
    rate = 0.3 * len(X) / float(torch.linalg.eigvalsh(kernel)[-1])
    optimizer = torch.optim.SGD(expansion.model.parameters(), rate)
    for _ in range(25):
        optimizer.zero_grad()
        (expansion(X) - y).square().mean().backward()
        optimizer.step()
    shrink = torch.eye(len(X)) - 2 * rate / len(X) * kernel
    residuals = [torch.linalg.matrix_power(shrink, t) @ (start - y) for t in range(26)]
    torch.testing.assert_close(expansion(X).detach() - y, residuals[25])
    expected = start_new - 2 * rate / len(X) * cross @ sum(residuals[:25])
    torch.testing.assert_close(expansion(new).detach(), expected)


@pytest.mark.parametrize("order", [None, 1, 2])
def test_centered_means_less_the_initial_output(order):
    start = mlp()
    initial = start(X).detach()
    _, plain = pair(copy.deepcopy(start), order)
    _, centered = pair(start, order, centered=True)
    torch.testing.assert_close(centered(X), plain(X) - initial)
    torch.testing.assert_close(TaylorExpansion(mlp(), order, centered=True)(X), torch.zeros(7, 2, dtype=torch.float64))


def test_parameters_that_are_not_trained_are_constants():
    """Then a two-layer network with the identity is linear in what is trained."""
    model = TwoLayer([4], width=5, activation="identity", train_readout=False).double()
    expansion = TaylorExpansion(copy.deepcopy(model), 1)
    assert [name for name, p in expansion.named_parameters() if p.requires_grad] == ["model.hidden"]
    with torch.no_grad():
        model.hidden += 3
        expansion.model.hidden += 3
    torch.testing.assert_close(expansion(X), model(X))


@pytest.mark.parametrize("order", [None, 1, 2])
def test_the_tangent_kernel_that_is_probed_is_that_of_the_expansion(order):
    """Also of linear layers, whose share of it is made without their weights' gradients where they are used plainly."""
    _, expansion = pair(mlp(), order)
    rows = []
    for output in expansion(X).flatten():
        gradients = torch.autograd.grad(output, list(expansion.model.parameters()), retain_graph=True)
        rows.append(torch.cat([g.flatten() for g in gradients]))
    torch.testing.assert_close(empirical_ntk(expansion, X), torch.stack(rows) @ torch.stack(rows).T)


def test_a_model_of_several_inputs_keeps_their_columns():
    class Bilinear(nn.Module):
        columns = ("input", "history")

        def __init__(self):
            super().__init__()
            self.form = nn.Bilinear(4, 4, 1, dtype=torch.float64)

        def forward(self, x, history):
            return self.form(x, history)

    model, expansion = pair(Bilinear(), 1)
    assert expansion.columns == ("input", "history")
    torch.testing.assert_close(expansion(X, X.flip(0)), model(X, X.flip(0)))


def test_a_model_with_running_statistics_is_refused():
    with pytest.raises(ConfigError, match="running statistics"):
        TaylorExpansion(MLP([4], 2, width=6, norm="batchnorm"), 1)


@pytest.mark.parametrize("order", ["null", "1", "2"])
def test_both_engines_train_it_alike(runs: Path, order, capsys):
    sweep = [
        *("data=gaussian_polynomial", "data.n_train=30", "data.n_test=20", "data.dim=6", "model=two_layer"),
        *("model.width=20", "model.activation=tanh", "model.output_scale=0.5,2.0", "seed=0,1", "optimizer=sgd"),
        *("transforms=[taylor_expansion]", f"transforms.taylor_expansion.order={order}", "optimizer.lr=0.2"),
        *("transforms.taylor_expansion.centered=true", "trainer.max_steps=40", "trainer.eval_at=20"),
        *("trainer.precision=64-true", "callbacks=none", "logger=none"),
    ]
    serial, fused = (
        train("-m", *sweep, f"hydra/launcher={way}", f"paths.runs={runs / way}") for way in ("serial", "fused")
    )
    assert "not fused" not in capsys.readouterr().err
    for one, other in zip(serial, fused, strict=True):
        assert one["run_id"] == other["run_id"]
        expected, measured = Record(Path(one["path"])).metrics, Record(Path(other["path"])).metrics
        assert expected["train/loss"][-1] < expected["train/loss"][0]
        for name in expected.columns:
            assert measured[name].to_list() == pytest.approx(expected[name].to_list(), rel=1e-9, abs=1e-10)
