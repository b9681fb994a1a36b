"""How values are written, wherever a person reads them."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expkit.records.record import Record

SPLITS = ("train", "val", "test")


def number(value: Any) -> str:
    """Four significant digits, without an exponent where that is short: 0.9950, 12.30, 4.50e-07; counts in full."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        decimals = 4 if abs(value) < 1 else max(0, 3 - math.floor(math.log10(abs(value))))
        return f"{value:.{decimals}f}"
    return f"{value:.2e}"


def duration(seconds: float) -> str:
    """8.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def short_path(path: Path) -> str:
    """Relative to the current folder where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


def main_metrics(metrics: Mapping[str, Any]) -> list[str]:
    """The names of the task's own metrics, on the splits, in their order."""
    return [name for name in metrics if name.split("/")[0] in SPLITS and "_" not in name.split("/")[-1]]


def metric_table_row(step: int | str, values: Sequence[str], names: Sequence[str]) -> str:
    """One line of a table whose columns are as wide as the metrics' names."""
    cells = (f"{value:>{max(len(name), 7)}}" for name, value in zip(names, values, strict=True))
    return f"{step:>8}  " + "  ".join(cells)


def fitting(names: Sequence[str], width: int) -> list[str]:
    """As many columns as fit into a line."""
    chosen: list[str] = []
    used = 8
    for name in names:
        used += 2 + max(len(name), 7)
        if used > width:
            break
        chosen.append(name)
    return chosen


def facts(record: Record) -> dict[str, str]:
    """What a person needs to go on from a run: where it is, and what to type next."""
    kept = list((record.folder / "wandb").glob("offline-run-*"))
    wandb = {"W&B": "kept offline; `expkit sync` uploads it"} if kept else {}
    return {"record": short_path(record.folder), **wandb, "next": next_command(record)}


def next_command(record: Record) -> str:
    """What one would do next with this run."""
    where = (
        ""
        if record.folder.parents[1] == (Path.cwd() / "runs")
        else f" --runs {shlex.quote(short_path(record.folder.parents[1]))}"
    )
    if record.state == "interrupted":
        return "the same command again goes on from here"
    if record.state == "diverged":
        return "a smaller learning rate, e.g. optimizer.lr=..., or trainer.gradient_clip_val=1"
    return f"expkit eval {record.run_id}{where}    expkit runs{where}"
