"""A small regression and the engine that trains it, with callbacks built from the library's own YAML files."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from expkit.build import build
from expkit.data.base import Split, TensorData
from expkit.engines.lightning import LightningEngine
from expkit.engines.stopping import StopRequest
from expkit.engines.training import Training
from expkit.probes.base import Probe
from expkit.records.metrics import MetricLog
from expkit.tasks.base import Task
from expkit.tasks.supervised import Regression

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Sines(TensorData):
    """Two sines of four inputs."""

    def draw(self) -> dict[str, Split]:
        return {name: self._split(name, n) for name, n in {"train": 32, "test": 16}.items()}

    def _split(self, name: str, n: int) -> Split:
        inputs = torch.randn(n, 4, generator=self.generator(name))
        return {"input": inputs, "target": (2 * inputs[:, :2]).sin()}


class Weights(Probe):
    """Keeps the weights that each evaluation point sees, and those after each step."""

    def __init__(self) -> None:
        self.evaluated: dict[int, Tensor] = {}
        self.trained: list[Tensor] = []

    def on_train_batch_end(self, trainer: lightning.Trainer, task: Any, *_: Any) -> None:
        self.trained.append(self.flat(task.model))

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        self.evaluated[task.trainer.global_step] = self.flat(task.model)
        return {}

    @staticmethod
    def flat(model: nn.Module) -> Tensor:
        return torch.cat([p.detach().flatten() for p in model.parameters()])


class StopAfter(lightning.Callback):
    """Asks a training to stop after a step, as a signal does."""

    def __init__(self, step: int, stop: StopRequest) -> None:
        self.step = step
        self.stop = stop

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            self.stop.signal = signal.SIGTERM


@pytest.fixture
def callback() -> Callable[..., lightning.Callback]:
    """Builds the callback of conf/callbacks/<option>.yaml."""

    def built(option: str, **changes: Any) -> lightning.Callback:
        node: Any = OmegaConf.to_container(OmegaConf.load(CONF / "callbacks" / f"{option}.yaml"))
        ((name, arguments),) = node.items()
        return build({**arguments, **changes}, f"callbacks.{name}")

    return built


@pytest.fixture
def weights() -> Weights:
    return Weights()


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., tuple[Task, MetricLog, str]]:
    """Trains for some steps, from the start or from a checkpoint, and returns task, metrics and final state."""

    def run(
        *callbacks: lightning.Callback,
        max_steps: int = 10,
        eval_at: int | Sequence[int] = 1,
        model: nn.Module | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] = lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
        scheduler: Any = None,
        task_class: type[Task] = Regression,
        log: MetricLog | None = None,
        resume: Path | None = None,
        stop_after: int = -1,
        folder: Path = tmp_path,
    ) -> tuple[Task, MetricLog, str]:
        data = Sines(spec={"shape": [4], "targets": 2}, batch_size=8)
        data.setup()
        if model is None:
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        task = task_class(model, n_outputs=2)
        task.optimizer_factory, task.scheduler_factory = optimizer, scheduler
        training = Training(task, data, seed=0, log=log or MetricLog(None), folder=folder, resume=resume)
        training.callbacks = [*callbacks, StopAfter(stop_after, training.stop)]
        state = LightningEngine(max_steps=max_steps, eval_at=eval_at, accelerator="cpu").fit(training)
        return task, training.log, state

    return run
