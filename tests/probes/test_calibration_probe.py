"""Calibration of classifiers whose probabilities are known."""

import math

import pytest
import torch
from torch import nn

from expkit.data.base import TensorData
from expkit.errors import UserError
from expkit.probes.calibration import Calibration
from expkit.probes.predictions import Predictions
from expkit.tasks.supervised import BinaryClassification, Classification, Regression


class Given(TensorData):
    """Inputs are logits, so that the identity is the model."""

    def __init__(self, inputs, target):
        super().__init__(spec={})
        self.split = {"input": inputs, "target": target}

    def draw(self):
        return {"train": self.split, "test": self.split}


def made(inputs, target):
    data = Given(inputs, target)
    data.setup()
    return data


def test_a_classifier_that_says_three_quarters_and_is_right_half_of_the_time():
    logits = torch.tensor([[0.0, math.log(3)]] * 8)
    data = made(logits, torch.tensor([0, 1] * 4))
    measured = Calibration(["test"], bins=10).measure(Classification(nn.Identity(), 2), data)
    assert measured == {
        "test/ece": pytest.approx(0.25),
        "test/ece_classwise": pytest.approx(0.25),
        "test/nll": pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2),
        "test/brier": pytest.approx((2 * 0.25**2 + 2 * 0.75**2) / 2),
    }


def test_one_logit_is_the_same_as_two_of_which_one_is_zero():
    logits, target = torch.randn(300, 1), torch.randint(2, (300,))
    one = Calibration().measure(BinaryClassification(nn.Identity(), 1), made(logits, target))
    padded = torch.cat([torch.zeros(300, 1), logits], 1)
    two = Calibration().measure(Classification(nn.Identity(), 2), made(padded, target))
    assert one == pytest.approx(two)
    loss = BinaryClassification(nn.Identity(), 1).objective({"input": logits, "target": target})["loss"]
    assert one["test/nll"] == pytest.approx(loss.item(), rel=1e-5)


def test_positions_without_a_target_do_not_count():
    logits = torch.randn(20, 5, 4)
    target = torch.randint(4, (20, 5))
    per_position = Classification(nn.Identity(), 4, per_position=True)
    whole = Calibration().measure(per_position, made(logits[:, :3].contiguous(), target[:, :3]))
    target[:, 3:] = -100
    assert Calibration().measure(per_position, made(logits, target)) == pytest.approx(whole)


def test_predictions_are_kept_as_small_arrays():
    logits, target = torch.randn(50, 10), torch.randint(10, (50,))
    kept = Predictions(keep=["class", "probabilities"]).conclude(
        Classification(nn.Identity(), 10), made(logits, target)
    )
    assert set(kept) == {f"predictions/test_{what}" for what in ("class", "probabilities", "target")}
    assert kept["predictions/test_class"].dtype == torch.uint8
    assert kept["predictions/test_class"].tolist() == logits.argmax(-1).tolist()
    assert kept["predictions/test_target"].tolist() == target.tolist()
    torch.testing.assert_close(kept["predictions/test_probabilities"].float(), logits.softmax(-1), atol=5e-4, rtol=0)


def test_what_they_cannot_be_asked_of():
    data = made(torch.randn(4, 2), torch.randn(4, 2))
    with pytest.raises(UserError, match="not classes"):
        Calibration().measure(Regression(nn.Identity(), 2), data)
    with pytest.raises(UserError, match="no split 'val'"):
        Predictions(splits=["val"]).conclude(Classification(nn.Identity(), 2), data)
    with pytest.raises(ValueError, match="keep is of"):
        Predictions(keep=["logit"])
