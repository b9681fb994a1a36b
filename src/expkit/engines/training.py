"""One training, as every engine is handed it, and how it may end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import lightning.pytorch as lightning
from lightning.pytorch.loggers import Logger

from expkit.data.base import TensorData
from expkit.engines.observer import Observer
from expkit.engines.stopping import StopRequest
from expkit.records.metrics import MetricLog
from expkit.tasks.base import Task

State = Literal["complete", "interrupted", "diverged", "pruned"]


@dataclass
class Training:
    """A task, its data, and where everything about the run goes."""

    task: Task
    data: TensorData
    seed: int
    log: MetricLog
    folder: Path
    callbacks: Sequence[lightning.Callback] = ()
    loggers: Sequence[Logger] = ()
    observer: Observer = field(default_factory=Observer)
    stop: StopRequest = field(default_factory=StopRequest)
    resume: Path | None = None  # a checkpoint to go on from
    prune: Callable[[int, Mapping[str, float]], bool] | None = None  # given step and metrics, whether the run ends here
    rank_command: Sequence[str] = ()  # starts another process of this training

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / "last.ckpt"
