"""Files that are whole at any instant: written aside, flushed to disk, then renamed into place."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path to write to, which then takes `path`'s place at once; on an error `path` stays as it was."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as aside:
        aside.write_text(text)


def write_json(path: Path, value: Any) -> None:
    """Strict JSON: numbers that are not finite become null."""
    write_text(path, json.dumps(_finite(value), indent=2, default=str) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file, or None where there is no file or not a whole one."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def remove_leftovers(folder: Path) -> None:
    """Files that a killed process was writing aside."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def allow_open_files(count: int) -> None:
    """Lets this process have so many files open at once, as far as the system allows it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
