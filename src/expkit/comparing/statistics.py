"""Means and differences of means with 95 % intervals, by Student's t."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from expkit.comparing import student_t

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % interval, whose ends are nan where one value is all there is."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Difference:
    """The mean of one group minus that of another.

    Attributes:
        interval: of the difference; its `n` is the number of pairs, or of the smaller group.
        p: two-sided p-value of no difference; nan where there are too few runs.
        paired: whether runs of the same seed were compared.
    """

    interval: Interval
    p: float
    paired: bool

    @property
    def is_significant(self) -> bool:
        return self.p < 1 - LEVEL


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean ± t(0.975, n - 1) · s / sqrt(n), with s the sample's standard deviation."""
    sample = np.asarray(values, dtype=float)
    n = len(sample)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(sample.mean())
    half = _half(float(sample.std(ddof=1)) / math.sqrt(n), n - 1) if n > 1 else math.nan
    return Interval(mean, mean - half, mean + half, n)


def difference(one: Mapping[Hashable, Sequence[float]], other: Mapping[Hashable, Sequence[float]]) -> Difference:
    """Compares two groups of runs.

    With at least two seeds in common, the difference is taken seed by seed, which removes what the seeds have in common
    (the data, the initialization); the test is Student's paired t test over those. Otherwise it is Welch's.

    Args:
        one: values by seed (or whatever else pairs runs); several of one seed count as their mean.
        other: of the other group.
    """
    shared = [key for key in one if key in other]
    if len(shared) > 1:
        return _paired(np.array([np.mean(one[key]) - np.mean(other[key]) for key in shared]))
    first = np.array([value for values in one.values() for value in values])
    return _welch(first, np.array([value for values in other.values() for value in values]))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: the chance of any false finding among all of them stays below the level."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [math.nan] * len(p_values), 0.0
    known = sum(not math.isnan(p) for p in p_values)
    for rank, place in enumerate(place for place in order if not math.isnan(p_values[place])):
        largest = max(largest, min(1.0, (known - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def _paired(differences: np.ndarray) -> Difference:
    n = len(differences)
    mean, error = float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(n)
    half = _half(error, n - 1)
    return Difference(Interval(mean, mean - half, mean + half, n), _p_value(mean, error, n - 1), paired=True)


def _welch(one: np.ndarray, other: np.ndarray) -> Difference:
    smaller = min(len(one), len(other))
    if smaller == 0:
        return Difference(Interval(math.nan, math.nan, math.nan, 0), math.nan, paired=False)
    mean = float(one.mean() - other.mean())
    if smaller < 2:
        return Difference(Interval(mean, math.nan, math.nan, smaller), math.nan, paired=False)
    a, b = float(one.var(ddof=1)) / len(one), float(other.var(ddof=1)) / len(other)
    error = math.sqrt(a + b)
    freedom = (a + b) ** 2 / (a**2 / (len(one) - 1) + b**2 / (len(other) - 1)) if error else smaller - 1.0
    half = _half(error, freedom)
    return Difference(Interval(mean, mean - half, mean + half, smaller), _p_value(mean, error, freedom), paired=False)


def _half(error: float, freedom: float) -> float:
    return student_t.quantile(freedom, (1 + LEVEL) / 2) * error


def _p_value(mean: float, error: float, freedom: float) -> float:
    if error <= 1e-15 * abs(mean):  # all differences are equal, but for rounding
        return 1.0 if mean == 0 else 0.0
    return 2 * student_t.cumulative(freedom, -abs(mean) / error)
