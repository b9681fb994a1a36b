"""Quantization of a trained model, step by step (arXiv 2106.08295, section 3)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from expkit.compression.adaround import adaround
from expkit.compression.equalization import equalize
from expkit.compression.layer_chain import layer_chain
from expkit.compression.quantizable import QuantizableLayer, fold, quantizable, quantizable_layers
from expkit.compression.quantization_range import RangeMethod, set_range


def quantize(
    model: nn.Module,
    inputs: Sequence[Tensor],
    weight_bits: float = 8,
    activation_bits: float = 8,
    per_channel: bool = False,
    ranges: RangeMethod = "mse",
    equalization: bool = False,
    bias_correction: bool = False,
    adaptive_rounding: bool = False,
    adaround_steps: int = 200,
) -> nn.Module:
    """A quantized copy of a trained model, made without labels.

    Batch norms are folded; then the channels of layers that follow each other are equalized, the ranges of weights and
    of inputs are set, weights are rounded by what they do to outputs instead of to the nearest, and biases make up for
    the shift of the mean output: each if asked for.

    Args:
        model: trained, in evaluation mode; stays as it is.
        inputs: of the examples that ranges, roundings and biases are fitted to; a tensor for each that the model takes.
        weight_bits, activation_bits: of an integer.
        per_channel: whether weights have a scale for each output channel.
        ranges: how ranges are set, see `set_range`.
        equalization: see `equalize`.
        bias_correction: see `correct_biases`.
        adaptive_rounding, adaround_steps: see `adaround`; steps are per layer.

    Raises:
        ValueError: the model has no layer to quantize, or has been made quantizable already.
    """
    if any(True for _ in quantizable_layers(model)):
        raise ValueError(f"{type(model).__name__} is quantizable already: its quantizers would be quantized")
    flat = folded(model, inputs, weight_bits, activation_bits, per_channel)
    if equalization:
        equalize(flat, inputs)
    quantized = copy.deepcopy(flat)
    set_ranges(quantized, inputs, ranges)
    if adaptive_rounding:
        round_adaptively(quantized, flat, inputs, adaround_steps)
    if bias_correction:
        correct_biases(quantized, flat, inputs)
    return quantized


def folded(
    model: nn.Module, inputs: Sequence[Tensor], weight_bits: float, activation_bits: float, per_channel: bool
) -> nn.Module:
    """A copy that can be quantized, without batch norms where they follow a layer; computes what the model computes."""
    flat = quantizable(copy.deepcopy(model), weight_bits, activation_bits, per_channel, learnable=False).eval()
    fold_norms(flat, inputs)
    return flat


def fold_norms(model: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Folds every batch norm of a quantizable model that follows a layer."""
    for layer, norm in layer_chain(model, [one[:2] for one in inputs]).norms:
        fold(layer, norm)


@torch.no_grad()
def set_ranges(model: nn.Module, inputs: Sequence[Tensor], method: RangeMethod) -> None:
    """Sets the ranges of all quantizers, those of inputs by what comes in once weights are quantized."""
    for layer in quantizable_layers(model):
        set_range(layer.weight_quantizer, layer.layer.weight, method)
    for layer, incoming in _watched(model, inputs, outputs=False).items():
        set_range(layer.input_quantizer, incoming, method)


@torch.no_grad()
def correct_biases(model: nn.Module, reference: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Shifts each bias, layer by layer, so that the mean output of every channel is that of the reference.

    Empirical bias correction (arXiv 1906.04721): b <- b + E[y] - E[y^], over the given inputs.

    Args:
        model: quantized; changed in place.
        reference: the same model in floating point.
        inputs: of the examples that means are over.
    """
    wanted = list(_watched(reference, inputs, outputs=True).values())
    for place, layer in enumerate(layer_chain(model, [one[:2] for one in inputs]).layers):
        output = _watched(model, inputs, outputs=True, only=layer)[layer]
        over = [axis for axis in range(output.dim()) if axis != _channel_axis(layer, output)]
        layer.bias.add_((wanted[place] - output).mean(over))


def round_adaptively(model: nn.Module, reference: nn.Module, inputs: Sequence[Tensor], steps: int) -> None:
    """`adaround` on one layer after another, each given what those before it make of the inputs by then."""
    with torch.no_grad():
        wanted = list(_watched(reference, inputs, outputs=True).values())
    for place, layer in enumerate(layer_chain(model, [one[:2] for one in inputs]).layers):
        with torch.no_grad():
            incoming = layer.input_quantizer(_watched(model, inputs, outputs=False, only=layer)[layer])
        adaround(layer, incoming, wanted[place], steps)


def _watched(
    model: nn.Module, inputs: Sequence[Tensor], outputs: bool, only: QuantizableLayer | None = None
) -> dict[QuantizableLayer, Tensor]:
    """The input or output of each layer, or of one, in the order in which they are computed."""
    seen: dict[QuantizableLayer, Tensor] = {}

    def watch(layer: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, QuantizableLayer)
        seen[layer] = output if outputs else arguments[0]

    layers = quantizable_layers(model) if only is None else [only]
    with _hooks([layer.register_forward_hook(watch) for layer in layers]):
        model(*inputs)
    return seen


@contextmanager
def _hooks(handles: Sequence[torch.utils.hooks.RemovableHandle]) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _channel_axis(layer: QuantizableLayer, output: Tensor) -> int:
    return output.dim() - 1 if isinstance(layer.layer, nn.Linear) else 1
