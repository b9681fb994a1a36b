"""What is measured once a run is complete, and kept in its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning.pytorch as lightning
import torch
from torch import Tensor

from expkit.data.base import TensorData
from expkit.records.arrays import write_arrays
from expkit.records.metrics import MetricLog
from expkit.seeding import derive
from expkit.tasks.base import Task


def conclusions(
    callbacks: Sequence[lightning.Callback], task: Task, data: TensorData, seed: int
) -> dict[str, float | Tensor]:
    """What the probes among the callbacks conclude; each draws from a stream of its own."""
    found: dict[str, float | Tensor] = {}
    task.eval()
    with torch.no_grad():
        for callback in callbacks:
            if conclude := getattr(callback, "conclude", None):
                torch.manual_seed(derive(seed, f"{type(callback).__name__}/conclusion"))
                found |= conclude(task, data)
    return found


def keep(found: Mapping[str, float | Tensor], log: MetricLog, folder: Path) -> dict[str, float]:
    """Numbers go to the last row of metrics, tensors to the record's arrays; returns the numbers."""
    numbers = {name: float(value) for name, value in found.items() if not isinstance(value, Tensor)}
    log.amend(numbers)
    write_arrays(folder, {name: value for name, value in found.items() if isinstance(value, Tensor)})
    return numbers
