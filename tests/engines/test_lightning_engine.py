"""The engine against a plain loop, and what it leaves alone."""

from __future__ import annotations

import copy
import signal
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.nn import functional as F

from expkit.data.base import TensorData
from expkit.data.gaussian_mixture import GaussianMixture
from expkit.engines.lightning import LightningEngine
from expkit.engines.stopping import StopRequest
from expkit.engines.training import Training
from expkit.records.metrics import MetricLog
from expkit.tasks.supervised import Classification


@pytest.fixture
def data() -> TensorData:
    mixture = GaussianMixture(
        classes=3, dim=5, separation=3.0, n_train=70, n_test=40, spec={"shape": [5], "classes": 3}, batch_size=20
    )
    mixture.setup()
    return mixture


def fit(data: TensorData, model: nn.Module, folder: Path, **arguments) -> MetricLog:  # type: ignore[no-untyped-def]
    task = Classification(model, n_outputs=3)
    task.optimizer_factory = lambda params: torch.optim.SGD(params, lr=0.3, momentum=0.5)
    log = MetricLog(folder / "metrics.parquet")
    assert LightningEngine(**arguments).fit(Training(task, data, seed=4, log=log, folder=folder)) == "complete"
    return log


def test_it_makes_the_steps_of_a_plain_loop(data: TensorData, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
    plain = copy.deepcopy(model)
    log = fit(data, model, tmp_path, max_steps=13, eval_at=5)

    optimizer = torch.optim.SGD(plain.parameters(), lr=0.3, momentum=0.5)
    test = data.splits["test"]
    losses = {0: F.cross_entropy(plain(test["input"]), test["target"]).item()}
    for step in range(13):
        batch = data.batch(step, seed=4)
        optimizer.zero_grad()
        F.cross_entropy(plain(batch["input"]), batch["target"]).backward()
        optimizer.step()
        losses[step + 1] = F.cross_entropy(plain(test["input"]), test["target"]).item()

    assert [row["step"] for row in log.rows] == [0, 5, 10, 13]
    for row in log.rows:
        assert row["test/loss"] == pytest.approx(losses[row["step"]], rel=1e-6)
    for trained, expected in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(trained, expected)


def test_accumulated_gradients_are_the_mean_over_the_batches(data: TensorData, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    plain = copy.deepcopy(model)
    fit(data, model, tmp_path, max_steps=2, accumulate_grad_batches=3)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.3, momentum=0.5)
    for step in range(2):
        batches = [data.batch(3 * step + part, seed=4) for part in range(3)]
        joined = {column: torch.cat([batch[column] for batch in batches]) for column in batches[0]}
        optimizer.zero_grad()
        F.cross_entropy(plain(joined["input"]), joined["target"]).backward()
        optimizer.step()
    assert torch.allclose(model.weight, plain.weight, atol=1e-6)


def test_clipping_limits_the_norm_of_the_step(data: TensorData, tmp_path: Path) -> None:
    model = nn.Linear(5, 3)
    before = torch.cat([p.detach().clone().flatten() for p in model.parameters()])
    fit(data, model, tmp_path, max_steps=1, gradient_clip_val=0.01)
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert float((after - before).norm()) == pytest.approx(0.3 * 0.01, rel=1e-3)


def test_training_mode_and_the_callers_randomness_are_as_before(data: TensorData, tmp_path: Path) -> None:
    frozen = nn.BatchNorm1d(5).eval()
    model = nn.Sequential(frozen, nn.Dropout(0.5), nn.Linear(5, 3))
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    fit(data, model, tmp_path, max_steps=3, eval_at=1)
    assert torch.equal(torch.rand(3), expected)
    assert not frozen.training
    assert model[1].training
    assert frozen.num_batches_tracked == 0


def test_a_signal_while_a_fit_starts_is_the_stop_request_s_alone(data: TensorData, tmp_path: Path) -> None:
    """Lightning's own handler sends a message to other processes, which do not expect it."""
    handlers = []

    class Signalled(Callback):
        def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
            handlers.append(signal.getsignal(signal.SIGTERM))
            signal.raise_signal(signal.SIGTERM)

    task = Classification(nn.Linear(5, 3), n_outputs=3)
    task.optimizer_factory = lambda params: torch.optim.SGD(params, lr=0.3)
    training = Training(task, data, seed=4, log=MetricLog(None), folder=tmp_path, callbacks=[Signalled()])
    with StopRequest() as training.stop:
        assert LightningEngine(max_steps=5).fit(training) == "interrupted"
        assert handlers == [training.stop._handle]
    assert training.stop.signal == signal.SIGTERM


def test_steps_and_epochs_exclude_each_other() -> None:
    for both in ({"max_steps": None}, {"max_steps": 3, "max_epochs": 1}):
        with pytest.raises(ValueError, match="max_steps and max_epochs"):
            LightningEngine(**both)
