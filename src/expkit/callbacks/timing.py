"""How long a training step takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import lightning.pytorch as lightning
import torch

from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class Timing(Probe):
    """Mean time of the training steps between two evaluation points.

    The clock runs from the first batch after an evaluation point to the next evaluation point, so what is measured or
    saved at one does not count. The first steps include what happens once (memory, compilation). Unlike other metrics,
    these differ from run to run.

    Metrics, from the second evaluation point on: `time/step_ms`, milliseconds per optimizer step;
    `time/examples_per_s`, training examples per second, over all processes.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._step = 0
        self._examples = 0
        self._measured: dict[str, float] = {}

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._began is None:
            self._began, self._step, self._examples = time.perf_counter(), trainer.global_step, 0
        self._examples += len(batch["input"])

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._measured = {}
        if self._began is None:
            return
        if pl_module.device.type != "cpu":
            torch.accelerator.synchronize(pl_module.device)
        seconds, steps = time.perf_counter() - self._began, trainer.global_step - self._step
        self._began = None
        if steps:
            self._measured = {
                "time/step_ms": 1000 * seconds / steps,
                "time/examples_per_s": self._examples * trainer.world_size / seconds,
            }

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        return self._measured
