"""How far apart in time the spikes arrive that excite a neuron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from expkit.models.dcls_delay import causal_convolution
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class ArrivalSpread(Probe):
    """Standard deviation over time of the excitation of first-layer neurons, in time steps, at rounded delays.

    The excitation of a neuron is the sum of its positive weights, each at the time at which a spike arrives through it.
    Its standard deviation over time is averaged over the test examples of the class for which the neuron spikes most.

    Metric: `arrival_spread/mean`, over neurons that spike. Array, at the end: `arrival_spread/neurons`, (width,), NaN
    where a neuron never spikes.
    """

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        return {"arrival_spread/mean": float(_spreads(task.model, data).nanmean())}

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        return {"arrival_spread/neurons": _spreads(task.model, data)}


@torch.no_grad()
def _spreads(model: Any, data: TensorData) -> Tensor:
    inputs, target = data.splits["test"]["input"], data.splits["test"]["target"]
    layer = model.synapses[0]
    kernel = layer.kernel() if hasattr(layer, "kernel") else layer.weight.unsqueeze(-1)
    padded = F.pad(inputs, (0, kernel.shape[-1] - 1))  # so that no arrival is cut off
    excitation = F.threshold(causal_convolution(padded, kernel.clamp(min=0)), 1e-5, 0)  # without what rounding leaves
    spread = deviation(excitation)
    counts = model.spikes(inputs)[0].sum(-1)  # (examples, width)
    member = F.one_hot(target).to(counts.dtype)  # (examples, classes)
    preferred = ((member.T @ counts) / member.sum(0).unsqueeze(1)).argmax(0)  # (width,)
    chosen = member[:, preferred]  # (examples, width)
    mean = (spread * chosen).sum(0) / chosen.sum(0)
    return torch.where(counts.sum(0) > 0, mean, torch.nan)


def deviation(density: Tensor) -> Tensor:
    """Of time under a density over time steps that need not be normalized, (..., time) to (...)."""
    steps = torch.arange(density.shape[-1], device=density.device)
    share = density / density.sum(-1, keepdim=True).clamp(min=1e-12)
    mean = (share * steps).sum(-1, keepdim=True)
    return (share * (steps - mean) ** 2).sum(-1).sqrt()
