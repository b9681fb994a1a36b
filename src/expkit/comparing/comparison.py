"""Groups of runs against each other: what came of each, which is best, and whether that is more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from expkit.comparing.directions import Metric
from expkit.comparing.groups import Groups
from expkit.comparing.statistics import Difference, Interval, difference, holm
from expkit.comparing.student_t import quantile

if TYPE_CHECKING:
    import polars

MOST_TESTED = 1000
"""Groups that are tested against the best."""


@dataclass(slots=True)
class GroupResult:
    """One group and one metric.

    Attributes:
        group: its number.
        runs: how many runs it has, with or without the metric.
        measures: by name ('final', 'best', 'step'), the mean over runs with its interval.
        curve: the mean over runs at each logged step: (steps, means), empty where not read.
        against_best: the difference to the best group; None for that itself, and where not tested.
        p: of that difference, adjusted (Holm) for the number of groups.
    """

    group: int
    runs: int
    measures: dict[str, Interval]
    curve: tuple[Sequence[int], Sequence[float]] = ((), ())
    against_best: Difference | None = None
    p: float = math.nan
    is_best: bool = False

    @property
    def is_not_worse(self) -> bool:
        """Not significantly worse than the best, which has to be more than a lack of data."""
        return not self.is_best and self.p >= 0.05


@dataclass
class MetricResult:
    """One metric over all groups, best first.

    Attributes:
        measure: what groups are ordered and tested by: 'final', or 'step' where one was chosen.
    """

    metric: Metric
    measure: str
    groups: list[GroupResult]
    is_tested: bool


def compare_metric(
    groups: Groups, metric: Metric, history: polars.DataFrame | None = None, step: int | None = None
) -> MetricResult:
    """Compares groups by one metric.

    Args:
        groups: of runs.
        metric: and which way it is better.
        history: of the runs, with 'path', where best values, a step or curves are wanted.
        step: to compare at: of each run the last value that was logged up to it.
    """
    values = {"final": groups.frame.select("_group", "_pair", value=metric.name)}
    if history is not None:
        rows = history.select("path", "step", value=metric.name).drop_nulls("value")
        values["best"] = _joined(groups, _best(rows, metric))
        if step is not None:
            values["step"] = _joined(groups, _at(rows, step))
    measure = "final" if step is None else "step"
    intervals = {name: _intervals(frame) for name, frame in values.items()}
    sizes = dict(groups.frame.group_by("_group").len().iter_rows())
    nothing = Interval(math.nan, math.nan, math.nan, 0)
    results = [
        GroupResult(number, sizes[number], {name: own.get(number, nothing) for name, own in intervals.items()})
        for number in range(groups.count)
    ]
    results.sort(key=lambda result: _order(result.measures[measure].mean, metric))
    tested = 1 < len(results) <= MOST_TESTED
    if results and results[0].measures[measure].n:
        results[0].is_best = len(results) > 1
        if tested:
            _test(results, _by_pair(values[measure]))
    return MetricResult(metric, measure, results, tested)


def add_curves(result: MetricResult, groups: Groups, history: polars.DataFrame, wanted: Sequence[int]) -> None:
    """Gives the groups of these numbers their mean curves."""
    import polars

    name = result.metric.name
    paths = groups.frame.filter(polars.col("_group").is_in(list(wanted))).select("_group", "path")
    means = (
        history.select("path", "step", value=name)
        .drop_nulls("value")
        .join(paths, on="path")
        .group_by("_group", "step")
        .agg(polars.col("value").mean())
        .sort("step")
    )
    for own in result.groups:
        curve = means.filter(polars.col("_group") == own.group)
        own.curve = curve["step"].to_list(), curve["value"].to_list()


def _joined(groups: Groups, values: polars.DataFrame) -> polars.DataFrame:
    return groups.frame.select("_group", "_pair", "path").join(values, on="path", how="left").drop("path")


def _best(rows: polars.DataFrame, metric: Metric) -> polars.DataFrame:
    import polars

    value = polars.col("value").fill_nan(None)
    return rows.group_by("path").agg(value.min() if metric.best == "min" else value.max())


def _at(rows: polars.DataFrame, step: int) -> polars.DataFrame:
    import polars

    before = rows.filter(polars.col("step") <= step).sort("step")
    return before.group_by("path").agg(polars.col("value").last())


def _intervals(values: polars.DataFrame) -> dict[int, Interval]:
    """Of the mean of each group that has a value."""
    import polars

    value = polars.col("value").cast(polars.Float64).fill_nan(None)
    found = values.group_by("_group").agg(
        value.mean().alias("mean"), value.std().alias("std"), value.count().alias("n")
    )
    return {group: _interval(mean, std, n) for group, mean, std, n in found.iter_rows() if n}


def _interval(mean: float, std: float | None, n: int) -> Interval:
    half = math.nan if std is None else quantile(n - 1.0, 0.975) * std / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


Pairs = dict[int, dict[Any, list[float]]]


def _by_pair(values: polars.DataFrame) -> Pairs:
    found: Pairs = {}
    for group, pair, value in values.select("_group", "_pair", "value").iter_rows():
        if value is not None and not math.isnan(value):
            found.setdefault(group, {}).setdefault(pair, []).append(value)
    return found


def _test(results: Sequence[GroupResult], pairs: Pairs) -> None:
    """Each against the first."""
    best = results[0].group
    others = [result for result in results[1:] if result.group in pairs]
    for result in others:
        result.against_best = difference(pairs[best], pairs[result.group])
    adjusted = holm([result.against_best.p for result in others if result.against_best])
    for result, p in zip(others, adjusted, strict=True):
        result.p = p


def _order(mean: float, metric: Metric) -> tuple[bool, float]:
    return math.isnan(mean), -metric.sign * mean if not math.isnan(mean) else 0.0
