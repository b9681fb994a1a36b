"""A comparison as a picture: curves with bands, a heat map of two keys, or parallel coordinates of more."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.comparing.comparison import MetricResult
from expkit.comparing.labels import text, title
from expkit.comparing.statistics import mean_interval
from expkit.errors import ConfigError

if TYPE_CHECKING:
    from expkit.comparing.report import Report

# Wong's palette, which the common kinds of colour blindness leave distinguishable; line styles repeat the colours.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "v", "D", "P", "X", "*")
MOST_CURVES = 8
SUFFIXES = (".png", ".pdf", ".svg")


def draw(report: Report, path: Path) -> None:
    """Draws what suits the groups: curves of up to eight; of more, a heat map where two numbers tell them apart, a line
    with its band where one does, and parallel coordinates else.

    Raises:
        ConfigError: the file's name does not end in a kind of picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"'{path}' is not the name of a picture.", f"It ends in {', '.join(SUFFIXES)}.")
    labels = report.groups.labels
    numeric = [key for key in labels if _is_numeric(report, key)]
    curves = any(group.curve[0] for result in report.metrics for group in result.groups)
    if (curves and report.groups.count <= MOST_CURVES) or not labels:
        panel, size = (_curves if curves else _bars), (4.8, 3.6)
    elif len(labels) == 1:
        panel, size = (_against_key if numeric else _bars), (4.8, 3.6)
    elif len(labels) == 2:
        panel, size = _heat_map, (5.2, 4.2)
    else:
        panel, size = _parallel, (max(6.0, 1.5 * (len(labels) + 1)), 4.2)
    stack = panel is _parallel
    count = len(report.metrics)
    shape, width, height = ((count, 1), size[0], size[1] * count) if stack else ((1, count), size[0] * count, size[1])
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    for result, axes in zip(report.metrics, figure.subplots(*shape, squeeze=False).flatten(), strict=True):
        panel(report, result, axes)
    figure.savefig(path, dpi=160)


def _curves(report: Report, result: MetricResult, axes: Any) -> None:
    """Mean over runs at each step, with its 95 % interval as a band."""
    import polars

    assert report.history is not None
    name = result.metric.name
    frame = report.history.select("path", "step", value=name).drop_nulls("value")
    frame = frame.join(report.groups.frame.select("path", "_group"), on="path")
    all_means, last = [], 1
    for number in _in_order(report):
        own = frame.filter(polars.col("_group") == number).group_by("step").agg("value").sort("step")
        if not len(own):
            continue
        steps = own["step"].to_list()
        bands = [mean_interval([value for value in values if math.isfinite(value)]) for values in own["value"]]
        colour = COLOURS[number % len(COLOURS)]
        means = [band.mean for band in bands]
        axes.plot(
            steps,
            means,
            color=colour,
            linestyle=STYLES[number % len(STYLES)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=3,
            linewidth=1.6,
            label=report.labels[number],
        )
        axes.fill_between(steps, [b.low for b in bands], [b.high for b in bands], color=colour, alpha=0.18, linewidth=0)
        all_means += means
        last = max(last, steps[-1])
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.set_xlim(-0.1, last * 1.1)
    axes.xaxis.set_major_formatter(lambda step, position: f"{step:,.0f}")
    if result.metric.best == "min" and _is_spread(all_means, factor=10):
        axes.set_yscale("log")
        _few_plain_ticks(axes.yaxis, all_means)
    _limit(axes, [value for value in frame["value"] if math.isfinite(value)], [m for m in all_means if m > 0])
    axes.set(xlabel="step", ylabel=name)
    axes.grid(alpha=0.25)
    if report.groups.count > 1:
        axes.legend(frameon=False, fontsize=8)
    axes.set_title("mean and 95 % interval over runs", fontsize=8, color="0.35", loc="left")


def _in_order(report: Report) -> list[int]:
    """Groups by the number that tells them apart, or as they come."""
    table, labels = report.groups.table, report.groups.labels
    if len(labels) == 1 and _is_numeric(report, labels[0]):
        table = table.sort(labels[0], nulls_last=True)
    return list(table["_group"])


def _limit(axes: Any, values: list[float], positive_means: list[float]) -> None:
    """Ends the axis where values end: the interval of a few runs may reach far beyond, below 0 or above 1."""
    if not values:
        return
    low, high = min(values), max(values)
    if axes.get_yscale() == "log":
        axes.set_ylim(min(positive_means) / 2, high * 1.3)
    elif high > low:
        axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))


