"""How groups and values are written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from expkit.comparing.groups import Groups
from expkit.comparing.statistics import Interval


def title(key: str, keys: Sequence[str]) -> str:
    """A key as short as no other key of those is: 'optimizer' for optimizer.name, 'lr' for optimizer.lr."""
    short = key.removesuffix(".name")
    last = short.rpartition(".")[2]
    shared = sum(other.removesuffix(".name").rpartition(".")[2] == last for other in keys) > 1
    return short if shared else last


class GroupLabels(Mapping[int, str]):
    """One line for each group, by number: 'adam', or 'optimizer=adam lr=0.01'."""

    def __init__(self, groups: Groups) -> None:
        self._values = groups.table.select(groups.labels) if groups.labels else None
        self._titles = [title(key, groups.labels) for key in groups.labels]
        self._count = groups.count

    def __getitem__(self, number: int) -> str:
        if self._values is None:
            return "these runs"
        values = self._values.row(number)  # made when asked for: there may be a quarter of a million
        if len(values) == 1 and isinstance(values[0], str):
            return values[0]
        return " ".join(f"{key}={text(value)}" for key, value in zip(self._titles, values, strict=True))

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._count))

    def __len__(self) -> int:
        return self._count


def text(value: Any) -> str:
    """A value of a configuration."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def with_interval(interval: Interval, plus_minus: str = "±") -> str:
    """'0.9722 ± 0.0110': the half-width to two significant digits, and the mean to as many decimals."""
    if math.isnan(interval.mean):
        return "-"
    if math.isnan(interval.low):
        return significant(interval.mean)
    decimals = decimals_for(interval.half, interval.mean)
    if decimals is None:
        return f"{interval.mean:.3g} {plus_minus} {interval.half:.1e}"
    return f"{interval.mean:.{decimals}f} {plus_minus} {interval.half:.{decimals}f}"


def decimals_for(half: float, mean: float) -> int | None:
    """Decimals that show two digits of a half-width; None where an exponent is shorter."""
    if half == 0:
        return 4 if 1e-3 <= abs(mean) < 1e5 or mean == 0 else None
    decimals = max(0, 1 - math.floor(math.log10(half)))
    return decimals if decimals <= 6 and abs(mean) < 1e6 else None


def significant(value: float) -> str:
    return f"{value:.4g}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def p_value(p: float) -> str:
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.4f}" if p < 0.01 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def common(values: Iterable[Any]) -> list[str]:
    """Distinct values in order, numbers by size."""
    distinct = list(dict.fromkeys(values))
    numbers = [value for value in distinct if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len([value for value in distinct if value is not None]):
        distinct = [*sorted(numbers), *([None] if None in distinct else [])]
    return [text(value) for value in distinct]
