import math

import pytest
import torch

from expkit.models.activation import ACTIVATIONS, activation

AT_ONE = {
    "relu": 1,
    "leaky_relu": 1,
    "gelu": 0.5 * (1 + math.erf(1 / math.sqrt(2))),
    "silu": 1 / (1 + math.exp(-1)),
    "mish": math.tanh(math.log(1 + math.e)),
    "elu": 1,
    "selu": 1.0507009873554805,
    "softplus": math.log(1 + math.e),
    "tanh": math.tanh(1),
    "hardtanh": 1,
    "sigmoid": 1 / (1 + math.exp(-1)),
    "square": 1,
    "identity": 1,
}
AT_MINUS_TWO = {
    "relu": 0,
    "leaky_relu": -0.02,
    "gelu": -(1 + math.erf(-math.sqrt(2))),
    "silu": -2 / (1 + math.exp(2)),
    "mish": -2 * math.tanh(math.log(1 + math.exp(-2))),
    "elu": math.exp(-2) - 1,
    "selu": 1.0507009873554805 * 1.6732632423543772 * (math.exp(-2) - 1),
    "softplus": math.log(1 + math.exp(-2)),
    "tanh": math.tanh(-2),
    "hardtanh": -1,
    "sigmoid": 1 / (1 + math.exp(2)),
    "square": 4,
    "identity": -2,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values(name):
    values = activation(name)(torch.tensor([1.0, -2.0], dtype=torch.float64)).tolist()
    assert values == pytest.approx([AT_ONE[name], AT_MINUS_TWO[name]], rel=1e-6)


def test_a_mistyped_name_is_answered_with_the_closest():
    with pytest.raises(ValueError, match="Did you mean 'gelu'"):
        activation("gellu")
