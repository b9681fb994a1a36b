"""How weights are drawn at initialization, by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from expkit.errors import did_you_mean


@torch.no_grad()
def initialize(model: nn.Module, scheme: str = "torch", scale: float = 1.0) -> None:
    r"""Draws the weights of every linear and convolutional layer of `model`, from torch's global generator.

    ============  ==================================================  =======================
    scheme        standard deviation of a weight                      biases
    ============  ==================================================  =======================
    `torch`       as torch drew it: uniform, 1 / sqrt(3 fan_in)       as torch drew them
    `he`          sqrt(2 / fan_in), normal (arXiv 1502.01852)         0
    `lecun`       sqrt(1 / fan_in), normal                            0
    `xavier`      sqrt(2 / (fan_in + fan_out)), normal                0
    `orthogonal`  singular values all 1 (arXiv 1312.6120)             0
    ============  ==================================================  =======================

    Args:
        scale: what these weights and biases, and embeddings, are multiplied by afterwards (alpha in arXiv 2210.01117).

    Raises:
        ValueError: there is no scheme of that name.
    """
    if scheme != "torch" and scheme not in SCHEMES:
        raise ValueError(f"there is no initialization '{scheme}'. {did_you_mean(scheme, ['torch', *SCHEMES])}")
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            if scheme != "torch":
                SCHEMES[scheme](layer.weight)
                if layer.bias is not None:
                    layer.bias.zero_()
            for parameter in layer.parameters():
                parameter.mul_(scale)
        elif isinstance(layer, nn.Embedding):
            layer.weight.mul_(scale)


def _he(weight: Tensor) -> Tensor:
    return nn.init.kaiming_normal_(weight, nonlinearity="relu")


def _lecun(weight: Tensor) -> Tensor:
    return nn.init.kaiming_normal_(weight, nonlinearity="linear")


SCHEMES: dict[str, Callable[[Tensor], Tensor]] = {
    "he": _he,
    "lecun": _lecun,
    "xavier": nn.init.xavier_normal_,
    "orthogonal": nn.init.orthogonal_,
}
