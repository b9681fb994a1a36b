"""What a campaign against expkit reports: one row for each kind of fault or attack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A fault or an attack, and what came of it.

    Args:
        fault: what was done, in a few words.
        tried: how often.
        broken: the times that a promise was not kept, each with what a person needs to look into it.
        seen: what the user saw.
    """

    fault: str
    tried: int
    broken: tuple[str, ...]
    seen: str


Campaign = Callable[[Path, bool], Iterator[Row]]
"""Called with an empty folder and whether the short version is wanted (seconds, for CI); yields its rows one by one."""


def table(rows: Iterable[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| fault or attack | tried | broken | what the user saw |", "|---|---:|---:|---|"]
    lines += [f"| {row.fault} | {row.tried:,} | {len(row.broken)} | {row.seen} |" for row in rows]
    return "\n".join(lines) + "\n"
