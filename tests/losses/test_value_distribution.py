"""Targets as distributions: their means, and their shares by another route."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from expkit.losses.value_distribution import bin_centers, expected_value, hl_gauss, two_hot

LOW, HIGH, BINS = -3.0, 5.0, 16
TARGETS = torch.tensor([-2.0, -0.3, 0.0, 1.7, 4.2], dtype=torch.float64)
CENTERS = bin_centers(LOW, HIGH, BINS, TARGETS)


def test_two_hot_has_the_target_as_its_mean_and_two_neighbours() -> None:
    shares = two_hot(TARGETS, LOW, HIGH, BINS)
    assert torch.allclose(shares.sum(-1), torch.ones(5, dtype=torch.float64))
    assert torch.allclose(shares @ CENTERS, TARGETS)
    assert (shares > 0).sum(-1).max() <= 2


def test_hl_gauss_has_the_shares_of_a_truncated_normal_distribution() -> None:
    width = (HIGH - LOW) / BINS
    scale = 0.75 * width
    shares = hl_gauss(TARGETS, LOW, HIGH, BINS, smoothing=0.75)
    for target, own in zip(TARGETS.tolist(), shares, strict=True):
        normal = stats.truncnorm((LOW - target) / scale, (HIGH - target) / scale, loc=target, scale=scale)
        edges = torch.linspace(LOW, HIGH, BINS + 1, dtype=torch.float64).numpy()
        assert own.tolist() == pytest.approx((normal.cdf(edges[1:]) - normal.cdf(edges[:-1])).tolist(), abs=1e-9)
    inner = TARGETS[1:4]
    assert torch.allclose(hl_gauss(inner, LOW, HIGH, BINS) @ CENTERS, inner, atol=1e-2)


def test_targets_beyond_the_range_have_its_ends() -> None:
    far = torch.tensor([-100.0, 100.0])
    assert two_hot(far, LOW, HIGH, BINS).argmax(-1).tolist() == [0, BINS - 1]
    shares = hl_gauss(far, LOW, HIGH, BINS)
    assert shares.argmax(-1).tolist() == [0, BINS - 1]
    assert torch.allclose(shares.sum(-1), torch.ones(2))


def test_the_value_of_logits_is_the_mean_of_their_softmax() -> None:
    shares = hl_gauss(TARGETS, LOW, HIGH, BINS)
    assert torch.allclose(expected_value(shares.log() + 3.0, LOW, HIGH), shares @ CENTERS)
