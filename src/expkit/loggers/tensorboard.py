"""Metrics for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import loggers

from expkit.errors import UserError


class TensorBoardLogger(loggers.TensorBoardLogger):
    """Lightning's, writing to `tensorboard/` in the run's folder.

    Args:
        folder: the run's.
        run_id, name, config: not used; the record has them.

    Raises:
        UserError: TensorBoard is not installed.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str | None = None,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            # Without the placeholder, which would be a metric of every run that is never measured.
            super().__init__(folder, name="tensorboard", version="", default_hp_metric=False)
        except ModuleNotFoundError as error:
            raise UserError(
                "logger=tensorboard: TensorBoard is not installed.", "pip install 'expkit[tensorboard]'"
            ) from error
