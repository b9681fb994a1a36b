"""The metrics of a run: one row per logged step, one column per metric."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.errors import UserError
from expkit.records.files import replacing
from expkit.records.sealed import read_sealed, write_sealed

if TYPE_CHECKING:
    import polars

Row = dict[str, Any]


class MetricLog:
    """Rows in memory, and in a Parquet file that is replaced as a whole.

    Args:
        path: of the file; None keeps rows in memory only.
        interval: seconds between two writes that nobody asked for, so that others can watch a run.
    """

    def __init__(self, path: Path | None, interval: float = 2.0) -> None:
        self.path = path
        self.interval = interval
        self.rows: list[Row] = []
        self._written = time.monotonic()

    def __contains__(self, step: int) -> bool:
        return bool(self.rows) and self.rows[-1]["step"] >= step

    def add(self, step: int, metrics: dict[str, float]) -> None:
        self.rows.append({"step": step, **metrics})
        if time.monotonic() - self._written > self.interval:
            self.flush()

    def amend(self, metrics: dict[str, float]) -> None:
        """Adds metrics to the last row."""
        self.rows[-1] |= metrics

    def flush(self) -> None:
        if self.path is not None and self.rows:
            with replacing(self.path) as aside:
                write_sealed(frame(self.rows), aside)
        self._written = time.monotonic()

    def resume(self, step: int) -> bool:
        """Takes up the rows on disk up to a step; later ones belong to work that is done again.

        Returns:
            Whether there are any; there are none where the file is missing or damaged.
        """
        if self.path is None:
            return False
        try:
            known = read(self.path)
        except (OSError, UserError):
            return False
        self.rows = [
            {key: value for key, value in row.items() if value is not None}
            for row in known.iter_rows(named=True)
            if row["step"] <= step
        ]
        return bool(self.rows)

    @property
    def last(self) -> Row:
        """The latest value of every metric, with the step of the last row."""
        latest: Row = {}
        for row in self.rows:
            latest.update(row)
        return latest


def frame(rows: list[Row]) -> polars.DataFrame:
    """Rows as a frame: 'step' (Int64), then every metric (Float64) in order of first appearance, null where absent."""
    import polars

    names = list(dict.fromkeys(name for row in rows for name in row if name != "step"))
    schema = {"step": polars.Int64(), **{name: polars.Float64() for name in names}}
    return polars.DataFrame(rows, schema=schema, infer_schema_length=None)


def read(path: Path) -> polars.DataFrame:
    """What `MetricLog` wrote.

    Raises:
        OSError: there is nothing.
        UserError: it is damaged.
    """
    return read_sealed(path)
