"""The runs of dense sweeps, which are rows of their sweep's table (see `expkit.sweeps.dense`), as in `runs()`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from expkit.errors import UserError
from expkit.records.columns import stacked
from expkit.records.files import read_json
from expkit.records.plain import plain_values
from expkit.records.sealed import read_sealed

if TYPE_CHECKING:
    import polars


def dense_sweeps(root: Path) -> list[Path]:
    """The folders of the dense sweeps of a run store."""
    return sorted(folder.parent for folder in root.glob(".sweeps/*/columns"))


def dense_rows(folder: Path, damaged: list[str]) -> polars.DataFrame:
    """One row a run of a sweep, with what all have in common in columns of one value.

    Args:
        folder: of the sweep.
        damaged: is extended by files that cannot be read.
    """
    import polars

    frames = []
    for path in sorted((folder / "columns").glob("*.parquet")):
        try:
            frames.append(read_sealed(path))
        except (OSError, UserError):
            damaged.append(str(path))
    if not frames:
        return polars.DataFrame()
    frame = stacked(frames).sort("number").drop("number")
    try:
        common = plain_values((folder / "columns" / "config.yaml").read_text(), {})
    except (OSError, ValueError):
        common = {}
    info = read_json(folder / "sweep.json") or {}
    return frame.select(
        polars.col("run").str.split("/").list.last().alias("run_id"),
        polars.col("run").str.split("/").list.first().alias("experiment"),
        "state",
        polars.lit(info.get("started"), polars.String).alias("started"),
        polars.lit(None, polars.Float64).alias("seconds"),
        polars.lit(str(folder.absolute())).alias("path"),
        *([] if "step" in frame.columns else [polars.lit(None).alias("step")]),
        *(polars.lit(value).alias(name) for name, value in common.items() if name not in frame.columns),
        *(name for name in frame.columns if name not in ("run", "state")),
    )
