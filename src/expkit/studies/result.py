"""What came of one claim."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from expkit.studies.estimate import Check

Verdict = Literal["reproduced", "partly", "not reproduced", "not testable here"]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "partly", "not reproduced", "not testable here")


@dataclass(frozen=True)
class Result:
    """A verdict with the numbers that it rests on.

    Args:
        verdict: one of `VERDICTS`.
        checks: the comparisons, in the order they were written; none where the claim cannot be tested.
        reason: why it cannot.
    """

    verdict: Verdict
    checks: tuple[Check, ...] = ()
    reason: str | None = None

    @property
    def measured(self) -> str:
        """All comparisons in words, and on how many seeds where some are missing."""
        parts = [self.reason] if self.reason else []
        parts += [check.text for check in self.checks]
        if self.seeds < self.expected:
            parts.append(f"on {self.seeds} of {self.expected} seeds")
        return "; ".join(parts)

    @property
    def decisive(self) -> Check | None:
        """The first comparison that is not held, or the first of all."""
        return next((check for check in self.checks if check.state != "held"), next(iter(self.checks), None))

    @property
    def seeds(self) -> int:
        """Seeds that every comparison has."""
        return min((check.estimate.seeds for check in self.checks), default=0)

    @property
    def expected(self) -> int:
        """Seeds that it should have."""
        return max((check.estimate.expected for check in self.checks), default=0)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON; `value` and `interval` are those of the decisive comparison."""
        decisive = self.decisive
        return {
            "measured": self.measured,
            "value": _finite(decisive.estimate.value) if decisive is not None else None,
            "interval": _interval(decisive) if decisive is not None else None,
            "seeds": self.seeds,
            "seeds_expected": self.expected,
            "verdict": self.verdict,
            "reason": self.reason,
            "checks": [_described(check) for check in self.checks],
        }


def _described(check: Check) -> dict[str, Any]:
    return {
        "quantity": check.estimate.name,
        "value": _finite(check.estimate.value),
        "interval": _interval(check),
        "how": check.estimate.how,
        "asked": check.bound,
        "state": check.state,
    }


def _interval(check: Check) -> list[float | None]:
    return [_finite(check.estimate.low), _finite(check.estimate.high)]


def _finite(value: float) -> float | None:
    """Seven significant digits, which other machines may agree on; None for what JSON cannot say."""
    return float(f"{value:.7g}") if math.isfinite(value) else None
