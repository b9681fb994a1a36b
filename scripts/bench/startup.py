"""What `expkit train` costs besides the training: against a script with the same loop, with and without W&B."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

from side_by_side import EXPKIT, Row, SideBySide, timed_command

REPEATS, QUICK = 7, 2
STEPS = 20
SCRIPT = Path(__file__).with_name("bare_loop.py")


def rows(repeats: int, steps: int = STEPS) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        numbers = itertools.count()

        def train(*overrides: str) -> float:
            """In a fresh folder for records each time, since a complete run is not run again."""
            run = ("train", "+experiment=grokking_xor", f"trainer.max_steps={steps}", *overrides)
            return timed_command(EXPKIT, *run, "--runs", folder / f"runs{next(numbers)}", folder=folder)

        times = SideBySide(
            {
                "script": lambda: timed_command(sys.executable, SCRIPT, str(steps), folder=folder),
                "train": train,
                "train without logger": lambda: train("logger=none"),
            },
            repeats,
        )
        check_same(folder / "runs0", steps)
    return [
        times.difference(f"expkit train, {steps} steps, W&B offline - bare script", "train", "script", goal=1.0),
        times.difference(
            f"expkit train, {steps} steps, logger=none - bare script", "train without logger", "script", goal=1.0
        ),
        times.difference(f"expkit train, {steps} steps, W&B offline - logger=none", "train", "train without logger"),
    ]


def check_same(runs: Path, steps: int) -> None:
    """Raises unless the script came to the metrics of the recorded run: only then is the difference an overhead."""
    (file,) = runs.glob("grokking_xor/*/summary.json")
    recorded = json.loads(file.read_text())
    command = [sys.executable, str(SCRIPT), str(steps)]
    script = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    if recorded.keys() != script.keys() or any(
        not math.isclose(recorded[name], script[name], rel_tol=1e-4, abs_tol=1e-6) for name in recorded
    ):
        raise RuntimeError(f"the script is not the same training:\n  expkit: {recorded}\n  script: {script}")
