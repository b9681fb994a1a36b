"""How much a spiking network spikes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from expkit.errors import UserError
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class FiringRate(Probe):
    """Spikes of hidden neurons, for examples of a split.

    Metrics: `firing_rate/mean`, spikes per neuron and time step, of all hidden layers together; `firing_rate/<k>`, of
    layer k, from 1; `firing_rate/total`, spikes of all hidden neurons per example; `firing_rate/silent`, share of the
    neurons that never spike.

    Args:
        split: whose examples.
        examples: how many, at most.
    """

    def __init__(self, split: str = "test", examples: int = 512) -> None:
        self.split, self.examples = split, examples

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        model: Any = task.model
        if not hasattr(model, "spikes"):
            raise UserError(f"{type(model).__name__} does not spike.", "Choose model=snn.")
        layers = model.spikes(data.splits[self.split]["input"][: self.examples])
        means = {f"firing_rate/{number}": float(layer.mean()) for number, layer in enumerate(layers, 1)}
        neurons = torch.cat([layer.sum(-1) for layer in layers], 1)  # spikes, (examples, neurons)
        every = sum(layer[0].numel() for layer in layers)
        total = float(neurons.sum(1).mean())
        silent = float((neurons.sum(0) == 0).double().mean())
        return {"firing_rate/mean": total / every, **means, "firing_rate/total": total, "firing_rate/silent": silent}
