"""Overrides as text, in Hydra's grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable


def quoted(text: str) -> str:
    """Text as a value, whatever it looks like."""
    # Within quotes a backslash is one, except those before a quote, the last one too.
    return "'" + re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + (found[2] and "\\'"), text) + "'"


RUNS = "paths.runs="


def recorded_in(runs: object) -> str:
    """The override that has runs recorded in a folder."""
    return f"{RUNS}{quoted(str(runs))}"


def without_runs(overrides: Iterable[object]) -> list[str]:
    """Those of some overrides that say what is run; where it is recorded is told apart."""
    return [text for text in map(str, overrides) if not text.startswith(RUNS)]
