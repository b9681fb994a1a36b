"""A comparison in the terminal: what differs, a table for each metric, and what it says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from expkit.comparing.comparison import GroupResult, MetricResult
from expkit.comparing.conclusion import conclusion
from expkit.comparing.labels import common, text, title, with_interval
from expkit.comparing.sparkline import interval_bar, sparkline

if TYPE_CHECKING:
    from expkit.comparing.report import Report

SIDE_BY_SIDE = 4
"""Groups that a table of differences has a column for."""
DIFFERENCES = 12
"""Keys of that table."""


def show(report: Report, console: Console, limit: int = 30) -> None:
    """Prints it, as wide as the console is."""
    utf8 = (console.encoding or "").lower().startswith("utf")
    console.print(_heading(report))
    if report.groups.differing:
        console.print()
        console.print(_differences(report, console.width))
    for result in report.metrics:
        console.print()
        console.print(_heading_of(result, report))
        console.print(_table(result, report, console.width, utf8, limit))
        if len(result.groups) > limit > 0:
            console.print(Text(f"{limit} of {len(result.groups)} groups; --limit 0 shows all.", style="dim"))
        if said := conclusion(result, report.labels, report.groups.pairs):
            significant = "significantly" in said and "none of" not in said
            said = said.replace(" %", "\u00a0%") if utf8 else said
            console.print(Padding(Text(said, style="bold green" if significant else "bold yellow"), (0, 0, 0, 2)))
    for note in _legend(report, utf8) + report.notes:
        console.print(Text(note, style="dim"))


def _heading(report: Report) -> Text:
    groups = report.groups
    experiments = groups.frame["experiment"].unique(maintain_order=True).to_list()
    named = ", ".join(experiments[:3]) + (f" and {len(experiments) - 3} more" if len(experiments) > 3 else "")
    sizes = groups.frame.group_by("_group").len()["len"].to_list()
    low, high = min(sizes), max(sizes)
    each = (
        f"{low} runs each" if low == high and low != 1 else "1 run each" if high == 1 else f"{low} to {high} runs each"
    )
    runs = f"{len(groups.frame):,} run{'s' if len(groups.frame) != 1 else ''}"
    line = Text.assemble((runs, "bold"), f" of {named}")
    if groups.count > 1:
        line.append(f" in {groups.count:,} groups, {each}")
    if report.left_out:
        line.append(
            "  left out: " + ", ".join(f"{count} {state}" for state, count in report.left_out.items()), "yellow"
        )
    return line


def _differences(report: Report, width: int) -> Table:
    """The keys that differ: side by side for a few groups, else with the values that there are."""
    groups = report.groups
    keys = [key for key in groups.differing if not (key.endswith("._target_") and _has_name(key, groups.differing))]
    keys.sort(key=lambda key: key not in groups.labels)  # stable: those that tell groups apart come first
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("what differs", no_wrap=True, overflow="ellipsis")
    side_by_side = groups.count <= SIDE_BY_SIDE
    rows = {row["_group"]: row for row in groups.table.head(SIDE_BY_SIDE).iter_rows(named=True)}
    if side_by_side:
        for number in rows:
            table.add_column(report.labels[number], overflow="fold", max_width=max(12, width // (len(rows) + 1)))
    else:
        table.add_column("values", overflow="fold")
    for key in keys[:DIFFERENCES]:
        style = "bold" if key in groups.labels else ""
        name = Text(key.removesuffix(".name"), style=style)
        if side_by_side:
            table.add_row(name, *(Text(text(row[key]), style=style) for row in rows.values()))
        else:
            values = common(groups.table[key].unique(maintain_order=True))
            more = f", ... ({len(values)} values)" if len(values) > 8 else ""
            table.add_row(
                name, Text((", ".join(values[:8]) if not more else f"{', '.join(values[:5])}{more}"), style=style)
            )
    if len(keys) > DIFFERENCES:
        table.add_row(Text(f"and {len(keys) - DIFFERENCES} more: --json", style="dim"))
    return table


def _has_name(key: str, keys: list[str]) -> bool:
    return f"{key.removesuffix('._target_')}.name" in keys


def _heading_of(result: MetricResult, report: Report) -> Text:
    better = {"min": "smaller is better", "max": "larger is better", None: "no direction known"}[result.metric.best]
    when = "" if result.measure == "final" else f", compared at step {report.step}"
    return Text.assemble((result.metric.name, "bold cyan"), (f"  {better}{when}", "dim"))


def _table(result: MetricResult, report: Report, width: int, utf8: bool, limit: int) -> Table:
    shown = result.groups[:limit] if limit > 0 else result.groups
    labels = report.groups.labels
    config = {group.group: report.groups.table.row(group.group, named=True) for group in shown}
    measures = _measures(shown, width)
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("", width=1)
    for key in labels:
        numbers = report.groups.table[key].dtype.is_numeric()
        table.add_column(title(key, labels), justify="right" if numbers else "left", overflow="ellipsis", no_wrap=True)
    table.add_column("n", justify="right")
    for name in measures:
        table.add_column(f"step {report.step}" if name == "step" else name, justify="right", no_wrap=True)
    graphs = _Graphs(shown, result.measure, width, utf8)
    for column in graphs.headers:
        table.add_column(column, no_wrap=True)
    for group in shown:
        mark, style = _mark(group, utf8)
        cells = [Text(text(config[group.group][key])) for key in labels]
        n = group.measures[result.measure].n
        count = str(n) if n == group.runs else f"{n}/{group.runs}"
        own = [Text(with_interval(group.measures[name], "±" if utf8 else "+-")) for name in measures]
        table.add_row(Text(mark), *cells, count, *own, *graphs.cells(group), style=style)
    return table


def _measures(shown: list[GroupResult], width: int) -> list[str]:
    """What there is room for: the chosen step or the end first."""
    there = [name for name in ("step", "final", "best") if any(name in group.measures for group in shown)]
    return there if width >= 100 else there[:2]


def _mark(group: GroupResult, utf8: bool) -> tuple[str, str]:
    if group.is_best:
        return ("★" if utf8 else "*"), "bold green"
    if group.is_not_worse:
        return ("≈" if utf8 else "~"), "green"
    return "", ""


class _Graphs:
    """Small graphs on axes that all groups share."""

    def __init__(self, shown: list[GroupResult], measure: str, width: int, utf8: bool) -> None:
        self.utf8, self.measure = utf8, measure
        self.bar_width = (30 if width >= 140 else 18) if width >= 100 and len(shown) > 1 else 0
        ends = [
            end
            for group in shown
            for end in (group.measures[measure].low, group.measures[measure].mean, group.measures[measure].high)
            if math.isfinite(end)
        ]
        self.ends = (min(ends), max(ends)) if ends else (0.0, 0.0)
        if not self.ends[1] > self.ends[0]:
            self.bar_width = 0
        values = [value for group in shown for value in group.curve[1] if math.isfinite(value)]
        self.log = bool(values) and min(values) > 0 and max(values) > 100 * min(values)
        steps = [step for group in shown for step in group.curve[0]]
        longest = max((len(group.curve[1]) for group in shown), default=0)
        self.curve_width = min(longest, 12 if width < 100 else 16 if width < 140 else 28) if longest > 1 else 0
        self.range = (self._scaled(min(values)), self._scaled(max(values))) if values else (0.0, 0.0)
        self.steps = (min(steps), max(steps)) if steps else (0, 0)

    @property
    def headers(self) -> list[str]:
        bar = ["95 % interval"] if self.bar_width else []
        log = ", log" if self.log else ""
        curve = [f"steps {self.steps[0]} to {self.steps[1]}{log}"] if self.curve_width else []
        return [*bar, *curve]

    def cells(self, group: GroupResult) -> list[Text]:
        cells = []
        if self.bar_width:
            cells.append(Text(interval_bar(group.measures[self.measure], *self.ends, self.bar_width, self.utf8)))
        if self.curve_width:
            curve = [self._scaled(value) for value in group.curve[1]]
            cells.append(Text(sparkline(curve, *self.range, self.curve_width, self.utf8), style="cyan"))
        return cells

    def _scaled(self, value: float) -> float:
        if not self.log:
            return value
        return math.log(value) if value > 0 and math.isfinite(value) else math.nan


def _legend(report: Report, utf8: bool) -> list[str]:
    parts = []
    if any(not math.isnan(i.low) for r in report.metrics for g in r.groups for i in g.measures.values()):
        parts.append("mean ± 95 % interval over runs" if utf8 else "mean +- 95 % interval over runs")
    if any(group.is_best for result in report.metrics for group in result.groups):
        parts.append(f"{'★' if utf8 else '*'} best")
    if any(group.is_not_worse for result in report.metrics for group in result.groups):
        parts.append(f"{'≈' if utf8 else '~'} not significantly worse (Holm)")
    return [" · ".join(parts) if utf8 else "; ".join(parts)] if parts else []
