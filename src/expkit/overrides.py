"""Overrides as text, in Hydra's grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any


def quoted(text: str) -> str:
    """Text as a value, whatever it looks like."""
    # Within quotes a backslash is one, except those before a quote, the last one too.
    return "'" + re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + (found[2] and "\\'"), text) + "'"


def hydra_value(value: Any) -> str:
    """A YAML value in the grammar of Hydra's overrides. Text that looks like a number there is one, such as 3e-4."""
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w./${}:-]+", value) else quoted(value)
    if isinstance(value, list):
        return "[" + ",".join(map(hydra_value, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{hydra_value(item)}" for key, item in value.items()) + "}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


RUNS = "paths.runs="


def recorded_in(runs: object) -> str:
    """The override that has runs recorded in a folder."""
    return f"{RUNS}{quoted(str(runs))}"


def without_runs(overrides: Iterable[object]) -> list[str]:
    """Those of some overrides that say what is run; where it is recorded is told apart."""
    return [text for text in map(str, overrides) if not text.startswith(RUNS)]
