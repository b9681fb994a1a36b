"""TensorBoard's files, read by TensorBoard."""

from __future__ import annotations

from pathlib import Path

import lightning.fabric.loggers.tensorboard as fabric
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from expkit.errors import UserError
from expkit.loggers.tensorboard import TensorBoardLogger


def test_metrics_are_where_tensorboard_looks(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    for step in (0, 1, 8):
        logger.log_metrics({"train/loss": 1 / (1 + step)}, step)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert events.Tags()["scalars"] == ["train/loss"]
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [
        (0, 1.0),
        (1, 0.5),
        (8, pytest.approx(1 / 9)),
    ]


def test_without_the_extra_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fabric, "_TENSORBOARD_AVAILABLE", False)
    monkeypatch.setattr(fabric, "_TENSORBOARDX_AVAILABLE", False)
    with pytest.raises(UserError) as caught:
        TensorBoardLogger(tmp_path)
    assert caught.value.hint == "pip install 'expkit[tensorboard]'"
