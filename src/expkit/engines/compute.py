"""The `compute` engine: what is no training, on the same path and with the same record."""

from __future__ import annotations

from itertools import islice

import torch
from torch import Tensor

from expkit.engines.conclusion import keep
from expkit.engines.precision import convert_data, convert_task
from expkit.engines.training import State, Training
from expkit.errors import ConfigError
from expkit.seeding import derive, undisturbed
from expkit.tasks.computation import Computation


class ComputeEngine:
    """Runs a task's `compute`, one row of metrics after another.

    A computation that is interrupted begins anew when it is run again: what it has found is in the record, but where
    it stands is known to nobody.

    Args:
        max_steps: rows at most; null for all.
        accelerator: where tensors are: 'auto' (a GPU where there is one), 'cpu', 'gpu'.
        precision: of the data and the model, '32-true' or '64-true'.
    """

    def __init__(self, max_steps: int | None = None, accelerator: str = "cpu", precision: str = "32-true") -> None:
        if accelerator not in ("auto", "cpu", "gpu"):
            raise ValueError(f"accelerator is auto, cpu or gpu, not {accelerator!r}")
        if precision not in ("32-true", "64-true"):
            raise ValueError(f"precision is 32-true or 64-true, not {precision!r}")
        self.max_steps = max_steps
        self.device = torch.device("cpu" if accelerator == "cpu" or not torch.cuda.is_available() else "cuda")
        self.dtype = torch.float64 if precision == "64-true" else torch.float32

    def fit(self, training: Training) -> State:
        """Computes all rows, or as many as it comes to until asked to stop."""
        task, log = training.task, training.log
        if not isinstance(task, Computation):
            raise ConfigError(
                f"trainer=compute carries out computations, but {type(task).__name__} is a task to train.",
                "Leave out trainer=compute, or choose a task that computes.",
            )
        task.to(self.device).eval()
        training.data.to(self.device)
        convert_task(task, self.dtype)
        convert_data(training.data, self.dtype)
        rows = task.rows if self.max_steps is None else min(task.rows, self.max_steps)
        training.observer.started(0, rows)
        training.stop.arm()
        found: dict[str, float | Tensor] = {}
        with undisturbed(), torch.no_grad():
            torch.manual_seed(derive(training.seed, "compute"))
            for step, row in enumerate(islice(task.compute(training.data), self.max_steps)):
                found |= {name: value for name, value in row.items() if isinstance(value, Tensor)}
                metrics = {name: float(value) for name, value in row.items() if not isinstance(value, Tensor)}
                log.add(step, metrics)
                for logger in training.loggers:
                    logger.log_metrics(metrics, step)
                training.observer.evaluated(step, metrics)
                training.observer.advanced(step + 1)
                if training.stop.signal is not None:
                    log.flush()
                    return "interrupted"
        if not log.rows:
            raise ConfigError(f"{type(task).__name__} has computed nothing.")
        keep(found, training)
        log.flush()
        return "complete"
