"""Cross-layer equalization (arXiv 1906.04721): the same function, with weights that one scale per layer suits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from expkit.compression.layer_chain import layer_chain
from expkit.compression.quantizable import QuantizableLayer

Pair = tuple[QuantizableLayer, QuantizableLayer]


@torch.no_grad()
def equalize(model: nn.Module, inputs: Sequence[Tensor], rounds: int = 50, tolerance: float = 1e-4) -> int:
    r"""Scales the channels between layers that follow each other until their weights have equal ranges on both sides.

    With r_i the largest |w| of output channel i of the first layer, and q_i that of input channel i of the second,

        s_i = sqrt(r_i / q_i),   w1_i <- w1_i / s_i,   b1_i <- b1_i / s_i,   w2_i <- s_i w2_i,

    over all pairs again and again. Since what is between them is homogeneous, the model's function stays. Batch norms
    are folded first. A pair is left alone where scaling it changes the model's output, as beside a residual connection.

    Args:
        model: quantizable, in evaluation mode, changed in place.
        inputs: of a few examples.
        rounds: over the pairs, at most.
        tolerance: largest |log s| at which it has converged.

    Returns:
        The number of pairs that are equalized.
    """
    pairs = [pair for pair in layer_chain(model, inputs).pairs if _matches(pair) and _keeps_output(model, inputs, pair)]
    for _ in range(rounds):
        largest = 0.0
        for pair in pairs:
            scale = _balance(pair)
            _rescale(pair, scale)
            largest = max(largest, float(scale.log().abs().max()))
        if largest < tolerance:
            break
    return len(pairs)


def _balance(pair: Pair) -> Tensor:
    """s, (channels between the layers,); 1 for channels that one of the sides does not use."""
    first, second = pair[0].layer.weight.flatten(1).abs().amax(1), _by_input(pair[1]).abs().amax(1)
    used = (first > 0) & (second > 0)
    return torch.where(used, (first / second).clamp(min=1e-12).sqrt(), 1.0)


def _rescale(pair: Pair, scale: Tensor) -> None:
    """Divides the channels between two layers by s, and makes up for it in the second."""
    first, second = (one.layer for one in pair)
    first.weight.div_(scale.reshape(-1, *[1] * (first.weight.dim() - 1)))
    pair[0].bias.div_(scale)
    if _depthwise(pair[1]):
        second.weight.mul_(scale.reshape(-1, *[1] * (second.weight.dim() - 1)))
    else:
        second.weight.mul_(scale.reshape(1, -1, *[1] * (second.weight.dim() - 2)))


def _by_input(layer: QuantizableLayer) -> Tensor:
    """The weights that each input channel meets, (input channels, rest)."""
    weight = layer.layer.weight
    return weight.flatten(1) if _depthwise(layer) else weight.transpose(0, 1).flatten(1)


def _depthwise(layer: QuantizableLayer) -> bool:
    groups = getattr(layer.layer, "groups", 1)
    return groups > 1 and groups == layer.layer.in_channels == layer.layer.out_channels


def _matches(pair: Pair) -> bool:
    """Whether output channels of the first are input channels of the second, which groups and flattening prevent."""
    grouped = getattr(pair[1].layer, "groups", 1) > 1 and not _depthwise(pair[1])
    return not grouped and len(pair[0].layer.weight) == len(_by_input(pair[1]))


def _keeps_output(model: nn.Module, inputs: Sequence[Tensor], pair: Pair) -> bool:
    before = model(*inputs)
    scale = torch.full((len(pair[0].layer.weight),), 2.0).to(before)  # powers of two are exact
    _rescale(pair, scale)
    after = model(*inputs)
    _rescale(pair, 1 / scale)
    return bool(torch.allclose(before, after, rtol=1e-3, atol=1e-4 * float(before.abs().max())))
