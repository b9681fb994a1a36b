"""Zooms into the boundary between what trains and what does not, and its dimension at every scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log10

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from expkit.analysis.box_counting import BoxDimension, boundary, box_dimension
from expkit.analysis.trainability_map import Map

Numbers = NDArray[np.float64]
TrainMap = Callable[[Numbers, Numbers], Numbers]
"""Values along x (nx,) and along y (ny,) -> the convergence measure of every pair, (ny, nx)."""


@dataclass(frozen=True)
class Level:
    """A map, and the dimension of the boundary in it."""

    map: Map
    dimension: BoxDimension


def zoom(
    train_map: TrainMap,
    whole: Map,
    zooms: int = 12,
    factor: int = 8,
    resolution: int = 48,
    quantile: float = 1.0,
) -> list[Level]:
    """Maps of ever smaller windows on the boundary, each of 1 / `factor` the width and height of the one before.

    Twelve zooms by 8 are 10.8 decades. The window is chosen by `next_window`, without looking at the pictures. Ends
    early where no boundary is left.

    Args:
        train_map: trains the networks of one map, in double precision.
        whole: the map to start from.
        zooms: how often.
        factor: of each zoom; at most the side of `whole` and `resolution`.
        resolution: side of the maps that are trained.
        quantile: how intricate a piece of the boundary to go into: 1 the most intricate, 0.5 a typical one.

    Returns:
        The whole map, and one for each zoom.
    """
    levels = [Level(whole, boundary_dimension(whole))]
    while len(levels) <= zooms and boundary(levels[-1].map.converged)[:-1, :-1].any():
        window = next_window(levels[-1].map, factor, quantile)
        x, y = _within(window, resolution, whole)
        trained = replace(whole, x=x, y=y, value=np.asarray(train_map(x, y)))
        levels.append(Level(trained, boundary_dimension(trained)))
    return levels


def boundary_dimension(trained: Map) -> BoxDimension:
    """The box-counting dimension of the boundary in one map."""
    return box_dimension(boundary(trained.converged))


def next_window(trained: Map, factor: int, quantile: float = 1.0) -> tuple[float, float, float, float]:
    """A window of 1 / `factor` the width and height on the boundary.

    Of all windows that hold some of the boundary, the one whose number of boundary cells is closest to that quantile of
    these numbers; of several the one closest to the middle, then the lowest, then the leftmost. Left, right, bottom and
    top edge, on the axes' scales.

    Raises:
        ValueError: there is no boundary.
    """
    cells = boundary(trained.converged)[:-1, :-1]
    if not cells.any():
        raise ValueError("there is no boundary in this map")
    rows, columns = (max(1, side // factor) for side in trained.value.shape)
    total = np.zeros((cells.shape[0] + 1, cells.shape[1] + 1), dtype=np.int64)
    total[1:, 1:] = cells.cumsum(axis=0).cumsum(axis=1)
    # A window of n values has n - 1 cells of the boundary between them; of one value, the cell beside it.
    high, wide = max(1, rows - 1), max(1, columns - 1)
    inside = total[high:, wide:] - total[:-high, wide:] - total[high:, :-wide] + total[:-high, :-wide]
    row, column = np.indices(inside.shape)
    middle = [(side - 1) / 2 for side in inside.shape]
    distance = (row - middle[0]) ** 2 + (column - middle[1]) ** 2
    unlike = np.abs(inside - np.quantile(inside[inside > 0], quantile)) + np.where(inside > 0, 0, inside.max() + 1)
    best = np.lexsort((column.ravel(), row.ravel(), distance.ravel(), unlike.ravel()))[0]
    bottom, left = np.unravel_index(best, inside.shape)
    x_low, x_high, y_low, y_high = trained.extent
    x_step = (x_high - x_low) / trained.value.shape[1]
    y_step = (y_high - y_low) / trained.value.shape[0]
    x, y = x_low + x_step * int(left), y_low + y_step * int(bottom)
    return x, x + x_step * columns, y, y + y_step * rows


def median_dimension(levels: Sequence[Level]) -> float:
    """The paper's number: the median of the slopes between neighbouring box sizes, over all maps."""
    slopes = np.concatenate([level.dimension.local for level in levels])
    return float(np.nanmedian(slopes))


def agreement(one: Map, other: Map) -> float:
    """Whether two computations of one map agree on what converges beyond chance: Cohen's kappa, 1 if they do fully.

    Where training is chaotic, computations that are equal on paper and round differently (say, with the hidden units
    in another order) come out differently. At 0 a map shows its rounding errors, not the training.
    """
    return float(cohen_kappa_score(one.converged.ravel(), other.converged.ravel()))


def decades(levels: Sequence[Level]) -> float:
    """Over how many powers of ten the widths of the maps range."""
    widths = [level.map.extent[1] - level.map.extent[0] for level in levels]
    return log10(widths[0] / widths[-1])


def _within(window: tuple[float, float, float, float], resolution: int, whole: Map) -> tuple[Numbers, Numbers]:
    """The middles of `resolution` cells along each side of a window."""
    share = (np.arange(resolution) + 0.5) / resolution
    x, y = window[0] + (window[1] - window[0]) * share, window[2] + (window[3] - window[2]) * share
    return (10.0**x if whole.x_scale == "log" else x), (10.0**y if whole.y_scale == "log" else y)
