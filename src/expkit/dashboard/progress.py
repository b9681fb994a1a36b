"""How far a sweep is that runs now, from what its workers have told so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from expkit.dashboard import reading
from expkit.records.record import STATES
from expkit.sweeps.events import EventReader
from expkit.sweeps.sweep import Sweep

ENDED = {*STATES} - {"running", "interrupted"}


@dataclass(frozen=True)
class Progress:
    """Runs that have ended of all, and the fraction that is done, with the shares of those that train."""

    ended: int
    total: int
    fraction: float
    seconds_left: float | None


def progress(sweep: Sweep) -> Progress:
    """Of a sweep that is running, or was interrupted."""
    counts = reading.sweep_counts(sweep)
    ended = sum(count for state, count in counts.items() if state in ENDED)
    total = max(len(sweep.entries), sum(counts.values()), 1)
    chunks: dict[object, tuple[int, float]] = {}
    for event in EventReader(sweep.events).new():
        if event.get("kind") == "progress":
            chunks.pop(event.get("chunk"), None)
            if isinstance(event.get("fraction"), int | float):
                chunks[event["chunk"]] = int(event.get("runs", 1)), float(event["fraction"])
    done = min(float(total), ended + sum(runs * fraction for runs, fraction in chunks.values()))
    return Progress(ended, total, done / total, _left(sweep, done / total))


def _left(sweep: Sweep, fraction: float) -> float | None:
    info = sweep.info
    try:
        begun = datetime.fromisoformat(str(info.get("resumed") or info.get("started")))
    except ValueError:
        return None
    passed = (datetime.now(UTC) - begun).total_seconds()
    return passed * (1 - fraction) / fraction if fraction > 0.01 and info.get("state") == "running" else None
