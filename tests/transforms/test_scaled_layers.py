"""Scaled layers against layers whose parameters are multiplied beforehand."""

import copy

import pytest
import torch
from torch import nn

from expkit.transforms.scaled_layers import scale_layer


def layers():
    torch.manual_seed(0)
    images, signals, vectors = torch.randn(3, 4, 5, 5), torch.randn(3, 4, 6), torch.randn(3, 4)
    yield nn.Linear(4, 2), vectors
    yield nn.Linear(4, 2, bias=False), vectors
    yield nn.Conv1d(4, 2, 3, padding=1), signals
    yield nn.Conv2d(4, 6, 3, stride=2, groups=2), images
    yield nn.Embedding(5, 3), torch.randint(5, (3, 2))
    yield nn.LayerNorm(4), vectors
    yield nn.RMSNorm(4), vectors
    yield nn.GroupNorm(2, 4), images
    yield nn.BatchNorm1d(4), vectors
    yield nn.BatchNorm2d(4), images


@pytest.mark.parametrize(("layer", "x"), [pytest.param(layer, x, id=type(layer).__name__) for layer, x in layers()])
def test_equals_multiplied_parameters(layer, x):
    affine = isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)
    weight, bias = (3.0, 0.5) if affine else (3.0, 3.0)
    multiplied = copy.deepcopy(layer)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.normal_()
            multiplied.get_parameter(name).copy_((weight if name == "weight" else bias) * parameter)
    names = list(layer.state_dict())
    scale_layer(layer, weight / 2, bias / 2)
    scale_layer(layer, 2.0, 2.0)  # a second time multiplies
    torch.testing.assert_close(layer(x), multiplied(x))
    assert list(layer.state_dict()) == names


def test_a_gradient_step_moves_the_weight_by_the_multiplier_squared():
    torch.manual_seed(0)
    layer, x = nn.Linear(4, 1, bias=False), torch.randn(1, 4)
    scale_layer(layer, weight=0.25)
    before = layer(x)
    before.sum().backward()
    with torch.no_grad():
        layer.weight -= 0.1 * layer.weight.grad
    torch.testing.assert_close(before - layer(x), 0.1 * 0.25**2 * x.square().sum(1, keepdim=True))


@pytest.mark.parametrize(
    ("layer", "weight", "bias", "said"),
    [
        (nn.GRU(2, 2), 1.0, 1.0, "no scaled GRU"),
        (nn.Linear(2, 2), 0.0, 1.0, "not zero"),
        (nn.LayerNorm(2), 1.0, 2.0, "one multiplier"),
    ],
)
def test_what_cannot_be_scaled_is_refused(layer, weight, bias, said):
    with pytest.raises(ValueError, match=said):
        scale_layer(layer, weight, bias)
