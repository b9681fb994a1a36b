"""Values over runs, and what they say about the quantity they are samples of."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from expkit.studies.estimate import Check, Comparable, Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Sample(Comparable):
    """One value for each run; what is independent is the seed, so values of one seed are averaged first.

    Args:
        name: what the values are: "test/acc at step 1".
        values: one for each run; NaN where a run that ended has none.
        seeds: of each run.
        expected: seeds that the study has, those of failed runs included.
        statistic: what a comparison is about. 'mean' has a t interval. 'median' has the exact interval between two
            order statistics, which also stands where some values are infinite, and which needs at least 6 seeds.
    """

    name: str
    values: tuple[float, ...]
    seeds: tuple[Hashable, ...]
    expected: int
    statistic: Literal["mean", "median"] = "mean"

    @cached_property
    def of_seed(self) -> dict[Hashable, float]:
        """The value of each seed: the mean of its runs' values."""
        found: dict[Hashable, list[float]] = {}
        for seed, value in zip(self.seeds, self.values, strict=True):
            found.setdefault(seed, []).append(value)
        return {seed: sum(values) / len(values) for seed, values in found.items()}

    @property
    def n(self) -> int:
        """Seeds that there are values of."""
        return len(self.of_seed)

    @cached_property
    def estimate(self) -> Estimate:
        """The mean or the median over seeds, with its 95 % interval."""
        values = list(self.of_seed.values())
        make = median_interval if self.statistic == "median" else t_interval
        name = f"median {self.name}" if self.statistic == "median" else self.name
        how = "95 % interval between order statistics" if self.statistic == "median" else "95 % t interval"
        return Estimate(name, *make(values), seeds=self.n, expected=self.expected, how=how)

    @property
    def mean(self) -> float:
        return t_interval(list(self.of_seed.values()))[0]

    @property
    def interval(self) -> tuple[float, float]:
        return self.estimate.interval

    @property
    def median(self) -> Sample:
        """The same values, compared by their median."""
        return replace(self, statistic="median")

    @property
    def each(self) -> Estimate:
        """Every run by itself: a comparison is held if it holds for all of them, and not held if for none.

        For what is computed and not sampled, where there is no scatter to make an interval of.
        """
        values = self.values or (math.nan,)
        low, high = (math.nan, math.nan) if any(map(math.isnan, values)) else (min(values), max(values))
        name = f"{self.name}, each run"
        middle = median_interval(values)[0]
        return Estimate(name, middle, low, high, seeds=self.n, expected=self.expected, how="range over runs")

    def named(self, name: str) -> Sample:
        """The same values under another name, for a combination whose own would be long."""
        return replace(self, name=name)

    def map(self, function: Callable[[float], float], name: str | None = None) -> Sample:
        """A function of every run's value, such as its logarithm."""
        return replace(self, values=tuple(map(function, self.values)), name=name or self.name)

    def __sub__(self, other: float | Sample) -> Sample | Estimate:
        """A difference, of each seed where both have the same seeds, else of two means (Welch's t interval)."""
        if not isinstance(other, Sample):
            return self.map(lambda value: value - other, f"{self.name} - {other:g}")
        name = f"{self.name} - {f'({other.name})' if ' - ' in other.name else other.name}"
        shared = [seed for seed in self.of_seed if seed in other.of_seed]
        if not shared:
            interval = welch_interval(list(self.of_seed.values()), list(other.of_seed.values()))
            seeds, expected = min(self.n, other.n), min(self.expected, other.expected)
            return Estimate(name, *interval, seeds=seeds, expected=expected, how="95 % interval, Welch's t")
        differences = tuple(self.of_seed[seed] - other.of_seed[seed] for seed in shared)
        expected = max(self.expected, other.expected)
        return Sample(name, differences, tuple(shared), expected, self.statistic)

    def _compared(self, symbol: str, bound: float | Sample) -> Check:
        """With another sample, the difference is compared with zero."""
        if not isinstance(bound, Sample):
            return super()._compared(symbol, bound)
        return (self - bound)._compared(symbol, 0)


def t_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and 95 % t interval of independent values: mean ± t s/√n with n - 1 degrees of freedom.

    One value has an infinite interval; values that are all the same have one of no width.
    """
    from scipy import stats

    array = _finite(values)
    if array is None:
        return math.nan, math.nan, math.nan
    n, mean = len(array), float(array.mean())
    if n == 1:
        return mean, -math.inf, math.inf
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * array.std(ddof=1) / math.sqrt(n))
    return mean, mean - half, mean + half


def welch_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """Difference of two means and its 95 % t interval, with Welch's degrees of freedom."""
    from scipy import stats

    a, b = _finite(first), _finite(second)
    if a is None or b is None:
        return math.nan, math.nan, math.nan
    difference = float(a.mean() - b.mean())
    if len(a) == 1 or len(b) == 1:
        return difference, -math.inf, math.inf
    if a.std() == b.std() == 0:
        return difference, difference, difference
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(CONFIDENCE)
    return difference, float(interval.low), float(interval.high)


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Median and its 95 % interval between two order statistics, by the binomial distribution; values may be infinite.

    Its coverage is at least 95 % for any distribution. Fewer than 6 values have an infinite interval.
    """
    from scipy import stats

    if not values or any(map(math.isnan, values)):
        return math.nan, math.nan, math.nan
    ordered = sorted(values)
    n = len(ordered)
    lower, upper = ordered[(n - 1) // 2], ordered[n // 2]
    middle = lower if lower == upper else (lower + upper) / 2
    beyond = int(stats.binom.ppf((1 - CONFIDENCE) / 2, n, 0.5))  # rank, from either end, of the value that bounds it
    if beyond == 0:
        return middle, -math.inf, math.inf
    return middle, ordered[beyond - 1], ordered[n - beyond]


def _finite(values: Sequence[float]) -> NDArray | None:
    import numpy as np

    array = np.asarray(values, dtype=float)
    return array if len(array) and np.isfinite(array).all() else None
