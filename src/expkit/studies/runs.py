"""The runs of a study, as its claims read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from expkit.errors import UserError, did_you_mean
from expkit.studies.curve import Curve
from expkit.studies.sample import Sample

if TYPE_CHECKING:
    import polars

ENDED = ("complete", "diverged", "pruned")
"""States of runs that have measured all they will; what such a run lacks counts as not finite, and not as missing."""
FACTS = ("run", "arm", "unit", "state")


class NotMeasuredError(UserError):
    """A claim asks for what no run has."""


class Runs:
    """Runs of a study: all of them, or those of an arm, or where some keys have some values.

    Args:
        frame: one row a run: 'run' (its id), 'arm', 'unit' (what makes runs independent of each other: their seed, in
            words), 'state', 'seed', and the configuration's keys that the study sets, by dotted name.
        history: one row for each run and logged step: 'run', 'step', and a column for each metric.
        where: these runs are, in words.
        lenient: give values that are not finite for what no run has measured, instead of an error: for studies whose
            configuration was changed.
    """

    def __init__(
        self, frame: polars.DataFrame, history: polars.DataFrame, where: str = "", lenient: bool = False
    ) -> None:
        self.frame = frame
        self.history = history
        self._where = where
        self.lenient = lenient

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def arms(self) -> list[str]:
        return self.frame["arm"].unique(maintain_order=True).to_list()

    @property
    def metrics(self) -> list[str]:
        return [name for name in self.history.columns if name not in ("run", "step")]

    def arm(self, name: str) -> Runs:
        """The runs of one arm."""
        if name not in self.arms:
            raise UserError(f"The study has no arm '{name}'.", did_you_mean(name, self.arms))
        return self._only(self.frame.filter(self.frame["arm"] == name), f"arm {name}")

    def where(self, *conditions: Mapping[str, Any] | polars.Expr, **values: Any) -> Runs:
        """Runs whose keys have these values: `where({"model.width": 10})`, `where(seed=3)`, or polars expressions."""
        import polars

        frame, words = self.frame, []
        for condition in (*conditions, values):
            if isinstance(condition, polars.Expr):
                frame = frame.filter(condition)
                words.append(str(condition))
                continue
            for key, value in condition.items():
                if key not in frame.columns:
                    raise UserError(f"The study's runs have no key '{key}'.", did_you_mean(key, self._keys))
                frame = frame.filter(polars.col(key) == value)
                words.append(f"{key}={value}")
        return self._only(frame, ", ".join(words))

    def by(self, key: str) -> dict[Any, Runs]:
        """The runs for each value of a key, in ascending order."""
        if key not in self.frame.columns:
            raise UserError(f"The study's runs have no key '{key}'.", did_you_mean(key, self._keys))
        return {value: self.where({key: value}) for value in sorted(self.frame[key].unique().to_list())}

    def at(self, step: int) -> Snapshot:
        """What was measured at a step."""
        return Snapshot(self, self.history.filter(self.history["step"] == step), f"at step {step}")

    def last(self) -> Snapshot:
        """The last value of every metric."""
        return Snapshot(self, self._last, "at the end")

    def __getitem__(self, name: str) -> Sample:
        """The last values of a metric, or the values of a key of the configuration."""
        import polars

        if name in self.frame.columns:
            return self._sample(name, self.ended.select("run", "unit", polars.col(name).alias("value")))
        return self.last()[name]

    def curve(self, metric: str) -> Curve:
        """A metric over the steps at which it was measured, a line for each run that ended."""
        import numpy as np

        self._check(metric, self.metrics)
        rows = self.history.filter(self.history["run"].is_in(self.ended["run"].to_list()))
        rows = rows.select("run", "step", metric).drop_nulls() if metric in self.metrics else rows.select("run").clear()
        lines = {run[0]: (own["step"].to_numpy(), own[metric].to_numpy()) for run, own in rows.group_by("run")}
        empty = np.array([]), np.array([])
        name = " ".join(filter(None, [metric, self._where and f"({self._where})"]))
        drawn = tuple(lines.get(run, empty) for run in self.ended["run"])
        return Curve(name, drawn, tuple(self.ended["unit"]), self.frame["unit"].n_unique())

    @cached_property
    def ended(self) -> polars.DataFrame:
        """The runs that ended, whatever came of them; none of a seed that lacks one, which would not be comparable."""
        import polars

        return self.frame.filter(polars.col("state").is_in(ENDED).all().over("unit"))

    @property
    def _keys(self) -> list[str]:
        return [name for name in self.frame.columns if name not in FACTS]

    @cached_property
    def _last(self) -> polars.DataFrame:
        import polars

        return self.history.sort("run", "step").group_by("run").agg(polars.all().drop_nulls().last())

    def _only(self, frame: polars.DataFrame, where: str) -> Runs:
        if frame.is_empty():
            raise UserError(f"The study has no runs with {where}.", f"It has: {', '.join(self._keys)}.")
        return Runs(frame, self.history, ", ".join(filter(None, [self._where, where])), self.lenient)

    def _check(self, metric: str, known: list[str]) -> None:
        if metric not in known and not self.lenient:
            raise NotMeasuredError(f"No run of the study has logged '{metric}'.", did_you_mean(metric, known, show=30))

    def _sample(self, name: str, rows: polars.DataFrame) -> Sample:
        import polars

        column = rows.columns[-1]
        if not (rows[column].dtype.is_numeric() or rows[column].dtype == polars.Boolean):
            raise UserError(f"'{name}' is not a number.")
        values = tuple(math.nan if value is None else float(value) for value in rows[column])
        where = f" ({self._where})" if self._where else ""
        return Sample(f"{name}{where}", values, tuple(rows["unit"]), self.frame["unit"].n_unique())


class Snapshot:
    """Metrics of runs at one point in time: `snapshot["test/acc"]` has one value for each run that ended."""

    def __init__(self, runs: Runs, rows: polars.DataFrame, when: str) -> None:
        self._runs = runs
        self._rows = rows
        self._when = when

    def __getitem__(self, metric: str) -> Sample:
        import polars

        runs = self._runs
        runs._check(metric, runs.metrics)
        values = self._rows.select("run", metric) if metric in self._rows.columns else None
        joined = (
            runs.ended.select("run", "unit", polars.lit(None, polars.Float64).alias(metric))
            if values is None
            else runs.ended.select("run", "unit").join(values, on="run", how="left", maintain_order="left")
        )
        if len(joined) and joined[metric].is_null().all() and not runs.lenient:
            steps = sorted(runs.history.filter(polars.col(metric).is_not_null())["step"].unique().to_list())
            raise NotMeasuredError(
                f"No run of the study has '{metric}' {self._when}.",
                f"It was measured at: {', '.join(map(str, steps[:30]))}{', ...' if len(steps) > 30 else ''}.",
            )
        return runs._sample(f"{metric} {self._when}", joined)
