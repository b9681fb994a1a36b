"""The best checkpoint against the record's own metrics."""

import shutil

import pytest
import torch

from expkit.errors import UserError
from expkit.records.metrics import MetricLog


@pytest.fixture
def unsteady():
    """A schedule under which the loss falls, then rises."""

    def factory(optimizer):
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 if step < 12 else -1.0)

    return factory


def evaluated_from(task, path):
    """The test loss of the weights in a checkpoint."""
    saved = torch.load(path, weights_only=True)
    task.load_state_dict(saved["state_dict"])
    data = task.trainer.train_dataloader.training.data
    return saved["global_step"], task.evaluate(data.splits["test"])["loss"]


@pytest.mark.parametrize("averages", [[], ["ema"]])
def test_keeps_the_state_with_the_smallest_loss(train, callback, unsteady, tmp_path, averages):
    averaging = [callback(option, decay=0.5) for option in averages]
    task, log, _ = train(callback("best"), *averaging, max_steps=25, scheduler=unsteady)
    loss, step = min((row["test/loss"], row["step"]) for row in log.rows)
    assert 0 < step < 25
    assert evaluated_from(task, tmp_path / "checkpoints" / "best.ckpt") == (step, loss)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_keeps_the_state_with_the_largest_value(train, callback, unsteady, tmp_path):
    task, log, _ = train(callback("best", mode="max"), max_steps=25, scheduler=unsteady)
    expected = max((row["test/loss"], row["step"]) for row in log.rows[1:])
    assert evaluated_from(task, tmp_path / "checkpoints" / "best.ckpt") == expected[::-1]


def test_a_resumed_run_remembers_its_best_in_another_place(train, callback, unsteady, tmp_path):
    log, moved = MetricLog(None), tmp_path / "moved"
    train(callback("best"), max_steps=25, scheduler=unsteady, log=log, stop_after=18, folder=tmp_path)
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)["global_step"]
    assert best < 18
    shutil.copytree(tmp_path / "checkpoints", moved / "checkpoints")
    resume = moved / "checkpoints" / "last.ckpt"
    task, _, _ = train(callback("best"), max_steps=25, scheduler=unsteady, log=log, resume=resume, folder=moved)
    loss, step = min((row["test/loss"], row["step"]) for row in log.rows)
    assert step == best
    assert evaluated_from(task, moved / "checkpoints" / "best.ckpt") == (step, loss)


def test_an_unknown_metric_is_named_with_those_there_are(train, callback):
    with pytest.raises(UserError, match=r"test/accuracy(.|\n)*test/loss"):
        train(callback("best", monitor="test/accuracy"))
