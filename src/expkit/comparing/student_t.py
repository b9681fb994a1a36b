"""Student's t distribution.

The same as `scipy.special.stdtr` and `stdtrit`. To import those takes half a second, which is as long as all else that
`expkit compare` does.
"""

from __future__ import annotations

import math
from functools import lru_cache

ITERATIONS = 1000
TINY = 1e-300


def cumulative(freedom: float, t: float) -> float:
    """P(T <= t) with so many degrees of freedom, any positive number of them."""
    if math.isnan(t) or not freedom > 0:
        return math.nan
    if math.isinf(t):
        return float(t > 0)
    tail = _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t), t * t / (freedom + t * t)) / 2
    return tail if t <= 0 else 1 - tail


@lru_cache(maxsize=1024)
def quantile(freedom: float, p: float) -> float:
    """t with P(T <= t) = p; nan without degrees of freedom."""
    if not freedom > 0:
        return math.nan
    if p > 0.5:
        return -quantile(freedom, 1 - p)
    t = 0.0  # below it the distribution is convex, so that Newton's steps from here do not overshoot
    for _ in range(ITERATIONS):
        step = (cumulative(freedom, t) - p) / _density(freedom, t)
        t -= step
        if step <= 1e-13 * abs(t):
            break
    return t


def _density(freedom: float, t: float) -> float:
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    return math.exp(scale - (freedom + 1) / 2 * math.log1p(t * t / freedom))


def _incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """I_x(a, b), regularized, with rest = 1 - x."""
    if x <= 0:
        return 0.0
    if rest <= 0:
        return 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, the other tail's does not
        return 1 - _incomplete_beta(b, a, rest, x)
    scale = a * math.log(x) + b * math.log(rest) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(scale) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x(a, b) (DLMF 8.17.22), by Lentz's method."""
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, ITERATIONS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > TINY else TINY
