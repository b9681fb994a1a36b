"""Intervals and tests against scipy.stats."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from expkit.comparing.statistics import difference, holm, mean_interval


@pytest.mark.parametrize("n", [2, 3, 10, 50])
def test_the_interval_of_a_mean_is_students(n: int) -> None:
    sample = np.random.default_rng(n).normal(3, 2, n)
    expected = stats.t.interval(0.95, n - 1, sample.mean(), stats.sem(sample))
    found = mean_interval(sample.tolist())
    assert (found.mean, found.low, found.high) == pytest.approx((sample.mean(), *expected))
    assert found.n == n


def test_one_value_has_no_interval() -> None:
    assert mean_interval([0.5]).mean == 0.5
    assert math.isnan(mean_interval([0.5]).low)
    assert mean_interval([]).n == 0


@pytest.mark.parametrize("seed", range(5))
def test_shared_seeds_are_paired(seed: int) -> None:
    draw = np.random.default_rng(seed)
    common = draw.normal(0, 5, 12)
    one, other = common + draw.normal(0.3, 0.4, 12), common + draw.normal(0, 0.4, 12)
    expected = stats.ttest_rel(one[:10], other[:10])
    seeds = [*range(12)]
    # The last two seeds of each are its own, and take no part.
    found = difference(
        {s: [v] for s, v in zip(seeds, one, strict=True)},
        {s if s < 10 else s + 50: [v] for s, v in zip(seeds, other, strict=True)},
    )
    assert found.paired
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.is_significant == (expected.pvalue < 0.05)


@pytest.mark.parametrize("seed", range(5))
def test_others_are_compared_by_welch(seed: int) -> None:
    draw = np.random.default_rng(seed)
    one, other = draw.normal(1, 1, 8), draw.normal(0, 3, 15)
    expected = stats.ttest_ind(one, other, equal_var=False)
    found = difference({f"a{i}": [v] for i, v in enumerate(one)}, {f"b{i}": [v] for i, v in enumerate(other)})
    assert not found.paired
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_differences_without_spread() -> None:
    assert difference({1: [2.0], 2: [3.0]}, {1: [1.0], 2: [2.0]}).p == 0
    assert difference({1: [2.0], 2: [3.0]}, {1: [2.0], 2: [3.0]}).p == 1
    assert math.isnan(difference({1: [2.0]}, {1: [1.0]}).p)
    assert not difference({1: [2.0]}, {1: [1.0]}).is_significant


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    draw = np.random.default_rng(0)
    inside = [f.low <= 1 <= f.high for f in (mean_interval(draw.normal(1, 1, 5).tolist()) for _ in range(2000))]
    assert 0.935 < np.mean(inside) < 0.965


def test_holm() -> None:
    # What R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") gives.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, math.nan, 0.8])[0::2] == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_holm_keeps_the_chance_of_any_false_finding_below_five_percent() -> None:
    draw = np.random.default_rng(3)
    found = [min(holm(draw.uniform(size=6).tolist())) < 0.05 for _ in range(4000)]
    assert np.mean(found) < 0.06
