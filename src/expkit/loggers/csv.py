"""Metrics as a table that everything can read."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import loggers
from lightning.pytorch.utilities.rank_zero import rank_zero_only


class CSVLogger(loggers.CSVLogger):
    """Lightning's, writing `csv/metrics.csv` in the run's folder: a column `step`, and one per metric.

    A run that is taken up again goes on in its table.

    Args:
        folder: the run's.
        run_id, name, config: not used; the record has them.
        flush_logs_every_n_steps: the table is written at every step that is a multiple of this, less one.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str | None = None,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        flush_logs_every_n_steps: int = 100,
    ) -> None:
        super().__init__(folder, name="csv", version="", flush_logs_every_n_steps=flush_logs_every_n_steps)
        # Read now: Lightning deletes the file when the first metric comes.
        self._before = _rows(Path(self.log_dir) / "metrics.csv")

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        before, self._before = self._before, []
        for row in before:
            # Rows from this step on were made after the checkpoint that the run is taken up from: it makes them again.
            if step is None or int(row["step"]) < step:
                self.experiment.log_metrics(
                    {key: value for key, value in row.items() if key != "step" and value != ""}, int(row["step"])
                )
        super().log_metrics(metrics, step)


def _rows(file: Path) -> list[dict[str, str]]:
    """The rows of a table, but for one that a killed process has not written to its end."""
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        reader = csv.DictReader(lines)
        return [row for row in reader if None not in row.values() and row.get("step", "").isdigit()]
