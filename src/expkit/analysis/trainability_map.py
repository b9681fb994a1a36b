"""Pictures of which hyperparameters train: a map in colours, and a strip of zooms into its boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import ConnectionPatch, Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from pathlib import Path

    import polars
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

Scale = Literal["log", "linear"]

CONVERGED = LinearSegmentedColormap.from_list(
    "converged", ["#f4faf6", "#cfeae6", "#8fcfd8", "#4aa3c9", "#2a6fb0", "#27469c", "#251d78"]
)
"""From quick convergence to the boundary."""
DIVERGED = LinearSegmentedColormap.from_list(
    "diverged", ["#fffdf2", "#fff0bd", "#fdd271", "#f99f3e", "#e5602c", "#b52437", "#770b2d"]
)
"""From quick divergence to the boundary. Blue against orange can be told apart by the colour-blind too."""


@dataclass(frozen=True)
class Map:
    """The convergence measure over a grid of two hyperparameters.

    Attributes:
        x, y: the hyperparameters' values along the columns and the rows of `value`, (nx,) and (ny,), evenly spaced on
            their scale.
        value: (ny, nx), positive where training converges, negative where it diverges, and the larger in magnitude
            the closer the boundary (see `expkit.probes.convergence`).
        x_scale, y_scale: how the axes are spaced.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    value: NDArray[np.float64]
    x_scale: Scale = "log"
    y_scale: Scale = "log"

    @property
    def converged(self) -> NDArray[np.bool_]:
        return self.value > 0

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge of the picture, on the axes' scales; half a cell beyond the outer values."""
        return (*_edges(self.x, self.x_scale), *_edges(self.y, self.y_scale))


class MapOfSweep:
    """Draws the map of a sweep over two keys.

    Args:
        x, y: the keys along the axes, spread evenly on a logarithmic or a linear scale.
        x_label, y_label: what the axes say; by default the keys.
        value: the metric with the signed convergence measure.
    """

    def __init__(
        self,
        x: str,
        y: str,
        x_label: str | None = None,
        y_label: str | None = None,
        value: str = "convergence/value",
        title: str | None = None,
    ) -> None:
        self.x, self.y, self.value, self.title = x, y, value, title
        self.x_label, self.y_label = x_label or x, y_label or y

    def __call__(self, frame: polars.DataFrame, path: Path) -> None:
        """Writes the picture.

        Args:
            frame: a row for each run, with columns `x`, `y` and `value`; every pair of values occurs once.
            path: of the PNG file.
        """
        figure = Figure(figsize=(6.4, 6.1), layout="constrained")
        draw_map(figure.subplots(), self.map(frame), self.x_label, self.y_label, self.title)
        figure.savefig(path, dpi=220)

    def map(self, frame: polars.DataFrame) -> Map:
        """The map in a frame of results."""
        frame = frame.sort(self.y, self.x)
        x, y = frame[self.x].unique().sort().to_numpy(), frame[self.y].unique().sort().to_numpy()
        value = frame[self.value].to_numpy().reshape(len(y), len(x))
        return Map(x, y, value, _scale_of(x), _scale_of(y))


def _scale_of(values: NDArray[np.float64]) -> Scale:
    """How values are spread: evenly in their logarithm, or evenly."""
    if len(values) < 3 or values[0] <= 0:
        return "log" if values[0] > 0 else "linear"
    uneven = [np.ptp(np.diff(spread)) / np.diff(spread).mean() for spread in (np.log(values), values)]
    return "log" if uneven[0] <= uneven[1] else "linear"


def colours(value: ArrayLike) -> NDArray[np.float64]:
    """RGB of shape (..., 3) in [0, 1] for signed convergence measures, dark near the boundary.

    Each half is equalized by itself: its values are replaced by their ranks, equal values sharing a rank, so that
    every shade covers the same area.
    """
    value = np.asarray(value, dtype=np.float64)
    image = np.empty((*value.shape, 3))
    for half, palette in ((value > 0, CONVERGED), (value <= 0, DIVERGED)):
        image[half] = palette(_ranks(np.abs(value[half])))[:, :3]
    return image


def draw_map(axes: Axes, trained: Map, x_label: str, y_label: str, title: str | None = None) -> None:
    """One map, square, with its axes in powers of ten where they are logarithmic."""
    _show(axes, trained)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if title:
        axes.set_title(title, fontsize="medium", loc="left", pad=8)
    for axis, scale in ((axes.xaxis, trained.x_scale), (axes.yaxis, trained.y_scale)):
        low, high = axis.get_view_interval()
        axis.set_major_locator(MaxNLocator(nbins=7, integer=scale == "log" and high - low > 2))
        if scale == "log":
            _label_powers(axis, low, high)
    axes.tick_params(length=3, width=0.6, labelsize="small")


