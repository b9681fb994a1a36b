"""One process that trains, sweeps, compares, evaluates, exports and deletes, again and again

Twenty minutes of trainings that take milliseconds: as many begin and end as in hours of longer ones, and whatever is
not given back when one ends adds up as much.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from report import Row
from watching import growth, reference, slowdown, watched

MINUTES = 20
TINY = ["data=two_moons", "data.n_train=32", "data.n_test=32", "model=mlp", "model.width=4", "trainer.max_steps=20"]
ROUNDS = 20
"""After so many, the records are deleted, so that all rounds look at as many."""


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    command = [sys.executable, __file__, str(folder), "2" if short else str(60 * MINUTES)]
    began = time.monotonic()
    status, said, samples = watched(command, folder, 60 * (MINUTES + 10))
    took = time.monotonic() - began
    try:
        told = json.loads((folder / "told.json").read_text())
    except (OSError, ValueError):
        yield Row("a soak", 0, (f"it ended with {status}: {said}",), "nothing")
        return
    ends, counts, broken = told["ends"], told["counts"], told["broken"]
    broken += [f"it ended with {status}: {said}"] if status else []
    during = [one for one in samples if ends[0] <= one.time <= ends[-1]]
    ratio, slower = (1.0, []) if short else slowdown(samples, ends, told["references"])
    broken += [] if short else growth(during)
    peak = max(one.memory for one in samples) / 2**20
    seen = f"{took / 60:.1f} min; rate at the end / at first {ratio:.2f}; {peak:,.0f} MiB, "
    seen += f"{max(one.files for one in samples)} files, {max(one.threads for one in samples)} threads at most"
    what = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
    yield Row(f"{len(ends):,} rounds of one process: {what}", sum(counts.values()), (*broken, *slower), seen)


def soak(folder: Path, seconds: float) -> None:
    """Works so long, and writes down what it did."""
    os.environ["WANDB_MODE"] = "offline"
    ends: list[float] = []
    references: list[float] = []
    counts: Counter[str] = Counter()
    broken: list[str] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for command in a_round(folder / "runs", len(ends)):
            if wrong := wrong_with(command):
                broken.append(f"round {len(ends)}: {wrong}")
            counts[command[0]] += 1
        if len(ends) % ROUNDS == ROUNDS - 1:
            shutil.rmtree(folder / "runs")
        references.append(reference())
        ends.append(time.time())
    told = {"ends": ends, "references": references, "counts": counts, "broken": broken[:20]}
    (folder / "told.json").write_text(json.dumps(told))


def a_round(runs: Path, number: int) -> list[list[str]]:
    at = f"paths.runs={runs}"
    logger = ("csv", "none", "tensorboard", "wandb")[number % 4]
    return [
        ["train", *TINY, f"seed={number}", f"logger={logger}", "callbacks=[best,learning_rate]", at],
        ["train", "-m", *TINY, f"seed=range({10 * number},{10 * number + 4})", "logger=none", "optimizer=sgd", at],
        ["train", "-m", *TINY, f"seed={number}", "optimizer=sgd", "optimizer.lr=0.1,1e38", "logger=none", at],
        ["compare", "--json", "--runs", str(runs)],
        ["eval", str(sorted(runs.glob("*/*/checkpoints"))[0].parent), f"data.seed={number}", "--runs", str(runs)]
        if runs.is_dir() and any(runs.glob("*/*/checkpoints"))
        else ["runs", "--runs", str(runs)],
        ["train", *TINY, f"seed={number}", "model.widht=3", at],
    ]


def wrong_with(command: list[str]) -> str | None:
    """Runs a command in this process; what did not go as it should."""
    from expkit.cli import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            status = main(command)
        except BaseException as error:
            return f"{command}: {type(error).__name__}: {error}"
    # At 1e38 all diverge; at 1e30 a network whose units have all died may keep a loss that is finite.
    expected = 2 if "model.widht=3" in command else 1 if "optimizer.lr=0.1,1e38" in command else 0
    return None if status == expected else f"{command} ended with {status}: {said.getvalue()[-200:]}"


if __name__ == "__main__":
    soak(Path(sys.argv[1]), float(sys.argv[2]))
