"""The transform that lets the layers of any model compute with quantized weights and inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from expkit.compression.fake_quantizer import FakeQuantizer

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def quantizable(
    model: nn.Module,
    weight_bits: float = 8.0,
    activation_bits: float = 8.0,
    per_channel: bool = False,
    learnable: bool = True,
) -> nn.Module:
    """Puts fake quantizers, which are off yet, before every linear and convolutional layer of a model.

    Each layer then sees a quantized input (asymmetric, one scale) and a quantized weight (symmetric); biases, sums and
    the model's output stay as they are. Batch norms can be folded into the layer before them. Both happens when
    `quantization_aware_training` or `post_training_quantization` says so; before that, the model is what it was.

    Args:
        model: is changed in place.
        weight_bits, activation_bits: of an integer; whole numbers of at least 2.
        per_channel: whether weights have a scale for each output channel, or one per layer.
        learnable: whether scales are trained once they are in use (LSQ).

    Raises:
        ValueError: there is no layer to quantize.
    """
    for parent in list(model.modules()):
        if isinstance(parent, QuantizableLayer | FoldableNorm):
            continue
        for name, child in list(parent.named_children()):
            if isinstance(child, LAYERS):
                layer = QuantizableLayer(child, weight_bits, activation_bits, per_channel, learnable)
                parent.register_module(name, layer)
            elif isinstance(child, NORMS):
                parent.register_module(name, FoldableNorm(child))
    if not any(True for _ in quantizable_layers(model)):
        raise ValueError(f"{type(model).__name__} has no linear or convolutional layer to quantize")
    return model


def quantizable_layers(model: nn.Module) -> Iterator[QuantizableLayer]:
    """The layers of a model that can be quantized, in its order."""
    return (module for module in model.modules() if isinstance(module, QuantizableLayer))


class QuantizableLayer(nn.Module):
    """A linear or convolutional layer with fake quantizers for its weight and its input.

    Args:
        layer: to be quantized; it gets a bias of zeros if it has none, for folding and correction.
        others: as for `quantizable`.
    """

    def __init__(
        self, layer: nn.Module, weight_bits: float, activation_bits: float, per_channel: bool, learnable: bool
    ) -> None:
        super().__init__()
        assert isinstance(layer, LAYERS)
        weight = layer.weight
        if layer.bias is None:
            layer.bias = nn.Parameter(torch.zeros_like(weight[:, 0].flatten(1)[:, 0]))
        self.layer = layer
        shape = (len(weight), *[1] * (weight.dim() - 1)) if per_channel else (1,)
        self.weight_quantizer = FakeQuantizer(weight_bits, shape, learnable=learnable)
        self.input_quantizer = FakeQuantizer(activation_bits, symmetric=False, learnable=learnable, batched=True)

    @property
    def bias(self) -> nn.Parameter:
        assert isinstance(self.layer.bias, nn.Parameter)
        return self.layer.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.apply_weight(self.input_quantizer(x), self.weight_quantizer(self.layer.weight))

    def apply_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        """What the layer makes of an input with this weight; nothing is quantized."""
        bias = self.layer.bias
        if isinstance(self.layer, nn.Linear):
            return F.linear(x, weight, bias)
        return self.layer._conv_forward(x, weight, bias)


class FoldableNorm(nn.Module):
    """A batch norm that becomes the identity once it is folded into the layer before it.

    Buffer: `folded`. Until then its running statistics move as they do without it.
    """

    folded: Tensor

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.register_buffer("folded", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.folded, x, self.norm(x))


@torch.no_grad()
def fold(layer: QuantizableLayer, norm: FoldableNorm) -> None:
    """Makes the layer compute what layer and norm compute together, by the norm's running statistics.

    Raises:
        ValueError: the norm has no running statistics.
    """
    own = norm.norm
    assert isinstance(own, NORMS)
    if own.running_mean is None or own.running_var is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    if bool(norm.folded):
        return
    inner = layer.layer
    fuse = fuse_linear_bn_weights if isinstance(inner, nn.Linear) else fuse_conv_bn_weights
    weight, bias = fuse(inner.weight, inner.bias, own.running_mean, own.running_var, own.eps, own.weight, own.bias)
    inner.weight.copy_(weight)
    layer.bias.copy_(bias)
    norm.folded.fill_(True)
