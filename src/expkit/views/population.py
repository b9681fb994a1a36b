"""The end of a population: its best member."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from expkit.outcome import Outcome
from expkit.views import text


def described(outcomes: Sequence[Outcome], settings: Mapping[str, Any]) -> str:
    """The member with the best last value of the monitored metric, and the numbers that it ended with."""
    monitor = str(settings.get("monitor"))
    sign = -1 if settings.get("direction") == "maximize" else 1
    values = {}
    for number, outcome in enumerate(outcomes):
        value = outcome.record.summary.get(monitor) if outcome.record else None
        if isinstance(value, float) and math.isfinite(value):
            values[number] = value
    if not values:
        return f"No member of the population has a finite {monitor}."
    best = min(values, key=lambda number: sign * values[number])
    record = outcomes[best].record
    assert record is not None
    numbers = {
        name.removeprefix("population/"): value
        for name, value in record.summary.items()
        if name.startswith("population/") and name != "population/parent"
    }
    ended = "  ".join(f"{name} {text.number(value)}" for name, value in numbers.items())
    return f"Best: {monitor} {text.number(values[best])}  member {best}  {record.run_id}  at the end: {ended}"
