"""Timing things against each other: each round times every one of them once, so that all see the same machine.

What is reported is the median over rounds of a ratio or difference taken within a round. Another program that slows
the machine for a while slows both sides of it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Timed = Callable[[], float]
"""Does something once and returns how many seconds it took."""

EXPKIT = str(Path(sys.executable).with_name("expkit"))


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        what: is measured, and against what.
        unit: 's' for seconds, 'x' for a multiple.
        values: one per round.
        goal: the largest value that is good enough; None where there is no goal.
        sides: median seconds of each side.
    """

    what: str
    unit: Literal["s", "x"]
    values: list[float]
    goal: float | None
    sides: dict[str, float]

    @property
    def value(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.value <= self.goal

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "unit": self.unit,
            "median": self.value,
            "lowest": min(self.values),
            "highest": max(self.values),
            "repeats": len(self.values),
            "goal": self.goal,
            "met": self.met,
            "seconds": self.sides,
        }


class SideBySide:
    """Times everything in `sides`, by name, in turn: A, B, A, B, ...; after one round that does not count.

    Args:
        sides: what is timed.
        repeats: rounds that count.
    """

    def __init__(self, sides: Mapping[str, Timed], repeats: int) -> None:
        self.seconds: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(repeats + 1):
            for name, timed in sides.items():
                taken = timed()
                if number:
                    self.seconds[name].append(taken)

    def absolute(self, what: str, name: str, goal: float | None = None) -> Row:
        """Seconds of one side alone; depends on the machine."""
        return Row(what, "s", self.seconds[name], goal, self._medians(name))

    def ratio(self, what: str, name: str, against: str, goal: float | None = None) -> Row:
        values = [a / b for a, b in zip(self.seconds[name], self.seconds[against], strict=True)]
        return Row(what, "x", values, goal, self._medians(name, against))

    def difference(self, what: str, name: str, against: str, goal: float | None = None) -> Row:
        values = [a - b for a, b in zip(self.seconds[name], self.seconds[against], strict=True)]
        return Row(what, "s", values, goal, self._medians(name, against))

    def _medians(self, *names: str) -> dict[str, float]:
        return {name: statistics.median(self.seconds[name]) for name in names}


def timed_command(*words: str | Path, folder: Path, status: int = 0) -> float:
    """Seconds that a command takes as a process of its own, in a folder, with W&B offline.

    Raises:
        RuntimeError: it ended with another exit status, so that its time means nothing.
    """
    environment = {**os.environ, "WANDB_MODE": "offline", "COLUMNS": "120"}
    environment.pop("EXPKIT_RUNS", None)
    began = time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    taken = time.perf_counter() - began
    if done.returncode != status:
        raise RuntimeError(f"{' '.join(map(str, words))}: exit status {done.returncode}, not {status}\n{done.stderr}")
    return taken
