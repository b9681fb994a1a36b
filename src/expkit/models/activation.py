"""Activation functions by name."""

from __future__ import annotations

from torch import Tensor, nn

from expkit.errors import did_you_mean


def activation(name: str) -> nn.Module:
    """A new module for the elementwise function `name`, one of the keys of `ACTIVATIONS`.

    Raises:
        ValueError: there is no function of that name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"there is no activation '{name}'. {did_you_mean(name, ACTIVATIONS)}")
    return ACTIVATIONS[name]()


class Square(nn.Module):
    """x^2, with which two-layer networks solve modular addition in closed form (arXiv 2301.02679)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.square()


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
    "hardtanh": nn.Hardtanh,
    "sigmoid": nn.Sigmoid,
    "square": Square,
    "identity": nn.Identity,
}
