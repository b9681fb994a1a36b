"""W&B under Lightning's own Trainer."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as lightning
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from tests.wandb_stand_in import isolate, leet

from expkit.loggers.wandb import WandbLogger
from expkit.loggers.wandb_session import WandbSession


class Logged(BoringModel):
    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        loss: torch.Tensor = self(batch).pow(2).mean()
        self.log("train/loss", loss)
        self.log("constant", torch.tensor(2.5))
        return loss


def fit(folder: Path, logger: WandbLogger, model: lightning.LightningModule) -> None:
    lightning.Trainer(
        max_steps=3,
        log_every_n_steps=1,
        limit_val_batches=0,
        accelerator="cpu",
        logger=logger,
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(model)


@pytest.fixture(autouse=True)
def _nobodys_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


def test_what_a_model_logs_arrives(tmp_path: Path) -> None:
    fit(tmp_path, WandbLogger(folder=tmp_path, run_id="abc", mode="offline"), Logged())
    found = leet(tmp_path)
    assert (found["state"], found["exit_code"]) == ("finished", 0)
    rows = [record["history"]["item"] for record in found["records"] if record["type"] == "history"]
    assert [(row["_step"], row["constant"]) for row in rows] == [(0, 2.5), (1, 2.5), (2, 2.5)]


def test_a_training_that_fails_leaves_a_failed_run(tmp_path: Path) -> None:
    class Failing(Logged):
        def on_train_batch_end(self, *arguments: object) -> None:
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        fit(tmp_path, WandbLogger(folder=tmp_path, run_id="abc", mode="offline"), Failing())
    assert leet(tmp_path)["exit_code"] == 1


def test_who_started_a_session_finishes_it(tmp_path: Path) -> None:
    session = WandbSession(tmp_path, "abc", mode="offline")
    fit(tmp_path, WandbLogger(session), Logged())
    session.summary({"after": 1})
    session.finish("interrupted")
    found = leet(tmp_path)
    assert (found["exit_code"], found["summary"]["after"], found["summary"]["constant"]) == (255, 1, 2.5)


def test_the_experiment_takes_what_wandb_takes(tmp_path: Path) -> None:
    import wandb

    logger = WandbLogger(folder=tmp_path, run_id="abc", mode="offline")
    logger.experiment.log({"weights": wandb.Histogram([1.0, 1.0, 3.0], num_bins=2)}, step=0)
    logger.finalize("success")
    assert leet(tmp_path)["summary"]["weights"]["values"] == [2, 1]


def test_without_a_session_it_needs_a_folder() -> None:
    with pytest.raises(ValueError, match="folder"):
        WandbLogger(run_id="abc")
