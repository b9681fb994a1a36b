"""A comparison of runs, from the question to everything that is shown or written of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from expkit.comparing.comparison import GroupResult, MetricResult, add_curves, compare_metric
from expkit.comparing.conclusion import conclusion
from expkit.comparing.directions import Metric, chosen_metrics
from expkit.comparing.groups import Groups, grouped, named
from expkit.comparing.labels import GroupLabels
from expkit.comparing.statistics import Interval
from expkit.errors import ConfigError, UserError, did_you_mean
from expkit.records.logged_rows import read_history
from expkit.records.record import FINISHED

if TYPE_CHECKING:
    import polars

MOST_READ = 1000
"""Runs whose curves are read without being asked for."""


@dataclass
class Report:
    """Everything there is to say.

    Attributes:
        groups: the runs in groups.
        metrics: the results, one for each metric.
        labels: of groups, by number.
        left_out: how many runs are in a state that has no results yet, by state.
        history: the runs over their steps; None where not read.
        step: that was chosen to compare at.
    """

    groups: Groups
    metrics: list[MetricResult]
    labels: GroupLabels
    left_out: dict[str, int]
    history: polars.DataFrame | None
    step: int | None
    notes: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[Metric]:
        return [result.metric for result in self.metrics]

    def conclusions(self) -> list[str]:
        return [said for result in self.metrics if (said := conclusion(result, self.labels, self.groups.pairs))]

    def as_json(self) -> dict[str, Any]:
        """The stable fields of `--json`."""
        return {
            "runs": len(self.groups.frame),
            "left_out": self.left_out,
            "differing": self.groups.differing,
            "groups": [
                {"group": row.pop("_group"), "label": self.labels[number], "config": row}
                for number, row in enumerate(self.groups.table.to_dicts())
            ],
            "metrics": [
                {
                    "metric": result.metric.name,
                    "best_is": result.metric.best,
                    "compared_at": self.step if result.measure == "step" else "end",
                    "conclusion": conclusion(result, self.labels, self.groups.pairs),
                    "groups": [_group_json(group) for group in result.groups],
                }
                for result in self.metrics
            ],
        }

    def table(self) -> polars.DataFrame:
        """One row for each metric and group, as for `--csv`."""
        import polars

        rows = []
        config = {row.pop("_group"): row for row in self.groups.table.to_dicts()}
        for result in self.metrics:
            for group in result.groups:
                row = {"metric": result.metric.name, **config[group.group], "runs": group.runs}
                for name, interval in group.measures.items():
                    row |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
                    row["n"] = interval.n
                rows.append({**row, "is_best": group.is_best, "is_not_worse": group.is_not_worse, "p": group.p})
        return polars.from_dicts(rows, infer_schema_length=None).fill_nan(None)


def report(
    frame: polars.DataFrame,
    metrics: Sequence[str] = (),
    by: Sequence[str] = (),
    step: int | None = None,
    curves: bool | None = None,
    sort: str | None = None,
    shown: int | None = None,
) -> Report:
    """Compares runs.

    Args:
        frame: of `expkit.records.runs`.
        metrics: as `test/acc` or `test/acc:min`; none for accuracy and loss on the test data, or what there is.
        by: keys to group by; none for all that differ but seeds.
        step: to compare at, instead of at the end.
        curves: whether to read the runs over their steps, for best values and curves; None: up to 1000 runs.
        sort: a key or a metric to order groups by; none for each metric by itself.
        shown: how many groups need curves; None for all.

    Raises:
        UserError: there is nothing to compare.
        ConfigError: there is no such metric or key.
    """
    import polars

    states = dict(frame.group_by("state").len().iter_rows())
    finished = frame.filter(polars.col("state").is_in(FINISHED))
    if not len(finished):
        found = ", ".join(f"{count} {state}" for state, count in states.items())
        raise UserError("There are no complete runs to compare" + (f": {found}." if found else "."))
    columns = [name for name in finished.columns if "/" in name]
    asked = chosen_metrics(metrics, columns)
    if not asked:
        raise UserError("These runs have logged no metrics.")
    groups = grouped(finished, by)
    wanted = curves if curves is not None else len(finished) <= MOST_READ
    names = [metric.name for metric in asked]
    history = read_history(groups.frame, names) if wanted or step is not None else None
    if history is not None and not len(history):
        history = None
    if history is None and step is not None:
        raise UserError("These runs have no values at steps; their last values can be compared without --step.")
    if history is not None:
        history = _with_all(history, names)
    results = [compare_metric(groups, metric, history, step) for metric in asked]
    if sort is not None:
        _sort(results, groups, sort)
    if history is not None:
        for result in results:
            add_curves(result, groups, history, [group.group for group in result.groups[:shown]])
    left_out = {state: count for state, count in sorted(states.items()) if state not in FINISHED}
    notes = _notes(finished, history is None and curves is None, step, history)
    return Report(groups, results, GroupLabels(groups), left_out, history, step, notes)


def _with_all(history: polars.DataFrame, names: Sequence[str]) -> polars.DataFrame:
    import polars

    missing = [name for name in names if name not in history.columns]
    return history.with_columns(polars.lit(None, polars.Float64).alias(name) for name in missing)


def _notes(finished: polars.DataFrame, unread: bool, step: int | None, history: polars.DataFrame | None) -> list[str]:
    notes = []
    diverged = finished.filter(finished["state"] == "diverged").height
    if diverged:
        notes.append(f"{diverged} of the runs diverged; where they have no value, n is smaller.")
    if unread and finished.height > MOST_READ:
        notes.append(f"Best values and curves of more than {MOST_READ:,} runs are read with --curves.")
    if step is not None and history is not None and not len(history.filter(history["step"] == step)):
        notes.append(f"No run was evaluated at step {step}: of each, the last evaluation before it counts.")
    return notes


def _sort(results: list[MetricResult], groups: Groups, sort: str) -> None:
    """Orders all tables alike: by a key upwards, or by a metric, best first."""
    name, _, _ = sort.partition(":")
    for result in results:
        if result.metric.name == name:
            order = {group.group: place for place, group in enumerate(result.groups)}
            break
    else:
        key = named(name, groups.table.columns)
        if key is None:
            known = [*groups.differing, *(result.metric.name for result in results)]
            raise ConfigError(f"Groups cannot be ordered by '{sort}'.", did_you_mean(name, known))
        order = {number: place for place, number in enumerate(groups.table.sort(key, nulls_last=True)["_group"])}
    for result in results:
        result.groups.sort(key=lambda group: order[group.group])


def _group_json(group: GroupResult) -> dict[str, Any]:
    found = group.against_best
    return {
        "group": group.group,
        "runs": group.runs,
        **{name: _interval_json(interval) for name, interval in group.measures.items()},
        "is_best": group.is_best,
        "is_not_worse": group.is_not_worse,
        "worse_than_best_by": _interval_json(found.interval) if found else None,
        "p": _finite(group.p),
        "paired": found.paired if found else None,
    }


def _interval_json(interval: Interval) -> dict[str, Any]:
    return {
        "mean": _finite(interval.mean),
        "interval": [_finite(interval.low), _finite(interval.high)],
        "n": interval.n,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
