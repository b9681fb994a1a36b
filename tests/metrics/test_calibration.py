"""Calibration errors and proper scores against torchmetrics, scikit-learn and closed forms."""

import math

import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from expkit.metrics.calibration import (
    brier_score,
    calibration_error,
    classwise_error,
    negative_log_likelihood,
    top_label_error,
)


@pytest.fixture
def predictions():
    random = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(500, 7, generator=random)
    return logits.log_softmax(-1), torch.randint(7, (500,), generator=random)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_top_label_error_is_that_of_torchmetrics(predictions, norm, bins):
    log_probabilities, target = predictions
    theirs = multiclass_calibration_error(log_probabilities.exp(), target, 7, n_bins=bins, norm=norm)
    ours = top_label_error(log_probabilities.exp(), target, bins, norm=norm)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)


def test_the_classwise_error_is_the_mean_of_torchmetrics_over_one_against_the_rest(predictions):
    log_probabilities, target = predictions
    probabilities = log_probabilities.exp()

    def one(k):
        # torchmetrics' binary error is about the probability of class 1, as here.
        return binary_calibration_error(probabilities[:, k], (target == k).long(), n_bins=12).item()

    assert classwise_error(probabilities, target, 12).item() == pytest.approx(sum(map(one, range(7))) / 7, abs=1e-6)


def test_the_scores_are_those_of_scikit_learn(predictions):
    log_probabilities, target = predictions
    probabilities = log_probabilities.double().exp()
    probabilities /= probabilities.sum(-1, keepdim=True)
    assert negative_log_likelihood(log_probabilities, target).item() == pytest.approx(
        log_loss(target, probabilities, labels=range(7)), rel=1e-6
    )
    assert brier_score(probabilities, target).item() == pytest.approx(
        brier_score_loss(target, probabilities, labels=range(7), scale_by_half=False), rel=1e-6
    )


def test_bins_of_equal_mass_by_hand():
    confidence = torch.tensor([0.9, 0.1, 0.6, 0.2])
    correct = torch.tensor([True, True, False, False])
    # {0.1, 0.2} with one correct of two, {0.6, 0.9} with one of two: gaps |0.15 - 0.5| and |0.75 - 0.5|.
    assert calibration_error(confidence, correct, bins=2, binning="mass").item() == pytest.approx(0.3)
    assert calibration_error(confidence, correct, bins=2, binning="mass", norm="max").item() == pytest.approx(0.35)


def test_bins_of_equal_mass_do_not_leave_any_empty_where_all_confidences_are_high():
    confidence = torch.linspace(0.99, 1, 1000, dtype=torch.float64)
    correct = torch.arange(1000) >= 500  # never right in the lower half, always in the upper one
    width = calibration_error(confidence, correct, bins=10)
    mass = calibration_error(confidence, correct, bins=10, binning="mass")
    assert width.item() == pytest.approx(0.995 - 0.5)  # all in one bin
    assert mass.item() == pytest.approx((0.9925 + 0.0025) / 2, abs=1e-4)


def test_what_is_calibrated_by_construction_has_little_error_and_what_is_certain_has_that_of_its_accuracy():
    random = torch.Generator().manual_seed(0)
    confidence = torch.rand(200_000, generator=random, dtype=torch.float64)
    correct = torch.rand(200_000, generator=random, dtype=torch.float64) < confidence
    assert calibration_error(confidence, correct).item() < 3 * math.sqrt(15 / 200_000)
    certain = torch.eye(2)[torch.tensor([0, 0, 0, 1])]
    assert top_label_error(certain, torch.tensor([0, 0, 1, 1])).item() == pytest.approx(0.25)
    assert brier_score(certain, torch.tensor([0, 0, 1, 1])).item() == pytest.approx(2 / 4)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="at least one bin"):
        calibration_error(torch.rand(3), torch.ones(3), bins=0)
    with pytest.raises(ValueError, match="binning is one of"):
        calibration_error(torch.rand(3), torch.ones(3), binning="equal")
    with pytest.raises(ValueError, match="norm is one of"):
        calibration_error(torch.rand(3), torch.ones(3), norm="l3")
