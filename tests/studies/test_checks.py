"""Verdicts from comparisons, and the helpers that claims are made of, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from expkit.errors import UserError
from expkit.studies.checks import crosses, decreases, first_step, holds, increases, not_testable, ratio, rise, slope
from expkit.studies.curve import Curve
from expkit.studies.estimate import Check
from expkit.studies.sample import Sample
from samples import sample

NEAR_ONE = [0.98, 1.0, 1.02, 1.01, 0.99]  # 1.0 ± 0.0196


def curve(*lines: list[float], steps: list[int] | None = None) -> Curve:
    own = [(np.array(steps or range(len(line))), np.array(line)) for line in lines]
    return Curve("x", tuple(own), tuple(f"seed={i}" for i in range(len(lines))), len(lines))


@pytest.mark.parametrize(
    ("check", "state"),
    [
        (sample(NEAR_ONE) >= 0.97, "held"),
        (sample(NEAR_ONE) >= 0.99, "undecided"),  # the mean is above, the interval is not
        (sample(NEAR_ONE) >= 1.03, "not held"),
        (sample(NEAR_ONE) <= 1.03, "held"),
        (sample(NEAR_ONE) <= 1.01, "undecided"),
        (sample(NEAR_ONE) <= 0.97, "not held"),
        (sample([1.0, 1.0, 1.0]) >= 1.0, "held"),
        (sample([1.0, 1.0, 1.0]) > 1.0, "not held"),
        (sample(NEAR_ONE).within(0.9, 1.1), "held"),
        (sample(NEAR_ONE).within(0.9, 1.0), "undecided"),
        (sample(NEAR_ONE).within(1.1, 1.2), "not held"),
        (0.97 <= sample(NEAR_ONE), "held"),  # noqa: SIM300
        (sample([3.0]).each >= 3, "held"),
        (sample([3.0, 5.0]).each >= 4, "undecided"),
        (sample([3.0, 5.0]).each >= 6, "not held"),
        (sample([1.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0]).median >= 8, "undecided"),
        (sample([1.0, *[9.0] * 8]).median >= 8, "held"),
    ],
)
def test_the_interval_decides(check: Check, state: str) -> None:
    assert check.state == state


def test_two_comparisons_in_one_cannot_be_written_by_mistake() -> None:
    with pytest.raises(TypeError, match="holds"):
        0.9 <= sample(NEAR_ONE) <= 1.1  # noqa: B015


HELD, UNDECIDED, WRONG = (sample(NEAR_ONE) >= bound for bound in (0.9, 1.0, 1.1))


@pytest.mark.parametrize(
    ("checks", "given", "verdict"),
    [
        ([HELD, HELD], [], "reproduced"),
        ([HELD, WRONG], [], "partly"),
        ([HELD, UNDECIDED], [], "partly"),
        ([WRONG, UNDECIDED], [], "not reproduced"),
        ([UNDECIDED], [], "not reproduced"),
        ([HELD], [HELD], "reproduced"),
        ([HELD], [UNDECIDED], "not reproduced"),
        ([WRONG], [HELD], "not reproduced"),
    ],
)
def test_the_verdict(checks: list[Check], given: list[Check], verdict: str) -> None:
    assert holds(*checks, given=given).verdict == verdict


def test_a_verdict_says_on_how_many_seeds_it_rests() -> None:
    few = sample([1.0, 1.1, 0.9], expected=10)
    result = holds(few >= 0.5, sample(NEAR_ONE) >= 0.5)
    assert (result.seeds, result.expected) == (3, 10)
    assert result.measured.endswith("on 3 of 10 seeds")


def test_the_decisive_number_is_that_of_the_comparison_that_failed() -> None:
    described = holds(HELD, WRONG).as_json()
    assert described["interval"] == pytest.approx([1 - 0.0196, 1 + 0.0196], abs=1e-4)
    assert [check["state"] for check in described["checks"]] == ["held", "not held"]
    assert holds(sample([1.0]) >= 0).as_json()["interval"] == [None, None]


def test_what_cannot_be_tested_says_why() -> None:
    result = not_testable("needs ImageNet")
    assert (result.verdict, result.measured, result.seeds) == ("not testable here", "needs ImageNet", 0)


def test_the_rise_of_straight_lines_is_theirs() -> None:
    assert rise(curve([0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 5.0, 7.0])).values == pytest.approx((3.0, 6.0))
    own = rise([sample([1.0, 2.0]), sample([1.5, 2.25]), sample([2.0, 2.5])])
    assert own.values == pytest.approx((1.0, 0.5))


def test_noise_does_not_increase() -> None:
    rng = np.random.default_rng(0)
    noise = curve(*rng.normal(size=(8, 20)).tolist())
    assert increases(noise).state == decreases(noise).state == "undecided"
    trend = curve(*(rng.normal(size=(8, 20)) + np.linspace(0, 5, 20)).tolist())
    assert increases(trend).state == "held"
    assert decreases(trend).state == "not held"


def test_the_exponent_of_a_power_law() -> None:
    widths = [10.0, 100.0, 1000.0] * 4
    seeds = [f"seed={i // 3}" for i in range(12)]
    losses = [width**-0.5 * (1 + int(seed[-1])) for width, seed in zip(widths, seeds, strict=True)]
    found = slope(sample(widths, "width", seeds), sample(losses, "loss", seeds), log=True)
    assert isinstance(found, Sample)
    assert found.values == pytest.approx([-0.5] * 4)
    assert found.n == 4


def test_the_slope_of_a_single_seed_has_the_interval_of_its_regression() -> None:
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0], [1.1, 1.9, 3.2, 3.9, 5.1]
    fit = stats.linregress(x, y)
    half = stats.t.ppf(0.975, 3) * fit.stderr
    found = slope(sample(x, "x", ["s"] * 5), sample(y, "y", ["s"] * 5))
    assert found.interval == pytest.approx((fit.slope - half, fit.slope + half))


def test_the_slope_of_other_runs_is_refused() -> None:
    with pytest.raises(UserError, match="not of the same runs"):
        slope(sample([1.0, 2.0]), sample([1.0, 2.0, 3.0]))


def test_a_ratio_of_proportional_values_is_exact() -> None:
    found = ratio(sample([2.0, 4.0, 6.0]), sample([1.0, 2.0, 3.0]))
    assert (found.value, *found.interval) == (2.0, 2.0, 2.0)


def test_a_ratio_is_drawn_in_pairs() -> None:
    rng = np.random.default_rng(5)
    size = rng.lognormal(0, 1, 12)  # scatter that both have
    first, second = 2 * size * (1 + 0.01 * rng.normal(size=12)), size
    low, high = ratio(sample(first.tolist()), sample(second.tolist())).interval
    assert 1.97 < low < 2 < high < 2.03


def test_where_a_curve_crosses_a_level() -> None:
    lines = curve([0.0, 0.4, 0.8], [1.0, 0.6, 0.2], [0.0, 0.1, 0.2], [0.5, 0.0, 0.0], steps=[0, 10, 20])
    assert crosses(lines, 0.5).values == pytest.approx((12.5, 12.5, math.inf, 0.0))


def test_the_first_step_that_meets_a_condition() -> None:
    lines = curve([0.0, 0.4, 0.8], [0.0, 0.9, 0.2], [0.0, 0.1, 0.2], steps=[0, 10, 20])
    assert first_step(lines, lambda value: value >= 0.5).values == (20.0, 10.0, math.inf)


def test_a_band_is_the_interval_at_steps_that_all_runs_have() -> None:
    lines = curve([0.0, 1.0, 5.0], [0.0, 3.0, 6.0])
    longer = Curve("x", (*lines.lines, (np.array([0, 2]), np.array([0.0, 7.0]))), (*lines.seeds, "seed=2"), 3)
    steps, mean, low, high = longer.band()
    assert steps.tolist() == [0, 2]
    assert (mean[1], low[1], high[1]) == pytest.approx((6.0, *stats.t.interval(0.95, 2, 6.0, 1 / math.sqrt(3))))
