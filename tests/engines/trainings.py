"""Small trainings that several tests make, alone or with a second process; run as a script, this is that process.

python trainings.py FOLDER PORT PORT ...     one port for each of `TRAININGS`
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import nn

from expkit.callbacks.intervention import Intervention
from expkit.data.base import Spec, TensorData
from expkit.data.gaussian_mixture import GaussianMixture
from expkit.engines.lightning import LightningEngine
from expkit.engines.observer import Observer
from expkit.engines.training import Training
from expkit.optim.plateau import ReduceLROnPlateau
from expkit.records.metrics import MetricLog, Row
from expkit.tasks.base import Task
from expkit.tasks.supervised import Classification

Callbacks = Sequence[Callable[[], lightning.Callback]]

SHARED = {"accelerator": "cpu", "devices": 2, "strategy": "ddp"}


def fit(folder: Path, *, callbacks: Callbacks = (), **arguments: Any) -> list[Row]:
    """The rows of metrics of a training of a small network on three Gaussians, 71 examples.

    Args:
        arguments: of `training`, and of the engine.
    """
    own = {name: arguments.pop(name) for name in ("batch_size", "schedule", "model", "warnings") if name in arguments}
    made = training(folder, callbacks=callbacks, **own)
    assert LightningEngine(**{"max_steps": 12, "eval_at": 3, **arguments}).fit(made) == "complete"
    return made.log.rows


def training(
    folder: Path,
    *,
    batch_size: Any = 20,
    callbacks: Callbacks = (),
    schedule: Callable[[torch.optim.Optimizer], Any] | None = None,
    model: Callable[[], nn.Module] | None = None,
    warnings: list[str] | None = None,
) -> Training:
    torch.manual_seed(0)
    task = Classification(model() if model else nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)), n_outputs=3)
    task.optimizer_factory = lambda parameters: torch.optim.SGD(parameters, lr=0.3, momentum=0.5)
    task.scheduler_factory = schedule
    return Training(
        task,
        mixture(batch_size),
        seed=4,
        log=MetricLog(None),
        folder=folder,
        callbacks=[make() for make in callbacks],
        observer=Told(warnings),
        rank_command=("true",),  # the second process is there already
    )


def mixture(batch_size: Any = 20) -> TensorData:
    spec: Spec = {"shape": [5], "classes": 3}
    data = GaussianMixture(classes=3, dim=5, separation=2.0, n_train=71, n_test=40, spec=spec, batch_size=batch_size)
    data.setup()
    return data


class Told(Observer):
    def __init__(self, warnings: list[str] | None) -> None:
        self.warnings = [] if warnings is None else warnings

    def warn(self, message: str) -> None:
        self.warnings.append(message)


class OwnOpinion(lightning.Callback):
    """Measures what improves in the second process and not in the first."""

    def __init__(self) -> None:
        self.times = 0

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        self.times += 1
        return {"opinion": -float(rank() * self.times)}


class OwnRounding(Intervention):
    """Changes weights by another amount in each process."""

    def steps(self, max_steps: int) -> list[int]:
        return [3]

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        for parameter in task.parameters():
            parameter.mul_(0.5 + rank())
        return {"acted": 1.0 + rank()}


def rank() -> int:
    return int(os.environ.get("LOCAL_RANK", 0))


TRAININGS: dict[str, dict[str, Any]] = {
    "even shares": {},
    "uneven shares": {"batch_size": 33},
    "an example more in one process": {"batch_size": 3},
    "full batches": {"batch_size": "full"},
    "accumulated gradients": {"batch_size": 7, "accumulate_grad_batches": 3},
    "clipped gradients": {"batch_size": 33, "gradient_clip_val": 0.05},
    "accumulated and clipped": {"batch_size": 9, "accumulate_grad_batches": 2, "gradient_clip_val": 0.05},
    "double precision": {"batch_size": 33, "precision": "64-true"},
    "bfloat16": {"batch_size": 33, "precision": "bf16-mixed"},
    "a schedule that follows a metric": {
        "callbacks": (OwnOpinion,),
        "schedule": lambda optimizer: ReduceLROnPlateau(optimizer, monitor="opinion", patience=0, factor=0.1),
    },
    "a stage": {"callbacks": (OwnRounding,)},
}


def train_along(folder: Path, ports: list[str]) -> None:
    for port, arguments in zip(ports, TRAININGS.values(), strict=True):
        os.environ |= {"MASTER_PORT": port, "LOCAL_RANK": "1"}
        fit(folder, **arguments, **SHARED)


if __name__ == "__main__":
    torch.set_num_threads(1)
    train_along(Path(sys.argv[1]), sys.argv[2:])
