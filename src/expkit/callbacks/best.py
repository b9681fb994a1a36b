"""The best state of a training, by one of its metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import ModelCheckpoint

from expkit.errors import UserError


class BestCheckpoint(ModelCheckpoint):
    """Keeps `checkpoints/best.ckpt` of a run: its state at the evaluation point where a metric was best.

    The first of equally good points wins. Step 0 does not take part: nothing has been learned there.

    Args:
        monitor: name of the metric.
        mode: whether less ('min') or more ('max') of it is better.
        dirpath: folder; by default `checkpoints` in the run's record.

    Raises:
        UserError: the run has no such metric.
    """

    def __init__(
        self,
        monitor: str = "test/loss",
        mode: Literal["min", "max"] = "min",
        dirpath: str | None = None,
    ) -> None:
        super().__init__(
            dirpath=dirpath,
            filename="best",
            monitor=monitor,
            mode=mode,
            save_weights_only=False,  # else Lightning leaves the callbacks out, and with them averaged weights
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        )

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        # Lightning would choose a folder of the first logger's.
        self.dirpath = self.dirpath or str(Path(trainer.default_root_dir, "checkpoints").absolute())
        super().setup(trainer, pl_module, stage)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self.monitor not in trainer.callback_metrics:
            raise UserError(
                f"callbacks.best.monitor={self.monitor}: there is no such metric.",
                f"There are: {', '.join(trainer.callback_metrics)}.",
            )
        super().on_validation_end(trainer, pl_module)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the best value so far, also where the record has been moved since it was saved."""
        assert self.dirpath is not None
        score, path = state_dict["best_model_score"], str(Path(self.dirpath, "best.ckpt"))
        here: dict[str, Any] = {"dirpath": self.dirpath}
        if score is not None:
            here |= {"best_model_path": path, "kth_best_model_path": path, "best_k_models": {path: score}}
        super().load_state_dict({**state_dict, **here})
