"""Values spread evenly, or evenly on a logarithmic scale, for Hydra's override grammar, which has whole steps only."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import ceil, isnan, prod

from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep

from expkit.errors import ConfigError

MOST_RUNS = 10_000_000
SPACE = re.compile(r"(linspace|logspace)\(([^()]*)\)")


def spelled_out(overrides: Iterable[str]) -> list[str]:
    """Overrides in which `linspace(a,b,n)` and `logspace(a,b,n)` are the n values that they stand for.

    `linspace(0,1,5)` is 0.0,0.25,0.5,0.75,1.0; `logspace(-3,0,4)` is 0.001,0.01,0.1,1.0: exponents of ten, as in NumPy.

    Raises:
        ConfigError: the arguments are not two numbers and a whole number above zero.
    """
    return [_spelled_out(override) for override in overrides]


def check_count(overrides: Iterable[Override]) -> None:
    """Refuses a sweep of so many runs that their list alone would not fit into memory.

    Raises:
        ConfigError: it has more than `MOST_RUNS`.
    """
    counts = {each.input_line or str(each.key_or_group): _count(each) for each in overrides}
    if prod(counts.values()) > MOST_RUNS:
        largest = max(counts, key=lambda line: counts[line])
        raise ConfigError(
            f"The sweep has more than {MOST_RUNS:,} runs: '{largest[:80]}' alone has {counts[largest]:,} values.",
            "Make its range smaller.",
        )


def _count(override: Override) -> int:
    """The number of values that an override sweeps over."""
    value = override.value() if override.is_sweep_override() else None
    if isinstance(value, ChoiceSweep):
        return len(value.list)
    if isinstance(value, RangeSweep):
        if value.start is None or value.stop is None or not value.step:
            raise ConfigError(f"'{override.input_line}' has no end.", "Write range(start,stop,step).")
        size = (value.stop - value.start) / value.step
        if isnan(size):
            raise ConfigError(f"'{override.input_line}' is no range of numbers.", "Write range(start,stop,step).")
        return max(0, ceil(min(size, 1e18)))
    return 1


def _spelled_out(override: str) -> str:
    key, equals, value = override.partition("=")
    match = SPACE.fullmatch(value.strip()) if equals else None
    if match is None:
        return override
    try:
        first, last, count = match[2].split(",")
        start, end, n = float(first), float(last), int(count)
        if not 1 <= n <= MOST_RUNS:
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"'{override}' is not an override.", f"Write {match[1]}(first,last,count), such as {match[1]}(-3,0,7)."
        ) from None
    # As a weighted mean, both ends are exact, and so is every value that windows within windows share.
    points = [start if n == 1 else (start * (n - 1 - i) + end * i) / (n - 1) for i in range(n)]
    values = points if match[1] == "linspace" else [10.0**point for point in points]
    return f"{key}={','.join(map(repr, values))}"
