"""Trainings from overrides, for tests of the fused engine: as a stack without records, and one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expkit.build import build
from expkit.compose import compose
from expkit.engines.fused.builds import build_all, stacked
from expkit.engines.fused.engine import Fit, FusedEngine
from expkit.engines.lightning import LightningEngine
from expkit.engines.training import Training
from expkit.records.metrics import MetricLog
from expkit.run import build_callbacks

__all__ = ["alone", "configs", "engine", "stacked", "trainings"]

Config = Mapping[str, Any]


def configs(*overrides: str, sweep: Sequence[str]) -> list[Config]:
    """A configuration for each of the sweep's overrides (several are separated by blanks)."""
    return [compose([*overrides, *one.split(), "logger=none"]).config for one in sweep]


def trainings(runs: Sequence[Config], folder: Path) -> list[Training]:
    builds = build_all(runs)
    return [
        Training(
            task=task,
            data=data,
            seed=config["seed"],
            log=MetricLog(_made(folder / name_of(config)) / "metrics.parquet"),
            folder=folder / name_of(config),
            callbacks=build_callbacks(config),
        )
        for config, task, data in zip(runs, builds.tasks, builds.data, strict=True)
    ]


def engine(runs: Sequence[Config]) -> FusedEngine:
    return FusedEngine(
        settings(runs[0]),
        optimizers=[config["optimizer"] for config in runs],
        schedulers=[config["scheduler"] for config in runs],
        clip=[config["trainer"]["gradient_clip_val"] for config in runs],
    )


def fit(runs: Sequence[Config], folder: Path, **arguments: Any) -> Fit:
    return engine(runs).prepare(trainings(runs, folder), **arguments)


def alone(config: Config, folder: Path) -> tuple[str, list[dict[str, Any]]]:
    """How a run ends in the lightning engine, and its rows of metrics."""
    (training,) = trainings([config], folder)
    state = settings(config).fit(training)
    return state, training.log.rows


def settings(config: Config) -> LightningEngine:
    made = build(config["trainer"], "trainer")
    assert isinstance(made, LightningEngine)
    return made


def name_of(config: Config) -> str:
    """A folder's name for a run, which stands for its id."""
    return f"seed{config['seed']}-{'-'.join(f'{v}' for v in config['optimizer'].values() if isinstance(v, float))}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
