"""The runs of a study, as its claims read them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from expkit.errors import UserError, did_you_mean
from expkit.studies.curve import Curve
from expkit.studies.sample import Sample

if TYPE_CHECKING:
    import polars
    from numpy.typing import NDArray

    from expkit.records.record import Record

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
        records: of the runs that have one, by id, for what they keep as arrays.
    """

    def __init__(
        self,
        frame: polars.DataFrame,
        history: polars.DataFrame,
        where: str = "",
        lenient: bool = False,
        records: Mapping[str, Record] | None = None,
    ) -> None:
        self.frame = frame
        self.history = history
        self._where = where
        self.lenient = lenient
        self.records = records or {}

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

    def each(self, name: str, function: Callable[[OneRun], float]) -> Sample:
        """A number of each run that ended, made from all that it measured and kept; NaN where it lacks what is asked.

        Args:
            name: of the number, for tables.
            function: is given one run after another.
        """
        values = tuple(self._of_one(function, run) for run in self.single)
        where = f" ({self._where})" if self._where else ""
        return Sample(f"{name}{where}", values, tuple(self.ended["unit"]), self.frame["unit"].n_unique())

    def arrays(self, name: str) -> NDArray:
        """What each run that ended kept under a name, [runs, ...], in the order of `single`.

        Raises:
            UserError: one of them has no such array, or of another shape.
        """
        import numpy as np

        kept = [run.arrays.get(name) for run in self.single]
        if missing := [run.id for run, own in zip(self.single, kept, strict=True) if own is None]:
            known = sorted({key for run in self.single for key in run.arrays})
            raise NotMeasuredError(
                f"{len(missing)} of {len(kept)} runs have kept no array '{name}'.", did_you_mean(name, known, show=30)
            )
        shapes = {own.shape for own in kept if own is not None}
        if len(shapes) > 1:
            raise UserError(f"'{name}' has another shape in another run: {', '.join(map(str, sorted(shapes)))}.")
        return np.stack([own for own in kept if own is not None])

    @cached_property
    def single(self) -> list[OneRun]:
        """The runs that ended, one by one."""
        rows = {str(run[0]): own for run, own in self.history.group_by("run", maintain_order=True)}
        empty = self.history.clear()
        return [
            OneRun(row["run"], row, rows.get(row["run"], empty), self.records.get(row["run"]))
            for row in self.ended.iter_rows(named=True)
        ]

    def _of_one(self, function: Callable[[OneRun], float], run: OneRun) -> float:
        try:
            return float(function(run))
        except (KeyError, IndexError):  # it diverged before it measured that
            if run.keys["state"] == "complete" and not self.lenient:
                raise
            return math.nan

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
        return Runs(frame, self.history, ", ".join(filter(None, [self._where, where])), self.lenient, self.records)

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


@dataclass(frozen=True, eq=False)
class OneRun:
    """One run of a study.

    Args:
        id: of the run.
        keys: its arm, state and seed, and the configuration's keys that the study sets.
        metrics: what it logged, a row for each step.
        record: its record, where it has one.
    """

    id: str
    keys: Mapping[str, Any]
    metrics: polars.DataFrame
    record: Record | None

    @cached_property
    def arrays(self) -> dict[str, NDArray]:
        """What it kept as arrays, by name."""
        return self.record.arrays if self.record is not None else {}

    def line(self, metric: str) -> tuple[NDArray, NDArray]:
        """The steps at which a metric was measured, [n], and its values, [n].

        Raises:
            KeyError: it was not.
        """
        if metric not in self.metrics.columns:
            raise KeyError(metric)
        rows = self.metrics.select("step", metric).drop_nulls()
        return rows["step"].to_numpy(), rows[metric].to_numpy()


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
