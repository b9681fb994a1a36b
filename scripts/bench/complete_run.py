"""A run that is complete already, asked for again, against composing its configuration."""

from __future__ import annotations

import tempfile
from pathlib import Path

from side_by_side import EXPKIT, Row, SideBySide, timed_command

REPEATS, QUICK = 15, 3
RUN = ("train", "+experiment=grokking_xor", "scale=smoke")


def rows(repeats: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        timed_command(EXPKIT, *RUN, "logger=none", folder=folder)  # a run is the same whatever it is logged to
        times = SideBySide(
            {
                "compose": lambda: timed_command(EXPKIT, *RUN, "--cfg", folder=folder),
                "complete": lambda: timed_command(EXPKIT, *RUN, folder=folder),
            },
            repeats,
        )
    return [
        times.ratio("expkit train, complete already / --cfg", "complete", "compose"),
        times.difference("expkit train, complete already - --cfg", "complete", "compose"),
    ]
