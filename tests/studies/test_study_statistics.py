"""Intervals against scipy's own, and by how often they hold the truth when data are drawn again and again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from expkit.studies.checks import ratio
from expkit.studies.sample import Sample, median_interval, t_interval, welch_interval
from samples import sample


def test_the_interval_of_a_mean_is_scipys() -> None:
    values = np.random.default_rng(0).normal(3, 2, 12)
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert t_interval(values.tolist()) == pytest.approx((values.mean(), interval.low, interval.high))


def test_the_interval_of_three_values_by_hand() -> None:
    # 1, 2, 3: s = 1, t with 2 degrees of freedom is 4.3027
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx((2, 2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)))


@pytest.mark.parametrize("n", [6, 7, 10, 25, 40])
def test_the_interval_of_a_median_is_scipys(n: int) -> None:
    values = np.random.default_rng(n).exponential(size=n)
    interval = stats.quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
    assert median_interval(values.tolist()) == pytest.approx((np.median(values), interval.low, interval.high))


def test_five_values_are_too_few_for_an_interval_of_their_median() -> None:
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0])[1:] == (-math.inf, math.inf)


def test_a_median_stands_where_some_values_are_infinite() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, math.inf, math.inf]
    assert median_interval(values) == (5.5, 2.0, math.inf)


def test_nineteen_of_twenty_intervals_hold_the_mean() -> None:
    rng = np.random.default_rng(1)
    draws = rng.normal(0.7, 1.3, (4000, 5))
    intervals = np.array([t_interval(draw.tolist()) for draw in draws])
    covered = ((intervals[:, 1] <= 0.7) & (intervals[:, 2] >= 0.7)).mean()
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


def test_intervals_of_a_median_hold_it_at_least_as_often() -> None:
    rng = np.random.default_rng(2)
    draws = rng.exponential(size=(4000, 10))
    intervals = np.array([median_interval(draw.tolist()) for draw in draws])
    covered = ((intervals[:, 1] <= math.log(2)) & (intervals[:, 2] >= math.log(2))).mean()
    exact = 1 - 2 * stats.binom.cdf(1, 10, 0.5)  # between the 2nd and the 9th of ten: 0.979
    assert covered == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 4000))


def test_the_interval_of_a_ratio_holds_it_about_as_often() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(60):
        noise = rng.normal(0, 0.2, 20)
        first, second = 3 + noise + rng.normal(0, 0.1, 20), 2 + noise + rng.normal(0, 0.1, 20)
        interval = ratio(sample(first.tolist()), sample(second.tolist())).interval
        held += interval[0] <= 1.5 <= interval[1]
    assert held >= 51  # 57 are expected; fewer than 51 have a chance of 0.3 %


def test_one_value_says_nothing_of_the_scatter() -> None:
    assert t_interval([0.7]) == (0.7, -math.inf, math.inf)
    assert (sample([0.7]) >= 0.1).state == "undecided"


def test_values_that_are_not_finite_decide_nothing() -> None:
    values = sample([0.9, 0.95, math.nan, 0.97])
    assert (values >= 0.1).state == (values <= 0.1).state == "undecided"


def test_runs_of_one_seed_are_no_independent_values() -> None:
    """Ten runs of two seeds have the interval of two values, which a t with one degree of freedom makes wide."""
    values = [1.0, 1.1, 0.9, 1.0, 1.0, 2.0, 2.1, 1.9, 2.0, 2.0]
    own = sample(values, seeds=["a"] * 5 + ["b"] * 5)
    assert own.n == 2
    assert own.interval == pytest.approx(t_interval([1.0, 2.0])[1:])


def test_a_difference_of_arms_is_paired_by_seed() -> None:
    rng = np.random.default_rng(4)
    common = rng.normal(0, 10, 8)
    first, second = common + 1 + rng.normal(0, 0.1, 8), common + rng.normal(0, 0.1, 8)
    order = rng.permutation(8)  # the second arm's runs come in another order
    seeds = [f"seed={i}" for i in range(8)]
    a = sample(first.tolist(), "a", seeds)
    b = sample(second[order].tolist(), "b", [seeds[i] for i in order])
    paired = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (a - b).interval == pytest.approx((paired.low, paired.high))
    assert (a > b).state == "held"
    unpaired = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert unpaired.low < 0 < unpaired.high  # without the pairs nothing could be said


def test_arms_with_other_seeds_are_compared_by_welchs_test() -> None:
    a, b = [1.0, 2.0, 3.0, 5.0], [0.0, 0.5, 0.2]
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert welch_interval(a, b)[1:] == pytest.approx((interval.low, interval.high))
    difference = sample(a) - sample(b, seeds=["other=1", "other=2", "other=3"])
    assert difference.interval == pytest.approx((interval.low, interval.high))


def test_seeds_that_one_arm_lacks_are_counted() -> None:
    a = sample([1.0, 2.0, 3.0], seeds=["s0", "s1", "s2"])
    b = sample([0.5, 1.0], seeds=["s0", "s2"], expected=3)
    difference = a - b
    assert isinstance(difference, Sample)
    assert (difference.values, difference.n, difference.expected) == ((0.5, 2.0), 2, 3)
