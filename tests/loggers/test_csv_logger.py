"""The table, read by polars."""

from __future__ import annotations

from pathlib import Path

import polars

from expkit.loggers.csv import CSVLogger


def test_the_table_has_a_row_per_step_and_gaps_where_nothing_was_measured(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path)
    logger.log_metrics({"train/loss": 0.5}, 0)
    logger.log_metrics({"train/loss": 0.25, "test/acc": 1.0}, 8)
    logger.finalize("success")
    table = polars.read_csv(tmp_path / "csv" / "metrics.csv").select("step", "train/loss", "test/acc")
    assert table.rows() == [(0, 0.5, None), (8, 0.25, 1.0)]


def test_a_run_that_is_taken_up_again_goes_on_in_its_table(tmp_path: Path) -> None:
    killed = CSVLogger(tmp_path)
    for step in (0, 1, 2, 3):
        killed.log_metrics({"loss": float(step)}, step)
    killed.save()
    file = tmp_path / "csv" / "metrics.csv"
    file.write_text(file.read_text() + "0.")  # killed while it wrote the row of the step after

    resumed = CSVLogger(tmp_path)  # from a checkpoint at step 1
    for step in (2, 3, 5):
        resumed.log_metrics({"loss": 10.0 * step}, step)
    resumed.finalize("success")
    table = polars.read_csv(file).select("step", "loss")
    assert table.rows() == [(0, 0.0), (1, 1.0), (2, 20.0), (3, 30.0), (5, 50.0)]


def test_a_logger_that_is_told_nothing_keeps_what_was_there(tmp_path: Path) -> None:
    first = CSVLogger(tmp_path)
    first.log_metrics({"loss": 1.0}, 0)
    first.finalize("success")
    CSVLogger(tmp_path).finalize("success")
    assert polars.read_csv(tmp_path / "csv" / "metrics.csv").rows() == [(1.0, 0)]
