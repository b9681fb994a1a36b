"""The norm of a gradient that can be written down: of linear least squares."""

import pytest
import torch
from torch import nn

from expkit.data.base import TensorData
from expkit.probes.gradient_norm import GradientNorm
from expkit.tasks.supervised import Regression

N, D, K = 50, 6, 3


class Linear(TensorData):
    def draw(self):
        draw = self.generator("train")
        train = {
            "input": torch.randn(N, D, generator=draw, dtype=torch.float64),
            "target": torch.randn(N, K, generator=draw, dtype=torch.float64),
        }
        return {"train": train, "test": train}


@pytest.fixture
def data():
    data = Linear(spec={"shape": [D], "targets": K})
    data.setup()
    return data


@pytest.fixture
def task():
    torch.manual_seed(0)
    return Regression(nn.Sequential(nn.Linear(D, K), nn.Identity()).double(), n_outputs=K)


@torch.no_grad()
def by_hand(task, data, n):
    """|dL/dW|^2 and |dL/db|^2 of L = 1/(nK) sum |W x + b - y|^2."""
    x, y = data.splits["train"]["input"][:n], data.splits["train"]["target"][:n]
    layer = task.model[0]
    residual = 2 * (x @ layer.weight.T + layer.bias - y) / (n * K)
    return (residual.T @ x).square().sum() + residual.sum(0).square().sum()


@pytest.mark.parametrize(("examples", "n"), [(None, N), (1000, N), (20, 20)])
@pytest.mark.parametrize("chunk", [4096, 7])
def test_is_the_norm_of_the_mean_gradient(task, data, examples, n, chunk):
    with torch.no_grad():
        metrics = GradientNorm(examples=examples, chunk=chunk).measure(task, data)
    assert metrics == {"gradient_norm/global": pytest.approx(float(by_hand(task, data, n).sqrt()), rel=1e-12)}


def test_layers_add_up(data):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(D, 4), nn.Tanh(), nn.Linear(4, K)).double()
    metrics = GradientNorm(per_layer=True).measure(Regression(model, K), data)
    assert list(metrics) == ["gradient_norm/global", "gradient_norm/0", "gradient_norm/2"]
    squares = [value**2 for value in metrics.values()]
    assert squares[0] == pytest.approx(squares[1] + squares[2], rel=1e-12)


def test_frozen_parameters_do_not_count_and_gradients_stay_as_they_were(task, data):
    task.model[0].bias.requires_grad_(False)
    task.model[0].weight.grad = torch.full((K, D), 7.0, dtype=torch.float64)
    x, y = data.splits["train"]["input"], data.splits["train"]["target"]
    residual = 2 * (task.model(x) - y).detach() / (N * K)
    metrics = GradientNorm(examples=None).measure(task, data)
    assert metrics["gradient_norm/global"] == pytest.approx(float((residual.T @ x).norm()), rel=1e-12)
    assert (task.model[0].weight.grad == 7.0).all()


@pytest.mark.parametrize("wrong", [{"examples": 0}, {"chunk": 0}])
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GradientNorm(**wrong)
