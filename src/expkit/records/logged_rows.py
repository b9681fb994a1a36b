"""The metrics of runs over their steps, one below the other."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.errors import ConfigError, UserError, did_you_mean
from expkit.records.metrics import read

if TYPE_CHECKING:
    import polars


def read_history(frame: polars.DataFrame, metrics: Sequence[str] | None = None) -> polars.DataFrame:
    """What `expkit.records.history` returns, and 'path', of runs that a frame with 'run_id' and 'path' lists.

    Raises:
        ConfigError: no run has a metric of that name.
    """
    import polars

    parts, known = [], set()
    for run_id, path in frame.select("run_id", "path").iter_rows():
        try:
            rows = read(Path(path) / "metrics.parquet")
        except OSError:
            continue  # nothing logged yet, or a row of a dense sweep
        except UserError as error:
            warnings.warn(f"{error.message} It is left out. {error.hint}", stacklevel=3)
            continue
        known.update(rows.columns)
        chosen = [name for name in rows.columns if name != "step" and (metrics is None or name in metrics)]
        parts.append(rows.select(polars.lit(run_id).alias("run_id"), polars.lit(path).alias("path"), "step", *chosen))
    for name in metrics or ():
        if parts and name not in known:
            raise ConfigError(f"No run has a metric '{name}'.", did_you_mean(name, known - {"step"}))
    if not parts:
        schema = {
            "run_id": polars.String(),
            "path": polars.String(),
            "step": polars.Int64(),
            **dict.fromkeys(metrics or (), polars.Float64()),
        }
        return polars.DataFrame(schema=schema)
    return polars.concat(parts, how="diagonal_relaxed")
