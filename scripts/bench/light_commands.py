"""`expkit --help` and `expkit list` over as many experiments as there are papers, against Python's own start."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from side_by_side import EXPKIT, Row, SideBySide, timed_command

from expkit import library

REPEATS, QUICK = 15, 3
EXPERIMENTS = 376


def rows(repeats: int, experiments: int = EXPERIMENTS) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder, experiments)
        times = SideBySide(
            {
                "python": lambda: timed_command(sys.executable, "-c", "pass", folder=folder),
                "help": lambda: timed_command(EXPKIT, "--help", folder=folder),
                "list": lambda: timed_command(EXPKIT, "list", folder=folder),
            },
            repeats,
        )
    return [
        times.absolute("expkit --help", "help", goal=0.2),
        times.ratio("expkit --help / python -c pass", "help", "python"),
        times.absolute(f"expkit list, {experiments} experiments", "list", goal=0.5),
        times.ratio(f"expkit list, {experiments} experiments / python -c pass", "list", "python"),
    ]


def make_project(folder: Path, experiments: int) -> None:
    """A project whose experiments make, with the library's own, so many."""
    (folder / "pyproject.toml").write_text("[tool.expkit]\n")
    own, added = library.root() / "conf" / "experiment", folder / "conf" / "experiment"
    added.mkdir(parents=True)
    text = (own / "grokking_xor.yaml").read_text()
    for number in range(experiments - len(list(own.glob("*.yaml")))):
        (added / f"bench_{number:03}.yaml").write_text(text)
