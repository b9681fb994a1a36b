"""A run's folder as one row: what the index keeps of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from expkit.records.plain import chosen, plain_values
from expkit.records.record import FINISHED, STATES, altered

DAMAGED = "damaged"


def read_row(folder: Path | str) -> dict[str, Any]:
    """'run_id', 'state' (as it was written down), 'started', 'seconds', 'step', the configuration's plain values by
    dotted name, the last metrics by name; and '_began' (nanoseconds), '_overrides', '_summary' (JSON), '_error'.

    A record that cannot be read has the state 'damaged', and '_error' says why; nothing is raised.
    """
    folder = str(folder)
    row: dict[str, Any] = {"run_id": os.path.basename(folder), "state": DAMAGED, "_error": None}
    status = _json(f"{folder}/status.json")
    if status is None or status.get("status") not in STATES:
        return {**row, "_error": "status.json is not readable"}
    given = status.get("overrides")
    overrides = list(given) if isinstance(given, list) else []
    row |= {"started": _text(status.get("started")), "seconds": _number(status.get("seconds"))}
    row["_overrides"] = json.dumps(overrides)
    try:
        row["_began"] = os.stat(f"{folder}/config.yaml").st_mtime_ns
        config = plain_values(_read(f"{folder}/config.yaml"), {**chosen(overrides), **(status.get("choices") or {})})
    except (OSError, ValueError):
        return {**row, "_error": "config.yaml is not readable"}
    summary = _json(f"{folder}/summary.json")
    if summary is None:
        if status["status"] in FINISHED:
            return {**row, "_error": "summary.json is not readable"}
        summary = {}
    if status["status"] in FINISHED and (wrong := altered(folder, status.get("written"))):
        return {**row, "_error": wrong}
    error = status.get("error")
    row |= {"state": status["status"], "step": _number(summary.get("step"))}
    row |= {"_summary": json.dumps(summary), "_error": str(error.get("message")) if isinstance(error, dict) else None}
    metrics = {name: _number(value) for name, value in summary.items() if name != "step"}
    return {**config, **metrics, **row}


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:  # quicker than Path.read_text, which counts over 100,000 runs
        return file.read()


def _json(path: str) -> dict[str, Any] | None:
    try:
        value = json.loads(_read(path))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
