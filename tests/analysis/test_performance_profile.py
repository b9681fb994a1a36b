"""Profiles by hand, and their area against a fine sum."""

import math

import numpy as np
import pytest

from expkit.analysis.performance_profile import performance_profile, performance_ratios, profile_score

COSTS = [[10, 40, math.inf], [20, 10, math.inf], [10, math.inf, math.inf]]


def test_ratios_by_hand():
    assert performance_ratios(COSTS).tolist() == [[1, 4, math.inf], [2, 1, math.inf], [1, math.inf, math.inf]]


def test_profile_by_hand():
    profile = performance_profile(COSTS, [1, 2, 3.9, 4, 100])
    third = 1 / 3
    assert profile == pytest.approx(
        np.array(
            [[third, third, third, 2 * third, 2 * third], [third] + [2 * third] * 4, [third] * 5],
        )
    )


def test_score_by_hand():
    # Ratios 1 and 4 are worth 1 and 0; a ratio of 2 is worth 2/3; a problem that is not solved nothing.
    assert profile_score(COSTS) == pytest.approx([1 / 3, (2 / 3 + 1) / 3, 1 / 3])


def test_score_is_the_area_under_the_profile():
    costs = np.random.default_rng(0).exponential(size=(4, 30)) + 0.1
    factors = np.linspace(1, 6, 50_001)
    area = np.trapezoid(performance_profile(costs, factors), factors, axis=1) / 5
    assert profile_score(costs, largest=6) == pytest.approx(area, abs=1e-4)


def test_units_do_not_matter():
    costs = np.random.default_rng(1).exponential(size=(3, 5)) + 0.1
    assert profile_score(costs * [1, 60, 3600, 1e3, 1e-3]) == pytest.approx(profile_score(costs))


@pytest.mark.parametrize("wrong", [[1, 2], [[0.0, 1.0]], [[math.nan, 1.0]], [[]]])
def test_refuses_what_is_no_table_of_costs(wrong):
    with pytest.raises(ValueError, match="costs"):
        profile_score(wrong)


def test_refuses_a_largest_factor_of_one():
    with pytest.raises(ValueError, match="largest"):
        profile_score(COSTS, largest=1)
