"""A training step through the `lightning` engine against a bare PyTorch loop, and against Lightning's own Trainer.

Full-batch gradient descent on a two-layer network, 200 examples x 500 inputs x 150 units: 30 MFLOP forward and 30 for
the gradient of the weights (none of the inputs is needed), as many per step as its name says. The first steps do not
count, so that neither does the start of a Trainer. The engine evaluates and records where it does by default; nothing
else evaluates anything.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from side_by_side import Row, SideBySide
from torch import Tensor
from torch.nn import functional as F

from expkit.data.base import Split
from expkit.data.xor_clusters import XorClusters
from expkit.engines.lightning import LightningEngine, quiet_lightning
from expkit.engines.observer import Observer
from expkit.engines.training import Training
from expkit.models.two_layer_relu import TwoLayerReLU
from expkit.records.metrics import MetricLog
from expkit.seeding import stream
from expkit.tasks.supervised import BinaryClassification

REPEATS, QUICK = 9, 3
DIM, N_TRAIN, WIDTH, LEARNING_RATE = 500, 200, 150, 0.1


def rows(repeats: int, steps: int = 2000, skipped: int = 200) -> list[Row]:
    times = SideBySide(
        {
            "loop": lambda: bare_loop(steps, skipped),
            "engine": lambda: engine(steps, skipped),
            "Trainer": lambda: trainer(steps, skipped, logs=False),
            "Trainer, self.log": lambda: trainer(steps, skipped, logs=True),
        },
        repeats,
    )
    return [
        times.ratio("step, 60 MFLOP: lightning engine / bare loop", "engine", "loop", goal=1.5),
        times.ratio("step, 60 MFLOP: bare Trainer / bare loop", "Trainer", "loop"),
        times.ratio("step, 60 MFLOP: Trainer with self.log / bare loop", "Trainer, self.log", "loop"),
    ]


def bare_loop(steps: int, skipped: int) -> float:
    torch.use_deterministic_algorithms(False)  # the engine leaves it on for the whole process
    split, model, clock = data().splits["train"], network(), Clock(steps, skipped)
    optimizer = torch.optim.SGD([model.hidden], lr=LEARNING_RATE)
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        loss(model, split).backward()
        optimizer.step()
        clock.advanced(step)
    return clock.step_seconds


def engine(steps: int, skipped: int) -> float:
    task, clock = BinaryClassification(network(), n_outputs=1), Clock(steps, skipped)
    task.optimizer_factory = lambda parameters: torch.optim.SGD(parameters, lr=LEARNING_RATE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = MetricLog(folder / "metrics.parquet")
        training = Training(task=task, data=data(), seed=0, log=log, folder=folder, observer=clock)
        LightningEngine(max_steps=steps, accelerator="cpu").fit(training)
    return clock.step_seconds


def trainer(steps: int, skipped: int, logs: bool) -> float:
    """One epoch of so many batches, with nothing that a Trainer can be told to leave out."""
    torch.use_deterministic_algorithms(False)
    quiet_lightning()
    clock = Clock(steps, skipped)
    with tempfile.TemporaryDirectory() as folder:
        lightning.Trainer(
            accelerator="cpu",
            max_steps=steps,
            logger=False,
            callbacks=[_Advance(clock)],
            default_root_dir=folder,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(_Module(logs), itertools.repeat(data().splits["train"], steps))
    return clock.step_seconds


class Clock(Observer):
    """Seconds per step from the step after `skipped` to the last one."""

    def __init__(self, steps: int, skipped: int) -> None:
        self.steps = steps
        self.skipped = skipped

    def advanced(self, step: int) -> None:
        if step == self.skipped:
            self._began = time.perf_counter()
        elif step == self.steps:
            self.step_seconds = (time.perf_counter() - self._began) / (self.steps - self.skipped)


def data() -> XorClusters:
    drawn = XorClusters(DIM, N_TRAIN, 200, mean_norm=5.0, noise_rate=0.1, spec={"shape": [DIM], "classes": 2})
    drawn.setup()
    return drawn


def network() -> TwoLayerReLU:
    with stream(0, "initialization"):
        return TwoLayerReLU([DIM], width=WIDTH, init_scale=0.01)


def loss(model: TwoLayerReLU, split: Split) -> Tensor:
    output = model(split["input"]).squeeze(-1)
    return F.binary_cross_entropy_with_logits(output, split["target"].to(output.dtype))


class _Module(lightning.LightningModule):
    """The least that a Trainer needs."""

    def __init__(self, logs: bool) -> None:
        super().__init__()
        self.model = network()
        self.logs = logs

    def training_step(self, batch: Split, batch_idx: int) -> Tensor:
        value = loss(self.model, batch)
        if self.logs:
            self.log("train/loss", value)
        return value

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD([self.model.hidden], lr=LEARNING_RATE)


class _Advance(lightning.Callback):
    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self.clock.advanced(trainer.global_step)