def draw_zoom(maps: Sequence[Map], title: str | None = None, columns: int = 4, panel: float = 2.6) -> Figure:
    """A strip of maps, each the framed part of the one before it; read along the rows.

    Args:
        maps: the whole map first.
        columns: panels in a row.
        panel: side of a panel, in inches.
    """
    rows = -(-len(maps) // columns)
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.04, hspace=0.02)
    figure = Figure(figsize=(columns * panel, rows * panel * 1.1 + (0.35 if title else 0)), layout=layout)
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes in grid[len(maps) :]:
        axes.set_axis_off()
    for place, (axes, trained) in enumerate(zip(grid, maps, strict=False)):
        _show(axes, trained)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(_magnification(maps[0], trained), fontsize="small", pad=4)
        if place + 1 < len(maps):
            _frame(axes, trained, maps[place + 1], None if (place + 1) % columns == 0 else grid[place + 1])
    if title:
        figure.suptitle(title, fontsize="medium", x=0.01, ha="left")
    return figure


def _show(axes: Axes, trained: Map) -> None:
    axes.imshow(colours(trained.value), extent=trained.extent, origin="lower", interpolation="nearest", aspect="auto")
    axes.set_box_aspect(1)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)


def _frame(axes: Axes, outer: Map, inner: Map, neighbour: Axes | None) -> None:
    """Where the next panel lies in this one, and lines from there to that panel."""
    left, right, bottom, top = _within(outer, inner)
    box = Rectangle((left, bottom), right - left, top - bottom, fill=False, linewidth=1.1, edgecolor="black")
    halo = Rectangle((left, bottom), right - left, top - bottom, fill=False, linewidth=2.6, edgecolor="white")
    axes.add_patch(halo)
    axes.add_patch(box)
    if neighbour is not None:
        for here, there in (((right, top), (0, 1)), ((right, bottom), (0, 0))):
            line = ConnectionPatch(here, there, "data", neighbour.transAxes, axesA=axes, linewidth=0.6, color="black")
            axes.figure.add_artist(line)


def _within(outer: Map, inner: Map) -> tuple[float, float, float, float]:
    left, right, bottom, top = inner.extent
    outer_left, outer_right, outer_bottom, outer_top = outer.extent
    return max(left, outer_left), min(right, outer_right), max(bottom, outer_bottom), min(top, outer_top)


def _magnification(whole: Map, part: Map) -> str:
    left, right, _, _ = whole.extent
    part_left, part_right, _, _ = part.extent
    factor = (right - left) / (part_right - part_left)
    if factor < 1000:
        return rf"$\times\,{factor:.0f}$"
    exponent = int(np.floor(np.log10(factor)))
    return rf"$\times\,{factor / 10**exponent:.1f}\cdot 10^{{{exponent}}}$"


def _label_powers(axis: Axis, low: float, high: float) -> None:
    """Ticks of an axis that shows exponents of ten: powers of ten, round numbers, or as many digits as it takes."""
    powers = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    for digits in ((1, 2, 5), range(1, 10)):
        inside = [at for power in powers for digit in digits if low <= (at := power + float(np.log10(digit))) <= high]
        if len(inside) > 1:
            break
    if high - low > 2:
        axis.set_major_formatter(lambda exponent, _: f"$10^{{{exponent:g}}}$")
    elif len(inside) > 1:
        axis.set_ticks(inside, [f"{10**position:.4g}" for position in inside])
    else:
        places = 3 + int(np.ceil(-np.log10(high - low)))
        middle, quarter = (low + high) / 2, (high - low) / 4
        ends = [middle - quarter, middle + quarter]
        axis.set_ticks(ends, [f"{10**position:.{places}g}" for position in ends])


def _edges(values: NDArray[np.float64], scale: Scale) -> tuple[float, float]:
    positions = np.log10(values) if scale == "log" else values
    half = (positions[-1] - positions[0]) / (2 * max(1, len(positions) - 1))
    return float(positions[0] - half), float(positions[-1] + half)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value's share of values below it, those equal to it counting half: uniform over (0, 1)."""
    ordered = np.sort(values)
    below, up_to = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return (below + up_to) / (2 * max(1, len(values)))
