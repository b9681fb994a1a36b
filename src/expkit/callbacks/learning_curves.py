"""The learning curves of a run as a picture."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning

SPLITS = ("train", "val", "test")
# Wong's palette, which the common kinds of colour blindness leave distinguishable; the line style repeats the colour.
STYLES = {
    "train": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "val": {"color": "#009E73", "linestyle": "-.", "marker": "^"},
    "test": {"color": "#D55E00", "linestyle": "--", "marker": "s"},
}
OTHERS = (
    {"color": "#CC79A7", "linestyle": "-", "marker": "v"},
    {"color": "#56B4E9", "linestyle": "--", "marker": "D"},
    {"color": "#E69F00", "linestyle": "-.", "marker": "P"},
    {"color": "#000000", "linestyle": ":", "marker": "X"},
)
LABELS = {"loss": "loss", "acc": "accuracy", "mse": "mean squared error", "mae": "mean absolute error"}


class LearningCurves(lightning.Callback):
    """Draws `figures/learning_curves.png` in the run's folder at the end: a panel for each metric, against the step.

    Metrics of the splits (`train/acc`, `test/acc`) share a panel, and so do those of a probe (`alignment/own`,
    `alignment/other`). The step axis is logarithmic from step 1 on, with step 0 to its left.
    """

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._rows.append({"step": float(trainer.global_step), **metrics})

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.is_global_zero and len(self._rows) > 1:
            folder = Path(trainer.default_root_dir) / "figures"
            folder.mkdir(exist_ok=True)
            draw(self._rows, folder / "learning_curves.png")

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self._rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._rows = list(state_dict["rows"])


def draw(rows: list[dict[str, float]], path: Path) -> None:
    """Draws rows of metrics ('step' and one key per metric) and writes the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = _panels([name for name in rows[-1] if name != "step"])
    columns = len(panels) if len(panels) < 4 else 2 if len(panels) == 4 else 3
    height = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(4.4 * columns, 3.3 * height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(height, columns, squeeze=False).flatten()
    for panel, axis in zip(panels.items(), axes, strict=False):
        _draw_panel(axis, *panel, rows)
    for axis in axes[len(panels) :]:
        axis.remove()
    figure.savefig(path, dpi=150)


def _panels(names: list[str]) -> dict[str, dict[str, str]]:
    """Panel -> label -> metric."""
    panels: dict[str, dict[str, str]] = {}
    for name in names:
        group, _, quantity = name.partition("/")
        title, label = (quantity, group) if group in SPLITS else (group, quantity)
        if group in SPLITS and "_" in quantity:  # a group of examples: beside the metric of them all
            title, _, part = quantity.partition("_")
            label = f"{group}, {part}"
        panels.setdefault(title, {})[label or title] = name
    return panels


def _draw_panel(axis: Any, title: str, lines: dict[str, str], rows: list[dict[str, float]]) -> None:
    others = itertools.cycle(OTHERS)
    for label, name in lines.items():
        style = STYLES.get(label) or next(others)
        points = [(row["step"], row[name]) for row in rows if name in row]
        axis.plot(*zip(*points, strict=True), label=label, markersize=3, linewidth=1.4, **style)
    last = rows[-1]["step"]
    axis.set_xscale("symlog", linthresh=1, linscale=0.4)
    axis.set_xlim(-0.1, last * 1.1)
    axis.xaxis.set_major_formatter(lambda step, position: f"{step:,.0f}")
    axis.set_xlabel("step")
    axis.set_ylabel(LABELS.get(title, title))
    if title == "acc":
        axis.set_ylim(-0.03, 1.03)
    elif title == "loss" and all(row[name] > 0 for row in rows for name in lines.values() if name in row):
        axis.set_yscale("log")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False, fontsize=8)
