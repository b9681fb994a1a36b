"""Averages of weights against the sums that define them, over the weights of the very training."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.strategies import FSDPStrategy
from torch import nn

from expkit.callbacks.weight_averaging import WeightAveraging
from expkit.errors import ConfigError
from expkit.records.metrics import MetricLog

WITHIN = {"rtol": 1e-5, "atol": 1e-6}


def test_ema_evaluates_the_recursion(train, callback, weights):
    task, _, _ = train(weights, callback("ema", decay=0.8), max_steps=6)
    average = weights.trained[0]
    for step, trained in enumerate(weights.trained, start=1):
        average = trained if step == 1 else 0.8 * average + 0.2 * trained
        torch.testing.assert_close(weights.evaluated[step], average, **WITHIN)
    assert torch.equal(weights.flat(task.model), weights.evaluated[6])  # and ends with it


def test_swa_evaluates_the_weights_first_and_then_the_mean_of_every_other(train, callback, weights):
    train(weights, callback("swa", start_step=3, every_n_steps=2), max_steps=8)
    for step in (1, 2):
        assert torch.equal(weights.evaluated[step], weights.trained[step - 1])
    for step, averaged in {3: [3], 4: [3], 5: [3, 5], 6: [3, 5], 7: [3, 5, 7], 8: [3, 5, 7]}.items():
        mean = torch.stack([weights.trained[s - 1] for s in averaged]).mean(0)
        torch.testing.assert_close(weights.evaluated[step], mean, **WITHIN)


def test_a_share_of_the_training_is_a_step(train, callback, weights):
    train(weights, callback("swa"), max_steps=8)  # from three quarters on
    assert torch.equal(weights.evaluated[5], weights.trained[4])
    mean = torch.stack(weights.trained[5:8]).mean(0)
    torch.testing.assert_close(weights.evaluated[8], mean, **WITHIN)


@pytest.mark.parametrize("option", ["ema", "swa"])
def test_training_goes_on_as_if_nothing_were_averaged(train, callback, weights, option):
    train(weights, callback(option))
    averaged, weights.trained = weights.trained, []
    train(weights)
    assert all(torch.equal(a, b) for a, b in zip(averaged, weights.trained, strict=True))


def test_what_begins_too_late_changes_nothing(train, callback, weights):
    task, log, _ = train(weights, callback("swa", start_step=100))
    assert torch.equal(weights.flat(task.model), weights.trained[-1])
    assert log.rows == train()[1].rows


@pytest.mark.parametrize(("option", "stop_after"), [("ema", 4), ("swa", 4), ("swa", 9)])
def test_resumed_is_the_same_to_the_bit(train, callback, tmp_path, option, stop_after):
    task, straight, _ = train(callback(option), max_steps=12)
    log = MetricLog(None)
    assert train(callback(option), max_steps=12, log=log, stop_after=stop_after)[2] == "interrupted"
    resumed, _, state = train(callback(option), max_steps=12, log=log, resume=tmp_path / "checkpoints" / "last.ckpt")
    assert state == "complete"
    assert log.rows == straight.rows
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), task.parameters(), strict=True))


class Normalized(nn.Module):
    """With buffers of all types: running statistics, a counter of batches, a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.readout = nn.Linear(8, 2)
        self.mask: torch.Tensor
        self.register_buffer("mask", torch.arange(8) % 2 == 0)
        self.means: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(self.hidden(x))
        if self.training:
            self.means.append(self.norm.running_mean.clone())
        return self.readout(hidden * self.mask)


@pytest.mark.parametrize("option", ["ema", "swa"])
def test_buffers_are_averaged_where_they_are_numbers(train, callback, option):
    torch.manual_seed(0)
    model = Normalized()
    task, _, _ = train(callback(option, start_step=1), max_steps=5, model=model)
    if option == "swa":
        torch.testing.assert_close(task.model.norm.running_mean, torch.stack(model.means).mean(0), **WITHIN)
    assert task.model.norm.num_batches_tracked == 5
    assert task.model.mask.tolist() == [True, False] * 4


def test_a_checkpoint_holds_the_average_and_the_weights(train, callback, weights, tmp_path):
    train(weights, callback("ema", decay=0.5), max_steps=10, stop_after=5)
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    average, current = (
        torch.cat([saved[key][name].flatten() for name in saved[key]]) for key in ("state_dict", "current_model_state")
    )
    assert torch.equal(average, weights.evaluated[5])
    assert torch.equal(current, weights.trained[4])


def test_two_averages_are_refused(train, callback):
    with pytest.raises(ConfigError, match="Two callbacks average"):
        train(callback("ema"), callback("swa"))


def test_divided_weights_are_refused():
    averaging = WeightAveraging()
    with pytest.raises(ConfigError, match="divides the weights"):
        averaging.setup(SimpleNamespace(callbacks=[averaging], strategy=FSDPStrategy()), nn.Linear(1, 1), "fit")


@pytest.mark.parametrize("wrong", [{"decay": 1.5}, {"every_n_steps": 0}])
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WeightAveraging(**wrong)
