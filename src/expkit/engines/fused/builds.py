"""What many configurations describe, with each thing that several of them share built once."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from expkit.build import build
from expkit.data.base import TensorData
from expkit.engines.fused.data_sets import DataSets
from expkit.engines.fused.not_fusable import NotFusable
from expkit.engines.fused.stacked_training import StackedTraining
from expkit.probes.base import StepStatistic
from expkit.run import build_callbacks, prepare_task
from expkit.tasks.base import Task

Config = Mapping[str, Any]
T = TypeVar("T")
MODEL_PARTS = ("model", "transforms", "task")
"""What a task is made of, besides its seed."""


@dataclass(frozen=True)
class Builds:
    """The task and the data of each run. Runs that start alike have one task, runs on the same data one data set."""

    tasks: list[Task]
    data: list[TensorData]


def build_all(configs: Sequence[Config], data_sets: DataSets | None = None) -> Builds:
    """Builds the data and the task of every run, the model at initialization, and makes sure that they fit together.

    Data are one object for all runs whose `data` is equal (it has the seed that they are drawn by); tasks for all whose
    `seed`, `model`, `transforms` and `task` are.

    Args:
        configs: resolved; parts that several of them share as objects are read once.
        data_sets: that were drawn before, and take up those that are drawn now.

    Raises:
        NotFusable: they are no trainings.
        ConfigError: something cannot be built, or does not go together.
    """
    _require_training(configs[0])
    known = DataSets() if data_sets is None else data_sets
    text = _texts()
    data = _each_once(
        configs,
        lambda config: text(config["data"]),
        lambda config: known.get(text(config["data"]), lambda: _data(config)),
    )
    tasks = _each_once(
        configs, lambda config: (config["seed"], *(text(config.get(part)) for part in MODEL_PARTS)), prepare_task
    )
    checked: set[Hashable] = set()
    for config, task, own in zip(configs, tasks, data, strict=True):
        structure = tuple(text(config.get(part)) for part in MODEL_PARTS)
        if structure not in checked:  # data that are drawn from another seed have the same shape
            task.check(own.splits["train"])
            checked.add(structure)
    return Builds(tasks, data)


def stacked(configs: Sequence[Config], data_sets: DataSets | None = None) -> StackedTraining:
    """The training of these runs as one, without anything that is kept or told of each.

    Args:
        configs, data_sets: see `build_all`.

    Raises:
        NotFusable: they differ in more than numbers, or need what the fused engine does not do.
        ConfigError: something cannot be built, or does not go together.
    """
    first = configs[0]
    builds = build_all(configs, data_sets)
    return StackedTraining(
        build(first["trainer"], "trainer"),
        tasks=builds.tasks,
        data=builds.data,
        seeds=[config["seed"] for config in configs],
        optimizers=[config["optimizer"] for config in configs],
        schedulers=[config["scheduler"] for config in configs],
        clip=[config["trainer"]["gradient_clip_val"] for config in configs],
        statistics=[one for one in build_callbacks(first) if isinstance(one, StepStatistic)],
    )


def _require_training(config: Config) -> None:
    if config["trainer"]["_target_"] != "expkit.engines.lightning.LightningEngine":
        raise NotFusable("trainer", "it computes and does not train")


def _data(config: Config) -> TensorData:
    data: TensorData = build(config["data"], "data")
    data.setup()
    return data


def _each_once(configs: Sequence[Config], key: Callable[[Config], Hashable], make: Callable[[Config], T]) -> list[T]:
    made: dict[Hashable, T] = {}
    keys = [key(config) for config in configs]
    for own, config in zip(keys, configs, strict=True):
        if own not in made:
            made[own] = make(config)
    return [made[own] for own in keys]


def _texts() -> Callable[[Any], str]:
    """A function that gives the same text for equal parts of configurations, and reads each object once."""
    known: dict[int, str] = {}

    def text(part: Any) -> str:
        if id(part) not in known:
            known[id(part)] = json.dumps(part, sort_keys=True, allow_nan=True)
        return known[id(part)]

    return text
