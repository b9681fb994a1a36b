"""What is left of a trained model when it is quantized in several ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from expkit.compression.quantizable import quantizable_layers
from expkit.compression.quantize import quantize
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class PostTrainingQuantization(Probe):
    """Quantizes the trained model in every combination of bits and methods; the model itself stays as it is.

    Metrics, once at the end, for each combination: `ptq/<bits>/<method>/<metric>` for the metrics of the task over a
    split, and `ptq/<bits>/<method>/sqnr`, the signal-to-noise ratio of the model's outputs over that split,
    10 log10(E y^2 / E (y - y^)^2) in dB, y in floating point and y^ quantized. None for a model that has quantizers of
    its own, by the transform `quantizable`.

    Args:
        bits: name -> arguments of `quantize`, such as {w4a8: {weight_bits: 4, activation_bits: 8}}.
        methods: name -> arguments of `quantize`, such as {mse: {ranges: mse}, cle: {ranges: mse, equalization: true}}.
        examples: ranges, roundings and biases are fitted to the first so many training examples.
        split: what metrics are over.
    """

    def __init__(
        self,
        bits: Mapping[str, Mapping[str, Any]],
        methods: Mapping[str, Mapping[str, Any]],
        examples: int = 256,
        split: str = "test",
    ) -> None:
        super().__init__()
        self.bits = bits
        self.methods = methods
        self.examples = examples
        self.split = split

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        if any(True for _ in quantizable_layers(task.model)):
            return {}
        train, split, model = data.splits["train"], data.splits[self.split], task.model
        inputs = [train[column][: self.examples] for column in task.columns]
        signal = task.output(split)
        found: dict[str, float | Tensor] = {}
        try:
            for bits, widths in self.bits.items():
                for method, steps in self.methods.items():
                    task.model = quantize(model, inputs, **widths, **steps)
                    measured = task.evaluate(split) | {"sqnr": decibels(signal, task.output(split))}
                    found |= {f"ptq/{bits}/{method}/{name}": value for name, value in measured.items()}
        finally:
            task.model = model
        return found


def decibels(signal: Tensor, noisy: Tensor) -> float:
    """10 log10 of the signal's energy over that of the noise."""
    return float(10 * torch.log10(signal.square().mean() / (signal - noisy).square().mean()))
