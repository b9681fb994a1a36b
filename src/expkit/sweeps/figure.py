"""A picture of a sweep's results: how a metric depends on what was swept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from expkit.build import build
from expkit.sweeps.results import results
from expkit.sweeps.sweep import Sweep
from expkit.views import text

if TYPE_CHECKING:
    import polars


def draw_sweep(sweep: Sweep, drawer: Mapping[str, Any] | None) -> Path | None:
    """Draws a sweep's results into its folder; the picture's path, or None if there is nothing to draw.

    Args:
        sweep: its runs are done.
        drawer: a `_target_` whose object is called with the results and the path; None draws `draw`.
    """
    path = sweep.folder / "figures" / "sweep.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = (draw if drawer is None else build(drawer, "sweep.figure"))(results(sweep), path)
    return None if drawn is False else path


NOT_SWEPT = ("number", "state", "run", "error", "step")


def swept_keys(frame: polars.DataFrame) -> list[str]:
    """The keys with numbers that runs differ in, those with most values first; seeds last."""
    keys = [
        name
        for name, dtype in frame.schema.items()
        if "/" not in name and name not in NOT_SWEPT and dtype.is_numeric() and frame[name].n_unique() > 1
    ]
    return sorted(keys, key=lambda key: (key == "seed", -frame[key].n_unique()))


def draw(frame: polars.DataFrame, path: Path) -> bool:
    """Draws the last main metric over one swept key, or as a heat map over two; False if there is nothing to draw.

    Args:
        frame: of `expkit.sweeps.results.results`.
        path: of the PNG file.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    keys = swept_keys(frame)
    metrics = text.main_metrics(dict.fromkeys(name for name in frame.columns if "/" in name))
    if not keys or not metrics:
        return False
    metric = metrics[-1]
    figure, axes = pyplot.subplots(figsize=(5.2, 3.8), layout="constrained", dpi=150)
    if len(keys) > 1 and keys[1] != "seed":
        x, y = keys[:2]
        grid = frame.group_by(x, y).agg(_finite(metric).mean()).sort(y, x)
        pivot = grid.pivot(on=x, index=y, values=metric).sort(y)
        columns = sorted(frame[x].unique().to_list())
        values = pivot.select([str(column) for column in columns]).to_numpy().astype(float)
        mesh = axes.pcolormesh(columns, pivot[y].to_numpy(), np.ma.masked_invalid(values), cmap="viridis")
        figure.colorbar(mesh, label=metric)
        axes.set_ylabel(y)
        _scale(axes.set_yscale, pivot[y].to_list())
    else:
        x = keys[0]
        means = frame.group_by(x).agg(_finite(metric).mean()).sort(x)
        axes.plot(frame[x], frame[metric], ".", color="#0072b2", alpha=0.5, markersize=5, label="a run")
        axes.plot(means[x], means[metric], color="#d55e00", linewidth=1.5, label="mean")
        axes.set_ylabel(metric)
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(x)
    _scale(axes.set_xscale, sorted(frame[x].unique().to_list()))
    figure.savefig(path)
    pyplot.close(figure)
    return True


def _finite(name: str) -> polars.Expr:
    import polars

    return polars.col(name).filter(polars.col(name).is_finite())


def _scale(setter: object, values: list[float]) -> None:
    """A logarithmic axis where values are spread over more than a decade, and evenly so."""
    if len(values) > 2 and min(values) > 0 and max(values) / min(values) > 10:
        steps = np.diff(np.log(values))
        if steps.max() < 3 * steps.min():
            setter("log")  # type: ignore[operator]
