"""Empirical tangent kernels against gradients one by one, against X X^T, and against the limit of infinite width."""

import math

import pytest
import torch
from torch import nn

from expkit.analysis.empirical_ntk import empirical_ntk, task_ntk
from expkit.models.cnn import CNN
from expkit.models.mlp import MLP
from expkit.models.recurrent import Recurrent
from expkit.models.two_layer_relu import TwoLayerReLU
from expkit.tasks.supervised import Classification
from expkit.transforms.ntk_parametrization import ntk_parametrization


def one_by_one(model, *columns):
    """Gradients of every output of every example by backward passes of their own: (n k, n k)."""
    model = model.double()
    rows = []
    for number in range(len(columns[0])):
        output = model(*[c[number : number + 1] for c in columns]).reshape(-1)
        for value in output:
            gradients = torch.autograd.grad(
                value, [p for p in model.parameters() if p.requires_grad], retain_graph=True, materialize_grads=True
            )
            rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    return torch.stack(rows) @ torch.stack(rows).T


class Tied(nn.Module):
    """The same weight twice, one linear layer called twice, and one on a sequence."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 4), nn.Linear(4, 4, bias=False), nn.Linear(2, 3)
        self.b.weight = self.a.weight
        self.twice = nn.Linear(3, 3)
        self.readout = nn.Linear(6, 2)

    def forward(self, x):
        h = torch.tanh(self.b(torch.relu(self.a(x)))).reshape(-1, 2, 2)
        return self.readout(torch.tanh(self.twice(torch.tanh(self.twice(self.c(h))))).flatten(1))


def models():
    torch.manual_seed(0)
    vectors, images, signals = torch.randn(5, 4), torch.randn(5, 2, 6, 6), torch.randn(5, 2, 7)
    frozen = MLP([4], 3, width=6, norm="layernorm")
    frozen.readout.weight.requires_grad_(False)
    frozen.hidden[0].bias.requires_grad_(False)
    yield "mlp", MLP([4], 3, width=6, depth=2), vectors
    yield "frozen", frozen, vectors
    yield "batchnorm", MLP([4], 2, width=6, norm="batchnorm", dropout=0.3), vectors
    yield "tied", Tied(), vectors
    yield "scaled", ntk_parametrization(MLP([4], 3, width=6), weight_std=1.3, bias_std=0.4), vectors
    yield "raw", TwoLayerReLU([4], width=7, init_scale=1.0, train_readout=True), vectors
    yield "cnn", CNN([2, 6, 6], 2), images
    yield "gru", Recurrent([2, 7], 2, cell="gru", width=5), signals
    yield "tokens", MLP([3], 2, vocab=5, width=4), torch.randint(5, (5, 3))


@pytest.mark.parametrize(("model", "x"), [pytest.param(m, x, id=name) for name, m, x in models()])
def test_equals_gradients_one_by_one(model, x):
    model.eval()
    x = x.double() if x.is_floating_point() else x
    expected = one_by_one(model, x)
    found = empirical_ntk(model, x)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    k = len(found) // len(x)
    blocks = expected.reshape(len(x), k, len(x), k)
    torch.testing.assert_close(
        empirical_ntk(model, x, outputs="trace"), torch.einsum("iaja->ij", blocks), rtol=1e-9, atol=1e-9
    )
    torch.testing.assert_close(empirical_ntk(model, x, memory=1), expected, rtol=1e-9, atol=1e-9)  # example by example
    torch.testing.assert_close(empirical_ntk(model, x[:2], x, memory=1), expected[: 2 * k], rtol=1e-9, atol=1e-9)


def test_of_a_linear_model_is_the_gram_matrix_of_its_inputs():
    torch.manual_seed(0)
    x = torch.randn(6, 4, dtype=torch.float64)
    expected = torch.kron(x @ x.T + 1, torch.eye(3, dtype=torch.float64))  # no coupling between outputs; + 1 for biases
    torch.testing.assert_close(empirical_ntk(nn.Linear(4, 3), x), expected)


def test_of_a_wide_two_layer_relu_network_approaches_the_closed_form():
    """With a_j = +-1/sqrt(m) and w ~ N(0, I): first layer <x, x'> (pi - t)/(2 pi), second E[relu relu]."""
    torch.manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(5, 3, dtype=torch.float64), dim=1)
    angle = (x @ x.T).clamp(-1, 1).acos()
    first = (x @ x.T) * (math.pi - angle) / (2 * math.pi)
    second = (angle.sin() + (math.pi - angle) * angle.cos()) / (2 * math.pi)
    width = 200_000
    hidden = empirical_ntk(TwoLayerReLU([3], width=width, init_scale=1.0), x)
    both = empirical_ntk(TwoLayerReLU([3], width=width, init_scale=1.0, train_readout=True), x)
    torch.testing.assert_close(hidden, first, atol=0.01, rtol=0)
    # The readout's gradient is relu(<w, x>) without 1/sqrt(m): its share grows with the width.
    torch.testing.assert_close((both - hidden) / width, second, atol=0.01, rtol=0)


def test_follows_hooks_that_scale_a_layer():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    model[0].register_forward_pre_hook(lambda _, arguments: (3 * arguments[0],))
    model[0].register_forward_hook(lambda _, __, output: output / 2)
    x = torch.randn(3, 4, dtype=torch.float64)
    torch.testing.assert_close(empirical_ntk(model, x), one_by_one(model, x))


class TwoInputs(nn.Module):
    columns = ("left", "right")

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(3, 2), nn.Linear(4, 2)

    def forward(self, left, right):
        return self.left(left) * self.right(right)


def test_of_a_task_takes_the_columns_of_its_model():
    torch.manual_seed(0)
    model = TwoInputs()
    left, right = torch.randn(4, 3).double(), torch.randn(4, 4).double()
    split = {"input": left, "left": left, "right": right, "target": torch.zeros(4, dtype=torch.long)}
    expected = one_by_one(model, left, right)
    torch.testing.assert_close(task_ntk(Classification(model, 2), split), expected)
    torch.testing.assert_close(empirical_ntk(model, (left, right)), expected)


def test_a_model_without_trainable_parameters_is_refused():
    with pytest.raises(ValueError, match="trainable"):
        empirical_ntk(nn.Linear(2, 2).requires_grad_(False), torch.zeros(1, 2))
