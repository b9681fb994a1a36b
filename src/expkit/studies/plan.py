"""Which runs a study consists of, by composition alone: nothing is run, and torch is not loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import OmegaConf

from expkit import compose
from expkit.compose import Composed
from expkit.errors import ConfigError
from expkit.identity import run_ids
from expkit.overrides import hydra_value
from expkit.sweeps.jobs import compose_jobs
from expkit.sweeps.spaces import spelled_out

DEFAULT_ARM = "default"
LOOKED_AT = 1000
"""Runs of an arm whose ids are made to tell a study from another; of larger arms, evenly spread ones."""


@dataclass(frozen=True)
class Arm:
    """One sweep of a study.

    Args:
        name: of the arm; 'default' in a study that names none.
        overrides: of its sweep, as for `expkit train -m`.
        keys: of the configuration or groups that the study sets.
    """

    name: str
    overrides: tuple[str, ...]
    keys: tuple[str, ...]

    @cached_property
    def jobs(self) -> list[list[str]]:
        """The overrides of each run."""
        return jobs(self.overrides)

    def composed(self, numbers: Sequence[int]) -> list[Composed | ConfigError]:
        """The configurations of some runs, or why they have none."""
        return compose_jobs([], [self.jobs[number] for number in numbers])

    @property
    def looked_at(self) -> list[int]:
        """The numbers of all runs, or of `LOOKED_AT` that are spread evenly, with both ends."""
        count = len(self.jobs)
        if count <= LOOKED_AT:
            return list(range(count))
        return sorted({round(i * (count - 1) / (LOOKED_AT - 1)) for i in range(LOOKED_AT)})


def plan(experiment: str, scale: str = "default", given: Sequence[str] = ()) -> list[Arm]:
    """The arms of an experiment's study; without a study, its single default run (or its sweeper's own parameters).

    Args:
        experiment: its name.
        scale: its size.
        given: further overrides, which win.

    Raises:
        ConfigError: there is no such experiment, or its `study` is not one.
    """
    config = compose.experiment_config(experiment)
    study = config.get("study") or {}
    _check(experiment, study)
    sweep, arms = study.get("sweep") or {}, study.get("arms") or {DEFAULT_ARM: {}}
    shared = [f"experiment={experiment}", *([] if scale == "default" else [f"scale={scale}"])]
    every = tuple(dict.fromkeys([*sweep, *(key for own in arms.values() for key in own or {})]))
    found = []
    for name, own in arms.items():
        settings = {**sweep, **(own or {})}
        overrides = [
            *shared,
            *(f"{key}={_swept(value) if key in sweep else _set(value)}" for key, value in settings.items()),
        ]
        found.append(Arm(name, (*overrides, *given), every))
    return found


def jobs(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of each run of a grid sweep, as Hydra's sweeper hands them out.

    Raises:
        ConfigError: it cannot be composed, or has another sweeper than a grid.
    """
    loader = compose.loader()
    with compose.explained(overrides):
        config = loader.load_configuration(
            compose.ROOT_CONFIG, spelled_out(compose.expand(overrides)), run_mode=RunMode.MULTIRUN
        )
        if config.hydra.runtime.choices["hydra/sweeper"] != "grid":
            raise ConfigError(
                f"The study's sweeper is {config.hydra.runtime.choices['hydra/sweeper']}.",
                "A study's runs are a grid: what it consists of may not depend on its results.",
            )
        params: Any = OmegaConf.to_container(config.hydra.sweeper.get("params") or OmegaConf.create({}), resolve=True)
        task: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
        texts = [*spelled_out(f"{key}={value}" for key, value in params.items()), *task]
        parsed = OverridesParser.create(loader).parse_overrides(texts)
        return [list(job) for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]


def ids(arm: Arm, most: int | None = None) -> list[str]:
    """The run ids of the first of the runs that are looked at, by default of all.

    A run that cannot be composed has its error instead.
    """
    composed = arm.composed(arm.looked_at[:most])
    good = [one for one in composed if isinstance(one, Composed)]
    own = iter(run_ids([one.config for one in good]))
    return [next(own) if isinstance(one, Composed) else str(one) for one in composed]


def config_files(arm: Arm) -> set[str]:
    """The configuration files that an arm's runs are composed from, without `.yaml`: `data/xor_clusters`, ..."""
    found: set[str] = set()
    seen: set[tuple[tuple[str, str], ...]] = set()
    for number, one in zip(arm.looked_at, arm.composed(arm.looked_at), strict=True):
        if not isinstance(one, Composed) or (choices := tuple(sorted(one.choices.items()))) in seen:
            continue
        seen.add(choices)
        files = compose.loader().compute_defaults_list(compose.ROOT_CONFIG, arm.jobs[number], RunMode.RUN)
        found |= {str(file.config_path) for file in files.defaults if file.config_path}
    return {name for name in found if name.partition("/")[0] not in ("hydra", "_dummy_empty_config_")}


def _check(experiment: str, study: Any) -> None:
    """Refuses what is no study."""
    where = f"conf/experiment/{experiment}.yaml: study"
    if not isinstance(study, Mapping) or not set(study) <= {"sweep", "arms"}:
        raise ConfigError(f"{where} has other keys than sweep and arms.", "Write study: {sweep: {seed: range(0,10)}}.")
    for key, value in study.items():
        if value is not None and not isinstance(value, Mapping):
            raise ConfigError(f"{where}.{key} is {value!r}, not keys with values.")
    for name, own in (study.get("arms") or {}).items():
        if own is not None and not isinstance(own, Mapping):
            raise ConfigError(f"{where}.arms.{name} is {own!r}, not keys with values.")


def _swept(value: Any) -> str:
    """The values of a swept key: a list, or text in Hydra's grammar, such as range(0,10) or 1,2,3."""
    if isinstance(value, list):
        return ",".join(_set(item) for item in value)
    return value if isinstance(value, str) and "," in value else _set(value)


def _set(value: Any) -> str:
    """A value in Hydra's grammar; text that calls one of its functions stays as it is."""
    if isinstance(value, str):
        value = value.replace("\\${", "${")  # escaped, so that it is not resolved as a part of the experiment
        return value if re.fullmatch(r"\w+\(.*\)", value) else hydra_value(value)
    return hydra_value(value)
