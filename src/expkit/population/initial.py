"""The members of a population as they begin: each with a seed and with numbers of its own, all on the same data."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from expkit.errors import ConfigError

Range = tuple[str, float, float, str]
"""A key, its lowest and its highest value, and how it is drawn: 'log' or 'linear'."""


def initial(members: int, space: Sequence[Range], fixed: Sequence[str], settings: Mapping[str, Any]) -> list[list[str]]:
    """The overrides of each member.

    Args:
        members: how many there are.
        space: the numbers that are explored.
        fixed: overrides that all share; a `seed` among them is that of the first member.
        settings: of `expkit.population.pbt.PopulationBasedTraining`, by argument.

    Raises:
        ConfigError: a range or the size cannot be.
    """
    if members < 2:
        raise ConfigError(f"hydra.sweeper.members={members}: a population has at least two.")
    if not space:
        raise ConfigError(
            "A population has to explore something.",
            "Give a number of the optimizer an interval: 'optimizer.lr=tag(log,interval(1e-4,1))'.",
        )
    for key, low, high, scale in space:
        if not low < high or (scale == "log" and low <= 0):
            raise ConfigError(f"{key}: from {low} to {high} is no interval to draw from.")
    given = {override.lstrip("+~").partition("=")[0]: override.partition("=")[2] for override in fixed}
    seed = int(given.get("seed", 0))
    draw = random.Random(int(settings.get("seed", 0)))
    ranges = ",".join(f"[{key},{low!r},{high!r},{scale}]" for key, low, high, scale in space)
    shared = [
        *(override for override in fixed if not override.startswith("seed=")),
        "population=pbt",
        f"population.space=[{ranges}]",
        f"population.members={members}",
        *(f"population.{key}={_value(value)}" for key, value in settings.items()),
    ]
    for key, value in {
        "data.seed": seed,  # members differ in their initialization and their batches, not in the data
        "trainer.eval_at": settings.get("every", 100),
        "trainer.allow_divergence": "true",  # a member that diverges takes over another's weights
    }.items():
        if key not in given:
            shared.append(f"{key}={value}")
    return [
        [
            *shared,
            f"seed={seed + member}",
            f"population.member={member}",
            *(f"{key}={_drawn(low, high, scale, draw.random())!r}" for key, low, high, scale in space),
        ]
        for member in range(members)
    ]


def _drawn(low: float, high: float, scale: str, uniform: float) -> float:
    if scale == "log":
        return math.exp(math.log(low) + uniform * (math.log(high) - math.log(low)))
    return low + uniform * (high - low)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
