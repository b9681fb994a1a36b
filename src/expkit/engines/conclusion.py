"""What is measured once a run is complete, and kept in its record."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from expkit.engines.training import Training
from expkit.records.arrays import write_arrays
from expkit.seeding import derive


def conclude(training: Training, writes: bool = True) -> None:
    """Keeps what the probes among the callbacks conclude; each draws from a stream of its own.

    Args:
        training: complete, its task in evaluation mode.
        writes: whether this process keeps the record; all of them compute, who may need each other for it.
    """
    found: dict[str, float | Tensor] = {}
    with torch.no_grad():
        for callback in training.callbacks:
            if own := getattr(callback, "conclude", None):
                torch.manual_seed(derive(training.seed, f"{type(callback).__name__}/conclusion"))
                found |= own(training.task, training.data)
    if writes:
        keep(found, training)


def keep(found: Mapping[str, float | Tensor], training: Training) -> None:
    """Numbers go to the last row of metrics and to the loggers, tensors to the record's arrays."""
    numbers = {name: float(value) for name, value in found.items() if not isinstance(value, Tensor)}
    training.log.amend(numbers)
    for logger in training.loggers if numbers else ():
        logger.log_metrics(numbers, training.log.rows[-1]["step"])
    write_arrays(training.folder, {name: value for name, value in found.items() if isinstance(value, Tensor)})
