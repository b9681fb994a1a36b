"""Student's t against scipy.special."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from scipy.special import stdtr, stdtrit

from expkit.comparing.student_t import cumulative, quantile


@pytest.mark.parametrize("freedom", [0.5, 1, 1.7, 2, 3, 4.5, 9, 20, 99, 1000, 99_999])
def test_as_scipy_has_it(freedom: float) -> None:
    for t in (-1e4, -50, -3, -1, -1e-3, 0, 1e-3, 0.7, 1, 2.5, 100):
        assert cumulative(freedom, t) == pytest.approx(stdtr(freedom, t), rel=1e-9, abs=1e-290)
    for p in (1e-6, 0.01, 0.025, 0.3, 0.5, 0.6, 0.975, 0.999):
        assert quantile(freedom, p) == pytest.approx(stdtrit(freedom, p), rel=1e-9)


def test_what_has_no_answer_has_none() -> None:
    assert math.isnan(quantile(0, 0.975))
    assert math.isnan(cumulative(0, 1.0))
    assert math.isnan(cumulative(3, math.nan))
    assert (cumulative(3, -math.inf), cumulative(3, math.inf)) == (0, 1)


def test_a_comparison_does_not_wait_for_scipy() -> None:
    code = "import sys, expkit.comparing.report; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
