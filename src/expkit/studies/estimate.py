"""A number with its interval, and what comparing it with a bound says."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from expkit.views.text import number

if TYPE_CHECKING:
    from expkit.studies.sample import Sample

State = Literal["held", "not held", "undecided"]


class Comparable(ABC):
    """What can be compared with a bound; a comparison gives a `Check`, not a truth value.

    `x >= b` is held if all of the interval is on that side of b, not held if all of it is on the other side, and
    undecided if b is within it, or if there is no interval. The point estimate decides nothing.
    """

    @property
    @abstractmethod
    def estimate(self) -> Estimate:
        """The number that is compared."""

    def __ge__(self, bound: float | Sample) -> Check:
        return self._compared("≥", bound)

    def __gt__(self, bound: float | Sample) -> Check:
        return self._compared(">", bound)

    def __le__(self, bound: float | Sample) -> Check:
        return self._compared("≤", bound)

    def __lt__(self, bound: float | Sample) -> Check:
        return self._compared("<", bound)

    def within(self, low: float, high: float) -> Check:
        """Held if all of the interval lies between two bounds (equivalence), not held if none of it does."""
        own = self.estimate
        inside = own.low >= low and own.high <= high
        outside = own.high < low or own.low > high
        return Check(_state(inside, outside), own, f"within {low:g} to {high:g}")

    def _compared(self, symbol: str, bound: float | Sample) -> Check:
        own = self.estimate
        if not isinstance(bound, int | float):
            raise TypeError(f"{own.name} is compared with {bound!r}, which is not a number.")
        right = {"≥": own.low >= bound, ">": own.low > bound, "≤": own.high <= bound, "<": own.high < bound}[symbol]
        wrong = {"≥": own.high < bound, ">": own.high <= bound, "≤": own.low > bound, "<": own.low >= bound}[symbol]
        return Check(_state(right, wrong), own, f"{symbol} {bound:g}")


@dataclass(frozen=True, eq=False)
class Estimate(Comparable):
    """A number over seeds.

    Args:
        name: what it is of.
        value: the point estimate; NaN where a run has no finite value.
        low, high: of the interval; infinite where the seeds are too few for one, NaN where there is no value.
        seeds: that it rests on.
        expected: seeds that the study has; more than `seeds` where runs failed.
        how: the interval is made, such as "95 % t interval".
    """

    name: str
    value: float
    low: float
    high: float
    seeds: int
    expected: int
    how: str

    @property
    def estimate(self) -> Estimate:
        return self

    @property
    def interval(self) -> tuple[float, float]:
        return self.low, self.high

    def __str__(self) -> str:
        """0.9950 [0.9901, 0.9999]."""
        if math.isnan(self.value):
            return "no value"
        known = math.isfinite(self.low) or math.isfinite(self.high)
        return f"{number(self.value)} [{number(self.low)}, {number(self.high)}]" if known else number(self.value)


@dataclass(frozen=True)
class Check:
    """One comparison.

    Args:
        state: 'held', 'not held' or 'undecided'.
        estimate: what was compared.
        bound: with what, in words: "≥ 0.99".
    """

    state: State
    estimate: Estimate
    bound: str

    @property
    def text(self) -> str:
        """test/acc at step 1: 0.5110 [0.4980, 0.5240], ≤ 0.6."""
        asked = f"{self.estimate.name}: {self.estimate}, {self.bound}"
        return asked if self.state == "held" else f"{asked} ({self.state})"

    def __bool__(self) -> bool:
        # `a and b` and `0 < a < 1` would silently drop the first of two comparisons.
        raise TypeError("A check is no truth value: pass each comparison to holds(...), or use within(low, high).")


def _state(right: bool, wrong: bool) -> State:
    return "held" if right else "not held" if wrong else "undecided"
