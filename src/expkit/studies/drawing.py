"""A study's figure: the same picture, to the byte, from the same runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.studies.claims import Panel
from expkit.studies.curve import Curve

if TYPE_CHECKING:
    from expkit.studies.runs import Runs

# Wong's palette without its yellow: what the common kinds of colour blindness leave distinguishable.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), "-")
STYLE: dict[str, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "font.family": "DejaVu Sans",
    "lines.linewidth": 1.6,
}


def draw(panels: Sequence[Panel], runs: Runs, path: Path) -> None:
    """Draws all parts of a figure side by side, three in a row, and writes a PNG file without a date."""
    import matplotlib
    from cycler import cycler
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = sum(panel.panels for panel in panels)
    columns = count if count < 4 else 2 if count == 4 else 3
    height = math.ceil(count / columns)
    cycle = cycler(color=COLOURS, linestyle=LINES)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever the user's own settings are
        parameters: dict[Any, Any] = {**STYLE, "axes.prop_cycle": cycle}
        matplotlib.rcParams.update(parameters)
        figure = Figure(figsize=(4.2 * columns if count > 1 else 5.2, 3.4 * height), layout="constrained", dpi=150)
        FigureCanvasAgg(figure)
        axes = list(figure.subplots(height, columns, squeeze=False).flatten())
        for panel in panels:
            own, axes = axes[: panel.panels], axes[panel.panels :]
            panel.function(runs, own[0] if panel.panels == 1 else own)
        for axis in axes:
            axis.remove()
        figure.savefig(path, metadata={"Software": None})


def band(axes: Any, curve: Curve, label: str | None = None, log_steps: bool = True, **style: Any) -> None:
    """Draws a curve's mean over seeds as a line, and its 95 % t interval as a band, against the step.

    Args:
        axes: of matplotlib.
        curve: with a line for each run.
        label: in the legend; by default the metric's name.
        log_steps: a logarithmic axis from step 1 on, with step 0 to its left.
        style: of the line, as `axes.plot` takes it; without a colour the next of the palette.
    """
    steps, mean, low, high = curve.band()
    (line,) = axes.plot(steps, mean, label=label or curve.name, **style)
    axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set_xlabel("step")
    if log_steps and len(steps) > 1:
        axes.set_xscale("symlog", linthresh=1, linscale=0.4)
        axes.set_xlim(-0.05, max(steps[-1] * 1.05, axes.get_xlim()[1]))
        axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
