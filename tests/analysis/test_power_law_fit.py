"""Laws that are known are found again, with intervals that cover them as often as they say."""

import math

import numpy as np
import pytest

from expkit.analysis.power_law_fit import fit_forms, power_law_fit

FORMS = {"M log M": lambda m: m * math.log(m), "M^2": lambda m: m**2}


def test_an_exact_law_is_found():
    x = [1.0, 2, 5, 30]
    fit = power_law_fit(x, [3 * value**-1.7 for value in x])
    assert fit.exponent == pytest.approx(-1.7)
    assert fit.coefficient == pytest.approx(3)
    assert fit.r2 == pytest.approx(1)
    assert fit.low == pytest.approx(fit.high)
    assert fit(4) == pytest.approx(3 * 4**-1.7)


def test_the_interval_covers_the_exponent():
    random = np.random.default_rng(0)
    x = np.array([10.0, 20, 40, 80, 160])
    covered = 0
    for _ in range(400):
        fit = power_law_fit(x, 2 * x**0.5 * np.exp(0.1 * random.standard_normal(5)))
        covered += fit.low <= 0.5 <= fit.high
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize("true", list(FORMS))
def test_the_true_form_fits_best(true):
    random = np.random.default_rng(1)
    x = [23.0, 31, 47, 61]
    fits = fit_forms(x, [2.5 * FORMS[true](m) * math.exp(0.05 * random.standard_normal()) for m in x], FORMS)
    assert min(fits, key=lambda name: fits[name].aic) == true
    assert fits[true].coefficient == pytest.approx(2.5, rel=0.1)
    assert fits[true].residual < 0.1


def test_criteria_compare_across_both_kinds_of_fit():
    """A free exponent costs a parameter: on data of the form itself it is worth less than it costs, on average."""
    random = np.random.default_rng(2)
    x = np.geomspace(10, 1000, 30)
    gains = []
    for _ in range(100):
        y = x**2 * np.exp(0.1 * random.standard_normal(30))
        gains.append(power_law_fit(x, y).aic - fit_forms(x, y, {"M^2": FORMS["M^2"]})["M^2"].aic)
    assert 0.5 < np.mean(gains) < 1.5  # 2 for the parameter, less about 1 that it gains by chance


def test_the_residual_is_a_relative_error():
    fit = fit_forms([1, 2], [1.1, 2 / 1.1], {"M": lambda m: m})["M"]
    assert fit.residual == pytest.approx(math.log(1.1))
    assert fit.coefficient == pytest.approx(1)


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1, -1]), ([1, 1], [1, 2]), ([1], [1]), ([1, 2], [1, 2, 3])])
def test_what_has_no_exponent_is_refused(x, y):
    with pytest.raises(ValueError, match=r"needs|same length"):
        power_law_fit(x, y)
