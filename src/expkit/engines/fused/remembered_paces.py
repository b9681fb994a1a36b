"""How long steps took, from one process to the next: a small file in the user's cache folder.

It only saves time: a file that is lost, broken or cannot be written is as good as an empty one.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from expkit.records.files import replacing

KEPT = 500  # the newest
FRESH = 7 * 24 * 3600.0  # seconds; what was measured on a busy day must not count for ever


@dataclass(frozen=True)
class Paces:
    """Seconds of one step: as it is, compiled, and what compiling took once."""

    plain: float
    compiled: float
    compiling: float

    def worth_compiling(self, steps: int) -> bool:
        """Whether compiling now saves time over so many steps."""
        return steps * (self.plain - self.compiled) > self.compiling


def recall(key: str) -> Paces | None:
    """What was remembered under a key in the last days."""
    entry = _read().get(key)
    return entry and entry[1]


def remember(key: str, paces: Paces) -> None:
    """Writes it down, as far as that is possible."""
    entries = _read() | {key: (time.time(), paces)}
    newest = sorted(entries.items(), key=lambda item: item[1][0])[-KEPT:]
    content = {name: {"at": at, **asdict(own)} for name, (at, own) in newest}
    with contextlib.suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        with replacing(_file()) as aside:
            aside.write_text(json.dumps(content))


def _read() -> dict[str, tuple[float, Paces]]:
    try:
        content = json.loads(_file().read_text())
    except (OSError, ValueError):
        return {}
    entries = content.items() if isinstance(content, dict) else ()
    parsed = {key: _parsed(entry) for key, entry in entries}
    return {key: entry for key, entry in parsed.items() if entry is not None}


def _parsed(entry: Any) -> tuple[float, Paces] | None:
    try:
        at = float(entry["at"])
        paces = Paces(*(float(entry[name]) for name in ("plain", "compiled", "compiling")))
    except (KeyError, TypeError, ValueError):
        return None
    return (at, paces) if 0 <= time.time() - at < FRESH else None


def _file() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "expkit" / "paces.json"
