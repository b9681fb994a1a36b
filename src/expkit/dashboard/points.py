"""Fewer points that show the same: what a browser is sent of long curves, many runs and large maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars
from numpy.typing import NDArray

from expkit.comparing.student_t import quantile

POINTS = 6000
"""In all curves of a figure."""
CELLS = 96
"""Of a map, along each side."""
LINES = 600
"""Of parallel coordinates."""


def thinned(count: int, limit: int, log: bool = False) -> NDArray[np.intp]:
    """Which of `count` points in a row to keep, the first and the last among them, at most `limit`.

    Args:
        log: as many per decade, as on a logarithmic axis, and not as many per step.
    """
    if count <= limit:
        return np.arange(count)
    places = np.geomspace(1, count, limit) - 1 if log else np.linspace(0, count - 1, limit)
    return np.unique(np.rint(places).astype(np.intp))


def smoothed(values: polars.Series, weight: float) -> polars.Series:
    """The exponential moving average in which the past has `weight` (0 to 1), without the pull of its beginning."""
    if weight <= 0:
        return values
    return values.ewm_mean(alpha=1 - weight, adjust=True, ignore_nulls=True)


def mean_and_band(frame: polars.DataFrame, metric: str, by: Sequence[str]) -> polars.DataFrame:
    """The mean over runs with its 95 % interval (Student's t).

    Args:
        frame: columns `by` and `metric`.
        metric: values that are missing or not finite are left out.
        by: what tells the means from each other, such as a step.

    Returns:
        Columns `by`, 'mean', 'low', 'high', 'runs', sorted by `by`; low = high = mean where there is one run.
    """
    finite = frame.filter(polars.col(metric).is_finite())
    means = (
        finite.group_by(by, maintain_order=True)
        .agg(
            polars.col(metric).mean().alias("mean"),
            polars.col(metric).std().alias("deviation"),
            polars.len().alias("runs"),
        )
        .sort(by)
    )
    runs = means["runs"].to_numpy()
    half = np.array([quantile(n - 1, 0.975) / math.sqrt(n) if n > 1 else 0.0 for n in runs.tolist()])
    half = half * np.nan_to_num(means["deviation"].to_numpy().astype(float))
    return means.with_columns(
        (means["mean"] - polars.Series(half)).alias("low"), (means["mean"] + polars.Series(half)).alias("high")
    ).drop("deviation")


@dataclass(frozen=True)
class Map:
    """A metric over two keys: `values[j, i]` at `x[i]` and `y[j]`, NaN where no run has a finite value."""

    x: list[float] | list[str]
    y: list[float] | list[str]
    values: NDArray[np.float64]
    runs: NDArray[np.int64]
    merged: tuple[int, int]
    """How many neighbouring values of x and of y are one cell."""


def binned(frame: polars.DataFrame, x: str, y: str, metric: str, statistic: str = "mean", cells: int = CELLS) -> Map:
    """Averages neighbouring values where there are more than a screen shows.

    Args:
        statistic: 'mean', 'min', 'max' or 'spread' (standard deviation) over the runs of a cell.
    """
    xs, x_of, x_merged = _bins(frame[x], cells)
    ys, y_of, y_merged = _bins(frame[y], cells)
    value = polars.col("value").filter(polars.col("value").is_finite())
    aggregate = {"mean": value.mean(), "min": value.min(), "max": value.max(), "spread": value.std()}[statistic]
    grouped = (
        polars.DataFrame({"x": x_of, "y": y_of, "value": frame[metric].cast(polars.Float64)})
        .group_by("x", "y")
        .agg(aggregate.alias("value"), polars.len().alias("runs"))
    )
    values = np.full((len(ys), len(xs)), np.nan)
    runs = np.zeros((len(ys), len(xs)), dtype=np.int64)
    places = grouped["y"].to_numpy(), grouped["x"].to_numpy()
    values[places] = grouped["value"].fill_null(float("nan")).to_numpy()
    runs[places] = grouped["runs"].to_numpy()
    return Map(xs, ys, values, runs, (x_merged, y_merged))


def _bins(column: polars.Series, cells: int) -> tuple[list[float] | list[str], NDArray[np.int64], int]:
    """The centres of the cells, the cell of each row, and how many values a cell takes."""
    numeric = column.dtype.is_numeric()
    known = column if numeric else column.cast(polars.String).fill_null("null")
    values = known.unique().sort()
    each = -(-len(values) // cells)
    # A hash join finds the rank of every row at once; a quarter of a million rows take some milliseconds.
    ranks = polars.DataFrame({"value": values, "rank": np.arange(len(values))})
    place = polars.DataFrame({"value": known}).join(
        ranks, on="value", how="left", maintain_order="left", nulls_equal=True
    )
    of = place["rank"].to_numpy() // each
    if not numeric:
        centres: list[float] | list[str] = [
            values[start] if each == 1 else f"{values[start]} ..." for start in range(0, len(values), each)
        ]
        return centres, of, each
    as_floats = values.cast(polars.Float64).fill_null(float("nan")).to_numpy()
    geometric = is_logarithmic(as_floats)
    mean = (lambda part: float(np.exp(np.log(part).mean()))) if geometric else (lambda part: float(part.mean()))
    return [mean(as_floats[start : start + each]) for start in range(0, len(as_floats), each)], of, each


def spans_decades(values: NDArray[np.float64], decades: float = 3.0) -> bool:
    """Whether most of the numbers are above zero and lie over so many orders of magnitude."""
    finite = values[np.isfinite(values)]
    if finite.size < 3 or np.quantile(finite, 0.02) <= 0:
        return False
    low, high = np.quantile(finite[finite > 0], [0.02, 0.98])
    return bool(np.log10(high) - np.log10(low) > decades)


def is_logarithmic(values: Sequence[float] | NDArray[np.float64]) -> bool:
    """Whether numbers are spread over more than a decade, about evenly so on a logarithmic axis."""
    numbers = np.unique(np.asarray(values, dtype=float))
    if len(numbers) < 3 or not np.isfinite(numbers).all() or numbers[0] <= 0 or numbers[-1] < 10 * numbers[0]:
        return False
    ratios, steps = np.diff(np.log(numbers)), np.diff(numbers)
    return bool(ratios.std() / ratios.mean() < steps.std() / steps.mean())
