import pytest
import torch
from torch import nn
from torch.autograd import gradgradcheck

from expkit.models.unrolled import unrolled

CELLS = [(nn.RNN, {}), (nn.RNN, {"nonlinearity": "relu"}), (nn.LSTM, {}), (nn.GRU, {})]


@pytest.mark.parametrize(("cell", "kind"), CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_agrees_with_torch(cell, kind, bidirectional, bias):
    torch.manual_seed(0)
    layers = cell(3, 5, num_layers=2, batch_first=True, bidirectional=bidirectional, bias=bias, **kind)
    x = torch.randn(4, 7, 3, requires_grad=True)
    expected, actual = layers(x)[0], unrolled(layers, x)
    torch.testing.assert_close(actual, expected)
    parameters = [x, *layers.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(actual.sin().sum(), parameters),
        torch.autograd.grad(expected.sin().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("cell", "kind"), CELLS)
def test_second_derivatives(cell, kind):
    torch.manual_seed(0)
    layers = cell(2, 2, batch_first=True, **kind).double()
    assert gradgradcheck(lambda x: unrolled(layers, x), torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True))


def test_dropout_acts_between_layers_in_training_alone():
    torch.manual_seed(0)
    layers = nn.GRU(3, 5, num_layers=2, dropout=0.5, batch_first=True)
    x = torch.randn(2, 4, 3)
    assert not torch.equal(unrolled(layers, x), unrolled(layers, x))
    layers.eval()
    torch.testing.assert_close(unrolled(layers, x), layers(x)[0])


def test_dropout_does_not_touch_the_input():
    with pytest.warns(UserWarning, match="dropout"):  # torch says that one layer has nothing between layers
        layers = nn.GRU(3, 5, num_layers=1, dropout=0.5, batch_first=True)
    x = torch.randn(2, 4, 3)
    torch.testing.assert_close(unrolled(layers, x), layers(x)[0])
