"""A curve, or a mean with its interval, in a line of characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

from expkit.comparing.statistics import Interval

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-=+*#@"


def sparkline(values: Sequence[float], low: float, high: float, width: int, utf8: bool) -> str:
    """Values from `low` to `high` as blocks of growing height, or as characters of growing weight."""
    marks = BLOCKS if utf8 else ASCII
    if not values:
        return ""
    places = [round(i * (len(values) - 1) / max(1, width - 1)) for i in range(min(width, len(values)))]
    chosen = [values[place] for place in places] if len(values) > width > 1 else list(values)
    return "".join(_mark(value, low, high, marks) for value in chosen)


def interval_bar(interval: Interval, low: float, high: float, width: int, utf8: bool) -> str:
    """The interval as a line and the mean as a point, on an axis from `low` to `high`."""
    if math.isnan(interval.mean) or not high > low:
        return ""

    def place(value: float) -> int:
        return min(width - 1, max(0, round((value - low) / (high - low) * (width - 1))))

    cells = [" "] * width
    if not math.isnan(interval.low):
        start, end = place(interval.low), place(interval.high)
        for cell in range(start, end + 1):
            cells[cell] = "─" if utf8 else "-"
        cells[start], cells[end] = ("├", "┤") if utf8 else ("[", "]")
    cells[place(interval.mean)] = "●" if utf8 else "o"
    return "".join(cells)


def _mark(value: float, low: float, high: float, marks: str) -> str:
    if value is None or not math.isfinite(value):
        return "x"
    share = (value - low) / (high - low) if high > low else 0.5
    return marks[min(len(marks) - 1, max(0, int(share * len(marks))))]
