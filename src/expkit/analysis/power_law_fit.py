"""Scaling laws from measured points: the exponent of a power law, and which of several forms fits best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95

Form = Callable[[float], float]
"""What y is proportional to, as a function of x."""


@dataclass(frozen=True)
class PowerLaw:
    """y = coefficient x^exponent.

    Args:
        exponent, low, high: least-squares slope of ln y over ln x, and its 95 % t interval; infinite with two points.
        coefficient: a.
        r2: share of the variance of ln y that the line explains.
        aic: Akaike's criterion, comparable with that of `FormFit` for the same points.
    """

    exponent: float
    low: float
    high: float
    coefficient: float
    r2: float
    aic: float

    def __call__(self, x: float) -> float:
        return self.coefficient * x**self.exponent


@dataclass(frozen=True)
class FormFit:
    """y = coefficient f(x), with f given.

    Args:
        coefficient: the least-squares fit in logarithms: the geometric mean of y / f(x).
        residual: root mean square of ln y - ln(coefficient f(x)); 0.1 is about 10 %.
        aic: n ln(residual^2) + 2 (parameters): the smaller of two is the better supported form.
    """

    coefficient: float
    residual: float
    aic: float


def power_law_fit(x: Sequence[float], y: Sequence[float]) -> PowerLaw:
    """Fits y = a x^b by least squares in logarithms, where errors are relative ones.

    Args:
        x, y: positive numbers, at least two different x.

    Raises:
        ValueError: there are too few points, or some are not positive.
    """
    log_x, log_y = _logs(x, y)
    if len(np.unique(log_x)) < 2:
        raise ValueError("an exponent needs points at two different x at least")
    line = stats.linregress(log_x, log_y)
    degrees = len(log_x) - 2
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees) * line.stderr) if degrees else math.inf
    rest = log_y - line.intercept - line.slope * log_x
    spread = float(((log_y - log_y.mean()) ** 2).sum())
    return PowerLaw(
        exponent=float(line.slope),
        low=float(line.slope) - half,
        high=float(line.slope) + half,
        coefficient=math.exp(line.intercept),
        r2=1 - float((rest**2).sum()) / spread if spread else 1.0,
        aic=_aic(rest, parameters=2),
    )


def fit_forms(x: Sequence[float], y: Sequence[float], forms: Mapping[str, Form]) -> dict[str, FormFit]:
    """Fits y = a f(x) for each form f, in logarithms; each has the one free parameter a.

    Args:
        x, y: positive numbers.
        forms: by name, such as {"M log M": lambda m: m * log(m), "M^2": lambda m: m**2}.

    Raises:
        ValueError: there is no point, or numbers or values of a form are not positive.
    """
    found = {}
    for name, form in forms.items():
        log_f, log_y = _logs([form(value) for value in x], y)
        rest = log_y - log_f
        shift = float(rest.mean())
        off = rest - shift
        found[name] = FormFit(math.exp(shift), float(np.sqrt((off**2).mean())), _aic(off, parameters=1))
    return found


def _logs(x: Sequence[float], y: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"x and y are lists of the same length, got shapes {first.shape} and {second.shape}")
    if not ((first > 0).all() and (second > 0).all() and np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("a law in logarithms needs positive, finite numbers")
    return np.log(first), np.log(second)


def _aic(rest: np.ndarray, parameters: int) -> float:
    """Of a fit with normal errors, up to a constant that depends on the points alone; -inf where it is exact."""
    mean_square = float((rest**2).mean())
    return len(rest) * math.log(mean_square) + 2 * parameters if mean_square > 0 else -math.inf