def _bars(report: Report, result: MetricResult, axes: Any) -> None:
    """A point with its interval for each group, the best on top."""
    shown = [group for group in result.groups if group.measures[result.measure].n][:40]
    for place, group in enumerate(shown):
        interval = group.measures[result.measure]
        colour = COLOURS[2] if group.is_best else COLOURS[0] if group.is_not_worse else "0.45"
        if not math.isnan(interval.low):
            axes.plot([interval.low, interval.high], [place, place], color=colour, linewidth=2, alpha=0.6)
        axes.plot(interval.mean, place, "o" if group.is_best or group.is_not_worse else "s", color=colour, markersize=6)
    axes.set_yticks(range(len(shown)), [report.labels[group.group] for group in shown], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(_value_label(report, result))
    axes.grid(axis="x", alpha=0.25)


def _against_key(report: Report, result: MetricResult, axes: Any) -> None:
    """The metric against a number that differs."""
    key = report.groups.labels[0]
    config = {row["_group"]: row[key] for row in report.groups.table.iter_rows(named=True)}
    points = sorted(
        (config[group.group], group.measures[result.measure])
        for group in result.groups
        if config[group.group] is not None and group.measures[result.measure].n
    )
    places = [place for place, _ in points]
    intervals = [interval for _, interval in points]
    axes.plot(places, [i.mean for i in intervals], "o-" if len(places) < 60 else "-", color=COLOURS[0], markersize=4)
    low, high = [i.low for i in intervals], [i.high for i in intervals]
    axes.fill_between(places, low, high, color=COLOURS[0], alpha=0.18, linewidth=0)
    if _is_spread(places):
        axes.set_xscale("log")
    means = [i.mean for i in intervals]
    if result.metric.best == "min" and _is_spread(means):
        axes.set_yscale("log")
    axes.set(xlabel=key, ylabel=_value_label(report, result))
    axes.grid(alpha=0.25)
    axes.set_title("mean and 95 % interval over runs", fontsize=8, color="0.35", loc="left")


def _heat_map(report: Report, result: MetricResult, axes: Any) -> None:
    """The metric over two keys."""
    import numpy as np

    across, up = _axes_of_map(report)
    config = {row["_group"]: row for row in report.groups.table.iter_rows(named=True)}
    columns, rows = _ordered(report.groups.table[across]), _ordered(report.groups.table[up])
    column_of, row_of = ({value: place for place, value in enumerate(values)} for values in (columns, rows))
    grid = np.full((len(rows), len(columns)), np.nan)
    for group in result.groups:
        own = config[group.group]
        grid[row_of[own[up]], column_of[own[across]]] = group.measures[result.measure].mean
    finite = grid[np.isfinite(grid)]
    log = result.metric.best == "min" and finite.size > 0 and _is_spread(finite.tolist())
    shown = np.ma.masked_invalid(np.log10(grid) if log else grid)
    colours = "cividis_r" if result.metric.best == "min" else "cividis"  # the bright end is the better one
    image = axes.imshow(shown, origin="lower", aspect="auto", cmap=colours, interpolation="nearest")
    axes.set_facecolor("0.85")
    _ticks(axes.xaxis, columns, most=6)
    _ticks(axes.yaxis, rows)
    axes.set(xlabel=across.removesuffix(".name"), ylabel=up.removesuffix(".name"))
    bar = axes.figure.colorbar(image, ax=axes)
    bar.set_label(_value_label(report, result))
    if log:
        bar.formatter = lambda value, position: f"{10**value:.3g}"
        bar.update_ticks()
    if grid.size <= 80:
        middle = (float(shown.min()) + float(shown.max())) / 2 if finite.size else 0.0
        for (row, column), value in np.ndenumerate(grid):
            if math.isfinite(value):
                bright = (shown[row, column] > middle) != (result.metric.best == "min")
                axes.text(
                    column, row, f"{value:.3g}", ha="center", va="center", fontsize=8, color="k" if bright else "w"
                )
    best = next((group for group in result.groups if group.is_best), None)
    if best is not None:
        own = config[best.group]
        place = column_of[own[across]], row_of[own[up]]
        if max(grid.shape) > 30:  # too small to be framed
            axes.plot(*place, "*", color=COLOURS[1], markeredgecolor="w", markersize=14, clip_on=False)
        else:
            axes.add_patch(_frame((place[0] - 0.5, place[1] - 0.5)))
    missing = ", grey: no value" if finite.size < grid.size else ""
    axes.set_title(f"mean over runs; orange: best{missing}", fontsize=8, color="0.35", loc="left")


def _parallel(report: Report, result: MetricResult, axes: Any) -> None:
    """A line for each group through its values; the last axis, and the colour, is the metric."""
    import matplotlib
    import numpy as np

    labels = report.groups.labels
    config = {row["_group"]: row for row in report.groups.table.iter_rows(named=True)}
    scales = [_scale([row[key] for row in config.values()]) for key in labels]
    groups = [group for group in result.groups if group.measures[result.measure].n]
    means = [group.measures[result.measure].mean for group in groups]
    last = _scale(means)
    colours = matplotlib.colormaps["cividis_r" if result.metric.best == "min" else "cividis"]
    smooth = np.linspace(0, 1, 25)
    ease = smooth**2 * (3 - 2 * smooth)
    apart = np.linspace(-0.025, 0.025, len(groups)) if len(groups) > 1 else np.zeros(1)
    in_order = sorted(zip(groups, means, strict=True), key=lambda pair: result.metric.sign * pair[1])
    for shift, (group, mean) in zip(apart, in_order, strict=True):
        own = config[group.group]
        # Lines that meet in one value are drawn a little apart, better ones above worse, so that each can be followed.
        places = [scale[0](own[key]) + shift for scale, key in zip(scales, labels, strict=True)] + [last[0](mean)]
        pairs = list(itertools.pairwise(places))
        across = np.concatenate([number + smooth for number in range(len(pairs))])
        best = group.is_best
        axes.plot(
            across,
            np.concatenate([start + (end - start) * ease for start, end in pairs]),
            color=COLOURS[1] if best else colours(last[0](mean)),
            linewidth=2.6 if best else 1.2,
            alpha=1.0 if best else max(0.15, min(0.9, 60 / len(groups))),
            zorder=3 if best else 2,
        )
    for place, (_, ticks) in enumerate([*scales, last]):
        axes.axvline(place, color="0.3", linewidth=0.8, zorder=1)
        for height, word in ticks:
            axes.annotate(
                word,
                (place, height),
                xytext=(4, 0),
                textcoords="offset points",
                fontsize=7,
                va="center",
                zorder=5,
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
            )
    axes.set_xticks(range(len(labels) + 1), [*(title(key, labels) for key in labels), result.metric.name])
    axes.set_yticks([])
    axes.set_xlim(-0.1, len(labels) + 0.35)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="x", length=0)
    axes.set_title(
        f"a line for each group, coloured by {_value_label(report, result)} (mean over runs); orange: best",
        fontsize=8,
        color="0.35",
        loc="left",
    )


