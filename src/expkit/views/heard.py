"""How far a sweep is, by what it has told of (see `expkit.sweeps.events`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any


class Heard:
    """Keeps the last state of each run, and how far the chunks on their way are."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # of the states: to count them anew at each event takes ever longer
        self._states: dict[int, str] = {}
        self._fractions: dict[int, tuple[int, float]] = {}  # chunk -> its runs, and how much of them is done

    def hear(self, event: Mapping[str, Any]) -> None:
        if event["kind"] == "progress":
            self._fractions.pop(event["chunk"], None)
            if event["fraction"] is not None:
                self._fractions[event["chunk"]] = event["runs"], event["fraction"]
        elif event["kind"] == "rows":
            self._set(zip(event["numbers"], event["states"], strict=True))
        elif event["kind"] == "run":
            self._set([(event["number"], event["state"])])

    @property
    def ended(self) -> int:
        """Runs that have."""
        return self.counts.total() - self.counts["running"]

    @property
    def begun(self) -> float:
        """What has been done of those on their way, in runs."""
        return sum(runs * fraction for runs, fraction in self._fractions.values())

    def _set(self, states: Iterable[tuple[int, str]]) -> None:
        for number, state in states:
            if number in self._states:
                self.counts[self._states[number]] -= 1
            self._states[number] = state
            self.counts[state] += 1
