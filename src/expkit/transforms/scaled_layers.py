"""Layers whose weights and biases are multiplied by a number in the forward pass."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def scale_layer(layer: nn.Module, weight: float, bias: float = 1.0) -> None:
    """From now on the layer computes with `weight` times its weight and `bias` times its bias.

    Both are numbers of the module, `weight_multiplier` and `bias_multiplier`, beside parameters that keep their names
    and are trained as before: a gradient step of size eta moves what the layer computes with by weight^2 eta.
    What a layer has from an earlier call is multiplied.

    Args:
        layer: one that `scalable` says yes to; its class is replaced by one derived from it.
        weight: what its weight is multiplied by.
        bias: the same of its bias; for a norm, weight and bias have the same.

    Raises:
        ValueError: the layer is none of these, a number is zero, or the numbers of a norm differ.
    """
    if not scalable(layer):
        raise ValueError(f"there is no scaled {type(layer).__name__}; there is one of {', '.join(sorted(_names()))}")
    if weight == 0 or bias == 0:
        raise ValueError(f"multipliers are not zero, got {weight} and {bias}: freeze or remove a parameter instead")
    if isinstance(layer, _NORMS) and weight != bias:
        raise ValueError(f"a norm's weight and bias have one multiplier, got {weight} and {bias}")
    scaled: Any = layer
    if type(layer) in _SCALED:
        scaled.__class__ = _SCALED[type(layer)]
        scaled.weight_multiplier = scaled.bias_multiplier = 1.0
    scaled.weight_multiplier *= weight
    scaled.bias_multiplier *= bias


def scalable(layer: nn.Module) -> bool:
    """Whether the layer is one of torch's linear or convolutional layers, embeddings or norms, and none derived."""
    return type(layer) in _SCALED or type(layer) in _SCALED.values()


class _Affine(nn.Module):
    """W x + b with both multiplied, for whatever linear map W stands for."""

    weight_multiplier: float
    bias_multiplier: float

    def forward(self, x: Tensor) -> Tensor:
        if self.bias is None:
            return super().forward(self.weight_multiplier * x)
        # Activations are scaled, not weights, of which there are more.
        scaled = x * (self.weight_multiplier / self.bias_multiplier)
        return self.bias_multiplier * super().forward(scaled)


class _OnTheOutput(nn.Module):
    """What is linear in all of its parameters together."""

    weight_multiplier: float
    bias_multiplier: float

    def forward(self, x: Tensor) -> Tensor:
        return self.weight_multiplier * super().forward(x)


class ScaledLinear(_Affine, nn.Linear):
    """(n, ..., in) -> (n, ..., out)."""


class ScaledConv1d(_Affine, nn.Conv1d):
    """(n, in, length) -> (n, out, length'); padding with zeros."""


class ScaledConv2d(_Affine, nn.Conv2d):
    """(n, in, height, width) -> (n, out, height', width'); padding with zeros."""


class ScaledEmbedding(_OnTheOutput, nn.Embedding):
    """(n, ...) integers -> (n, ..., size)."""


class ScaledLayerNorm(_OnTheOutput, nn.LayerNorm):
    """Of any shape."""


class ScaledRMSNorm(_OnTheOutput, nn.RMSNorm):
    """Of any shape."""


class ScaledGroupNorm(_OnTheOutput, nn.GroupNorm):
    """(n, channels, ...)."""


class ScaledBatchNorm1d(_OnTheOutput, nn.BatchNorm1d):
    """(n, channels) or (n, channels, length)."""


class ScaledBatchNorm2d(_OnTheOutput, nn.BatchNorm2d):
    """(n, channels, height, width)."""


_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d)
_SCALED: dict[type[nn.Module], Any] = {
    nn.Linear: ScaledLinear,
    nn.Conv1d: ScaledConv1d,
    nn.Conv2d: ScaledConv2d,
    nn.Embedding: ScaledEmbedding,
    nn.LayerNorm: ScaledLayerNorm,
    nn.RMSNorm: ScaledRMSNorm,
    nn.GroupNorm: ScaledGroupNorm,
    nn.BatchNorm1d: ScaledBatchNorm1d,
    nn.BatchNorm2d: ScaledBatchNorm2d,
}


def _names() -> list[str]:
    return [kind.__name__ for kind in _SCALED]