def _scale(values: Sequence[Any]) -> tuple[Any, list[tuple[float, str]]]:
    """Where a value is between 0 and 1, and some places with their words; numbers over decades by their logarithm."""
    distinct = _ordered(values)
    numbers = [value for value in distinct if _is_number(value)]
    if len(numbers) < len(distinct) or len(numbers) <= 8:  # words, or few values: evenly
        span = max(1, len(distinct) - 1)
        places = {value: place / span if len(distinct) > 1 else 0.5 for place, value in enumerate(distinct)}
        step = max(1, math.ceil(len(distinct) / 12))
        return places.__getitem__, [(places[value], _short(value)) for value in distinct[::step]]
    log = _is_spread(numbers)
    low, high = (math.log(numbers[0]), math.log(numbers[-1])) if log else (numbers[0], numbers[-1])

    def place(value: float) -> float:
        return ((math.log(value) if log else value) - low) / (high - low)

    marks = [low + (high - low) * share for share in (0, 0.25, 0.5, 0.75, 1)]
    return place, [(share / 4, _short(math.exp(mark) if log else mark)) for share, mark in enumerate(marks)]


def _axes_of_map(report: Report) -> tuple[str, str]:
    """The key with more values lies across."""
    first, second = report.groups.labels
    table = report.groups.table
    return (first, second) if table[first].n_unique() >= table[second].n_unique() else (second, first)


def _ticks(axis: Any, values: Sequence[Any], most: int = 10) -> None:
    step = max(1, math.ceil(len(values) / most))
    axis.set_ticks(range(0, len(values), step), [_short(value) for value in values[::step]], fontsize=8)


def _few_plain_ticks(axis: Any, values: Sequence[float]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1,) if _is_spread(values, factor=300) else (1, 2, 5)))
    axis.set_major_formatter(lambda value, position: f"{value:.3g}")
    axis.set_minor_formatter(NullFormatter())


def _frame(place: tuple[float, float]) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(place, 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=2.5, clip_on=False, zorder=3)


def _value_label(report: Report, result: MetricResult) -> str:
    return result.metric.name + (f" at step {report.step}" if result.measure == "step" else "")


def _ordered(values: Any) -> list[Any]:
    """Distinct values: numbers by size, then words, then none."""
    return sorted(
        set(values),
        key=lambda value: (value is None, not _is_number(value), value if _is_number(value) else str(value)),
    )


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else text(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_numeric(report: Report, key: str) -> bool:
    return report.groups.table[key].dtype.is_numeric()


def _is_spread(values: Sequence[float], factor: float = 30) -> bool:
    """Whether positive values are over so many decades that a logarithm shows them better."""
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) >= factor * min(finite)
