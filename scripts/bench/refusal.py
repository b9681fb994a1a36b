"""A mistyped key: how long it takes to be told."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from side_by_side import EXPKIT, Row, SideBySide, timed_command

REPEATS, QUICK = 15, 3


def rows(repeats: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        times = SideBySide(
            {
                "python": lambda: timed_command(sys.executable, "-c", "pass", folder=folder),
                "refusal": lambda: timed_command(EXPKIT, "train", "model.widht=3", folder=folder, status=2),
            },
            repeats,
        )
    return [
        times.absolute("expkit train model.widht=3, refused", "refusal", goal=1.0),
        times.ratio("expkit train model.widht=3, refused / python -c pass", "refusal", "python"),
    ]
