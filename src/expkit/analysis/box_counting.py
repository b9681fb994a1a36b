"""Box-counting dimensions of sets of cells, such as the boundary between two regions of a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class BoxDimension:
    """A fitted dimension.

    Attributes:
        dimension: minus the slope of log(counts) over log(sizes), by least squares; nan where there is nothing to fit.
        standard_error: of that slope, from the scatter about the line; nan with fewer than three sizes. The counts of
            one set are not independent of each other, so this says how straight the line is, not how far the dimension
            would be off in another draw.
        sizes: side of a box, in cells.
        counts: boxes of that size with a cell of the set in them.
        local: minus the slope between each size and the next, one fewer than there are sizes.
    """

    dimension: float
    standard_error: float
    sizes: NDArray[np.int64]
    counts: NDArray[np.int64]
    local: NDArray[np.float64]


def box_dimension(cells: ArrayLike, sizes: Sequence[int] | None = None) -> BoxDimension:
    """The box-counting dimension of a set of cells over a range of box sizes.

    Args:
        cells: (ny, nx), true where the set is.
        sizes: of the boxes, in cells; by default powers of two from 1 to a quarter of the shorter side, since few
            large boxes say little.

    Raises:
        ValueError: fewer than two sizes, or a size that is not positive.
    """
    cells = np.asarray(cells, dtype=bool)
    if sizes is None:
        sizes = powers_of_two(min(cells.shape) // 4)
    side = np.asarray(sorted(set(sizes)), dtype=np.int64)
    if len(side) < 2 or side[0] < 1:
        raise ValueError(f"a slope needs two different positive box sizes, got {list(sizes)}")
    counts = np.array([count_boxes(cells, int(size)) for size in side], dtype=np.int64)
    if not counts[0]:
        nothing = float("nan")
        return BoxDimension(nothing, nothing, side, counts, np.full(len(side) - 1, nothing))
    x, y = np.log(side), np.log(counts)
    slope, error = _line(x, y)
    return BoxDimension(-slope, error, side, counts, -np.diff(y) / np.diff(x))


def count_boxes(cells: ArrayLike, size: int) -> int:
    """How many boxes of `size` x `size` cells, laid side by side from the first cell on, hold a cell of the set."""
    cells = np.asarray(cells, dtype=bool)
    height, width = (-(-side // size) * size for side in cells.shape)
    padded = np.zeros((height, width), dtype=bool)
    padded[: cells.shape[0], : cells.shape[1]] = cells
    return int(padded.reshape(height // size, size, width // size, size).any(axis=(1, 3)).sum())


def boundary(region: ArrayLike) -> NDArray[np.bool_]:
    """Where a region ends: cells that differ from a neighbour to the right or above, or from that between the two.

    Beyond the last row and column nothing is assumed: only the neighbours that there are count.

    Args:
        region: (ny, nx), true inside.

    Returns:
        (ny, nx).
    """
    padded = np.pad(np.asarray(region, dtype=bool), ((0, 1), (0, 1)), mode="edge")
    corners = np.stack([padded[1:, 1:], padded[:-1, 1:], padded[1:, :-1], padded[:-1, :-1]])
    return np.asarray(corners.any(axis=0) & ~corners.all(axis=0))


def powers_of_two(largest: int) -> list[int]:
    """1, 2, 4, ... up to `largest`."""
    return [2**power for power in range(max(0, largest).bit_length())]


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope of the least-squares line, and its standard error."""
    spread = x - x.mean()
    slope = float(spread @ y / (spread @ spread))
    if len(x) < 3:
        return slope, float("nan")
    residual = y - y.mean() - slope * spread
    return slope, float(np.sqrt(residual @ residual / (len(x) - 2) / (spread @ spread)))
