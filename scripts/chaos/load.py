"""Large stores and large sweeps

The machine may be busy with other things meanwhile: times are seconds of processor time, of which the design's
numbers, which are seconds on an idle machine, allow as much.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from report import Row
from watching import growth, slowdown, watched

from expkit.sweeps.events import EventReader

EXPKIT = [sys.executable, "-m", "expkit"]
TINY = [
    "data=two_moons", "data.n_train=16", "data.n_test=16", "model=mlp", "model.width=2", "optimizer=sgd",
    "trainer.max_steps=3", "trainer.eval_at=3", "logger=none", "callbacks=none",
]  # fmt: skip
SECONDS = 1.0
"""The design's number for `expkit compare` over 100,000 runs; asked of `expkit runs` and of a page, too."""
MEMORY = 2**30
"""Bytes that a command may use for them; the dashboard's server, with the libraries that draw, twice as many."""


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    yield large_store(folder, 2000 if short else 100_000)
    if not short:
        yield dashboard(folder)
        yield large_sweep(folder, "processes", [*TINY, "seed=range(0,10000)", "hydra/launcher=processes"], 10_000)
    side = 16 if short else 512
    keys = [f"optimizer.lr=logspace(-3,0,{side})", f"model.init_scale=logspace(-2,1,{side})"]
    yield large_sweep(folder, "fused", [*TINY, *keys, "sweep.dense=true", "hydra/launcher=fused"], side * side)


def large_store(folder: Path, count: int) -> Row:
    """Lists and comparisons of very many records."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
    from many_records import write_records

    root = folder / "many"
    write_records(root, count)
    at = ["--runs", str(root)]
    watched([*EXPKIT, "runs", *at], folder, 600)  # the first use makes the index
    broken, said, limit = [], [], SECONDS + start(folder)
    commands = {"expkit runs": ["runs", *at], "expkit compare": ["compare", *at], "expkit sweeps": ["sweeps", *at]}
    for name, command in commands.items():
        spent, memory, error = used([*EXPKIT, *command], folder)
        said.append(f"{name}: {spent:.2f} s, {memory / 2**20:.0f} MiB")
        broken += [f"{name}: {error}"] if error else []
        broken += [f"{name} takes {spent:.2f} s"] if spent > limit else []
        broken += [f"{name} takes {memory / 2**20:.0f} MiB"] if memory > MEMORY else []
    return Row(f"a store of {count:,} records: commands", len(commands), (*broken,), "; ".join(said))


def dashboard(folder: Path) -> Row:
    """The page of all runs over the same store."""
    _, memory, said = used([sys.executable, "-c", PAGE], folder, EXPKIT_RUNS=str(folder / "many"))
    try:
        first, again = map(float, said.split())
    except ValueError:
        return Row("the same store: the dashboard", 4, (said,), "nothing")
    broken = [f"a page takes {again:.2f} s"] if again > SECONDS else []
    broken += [f"the dashboard takes {memory / 2**20:.0f} MiB"] if memory > 2 * MEMORY else []
    seen = f"the first visit {first:.1f} s, a click {again:.2f} s; {memory / 2**20:.0f} MiB"
    return Row("the same store: the dashboard", 4, (*broken,), seen)


PAGE = """
import logging, sys, time
logging.getLogger("streamlit").setLevel(logging.CRITICAL)
from streamlit.testing.v1 import AppTest
from expkit.dashboard import server
app = AppTest.from_file(str(server.FOLDER / "app.py"), default_timeout=600)
times = []
for visit in range(4):
    began = time.process_time()
    app.run()
    times.append(time.process_time() - began)
    assert not app.exception, app.exception
print(times[0], sorted(times[1:])[1])
"""
"""The page of all runs, as Streamlit makes it: the first time, and again."""


TRIES = 3
"""Sweeps that are watched for one that gets slower: a machine that others use, too, does so at times, a leak always."""


def large_sweep(folder: Path, name: str, overrides: list[str], count: int) -> Row:
    """A sweep of very many runs, watched; again where its rate fell."""
    what = f"a sweep of {count:,} tiny runs, {name}"
    ratios: list[float] = []
    while True:
        broken, slower, ratio, seen = one_large_sweep(folder, f"{name}{len(ratios)}", overrides, count)
        ratios.append(ratio)
        if broken or not slower or len(ratios) == TRIES:
            rates = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            return Row(what, count * len(ratios), (*broken, *slower), f"rate at the end / at first {rates}; {seen}")


def one_large_sweep(
    folder: Path, name: str, overrides: list[str], count: int
) -> tuple[list[str], list[str], float, str]:
    """What was broken, whether it got slower, the ratio of its rates, and what it took."""
    root = folder / name
    command = [*EXPKIT, "train", "-m", *overrides, f"paths.runs={root}", f"sweep.name={name}", "--json"]
    began = time.monotonic()
    status, said, samples = watched(command, folder, 2400)
    took = time.monotonic() - began
    ends = [
        event["time"]
        for event in EventReader(root / ".sweeps" / name / "events").new()
        for _ in (event["numbers"] if event["kind"] == "rows" else [0])
        if event["kind"] == "rows" or (event["kind"] == "run" and event["state"] == "complete")
    ]
    broken = [f"it ended with {status}: {said}"] if status else []
    broken += [f"{len(ends):,} of {count:,} runs are complete"] if len(ends) != count else []
    broken += growth(within(samples, ends))
    ratio, slower = slowdown(samples, ends)
    peak = max(one.memory for one in samples) / 2**20
    seen = f"{took / 60:.1f} min, {samples[-1].cpu:.0f} s of processor time"
    seen += (
        f"; {peak:,.0f} MiB, {max(one.files for one in samples)} files, {max(one.threads for one in samples)} threads"
    )
    return broken, slower, ratio, f"{seen} at most"


def within(samples: list, ends: list[float]) -> list:
    """The samples from the first run's end to the last's."""
    return [one for one in samples if ends and min(ends) <= one.time <= max(ends)]


def start(folder: Path) -> float:
    """Seconds of processor time that Python and the library of frames take to start."""
    return used([sys.executable, "-c", "import polars, rich.table"], folder)[0]


def used(command: list[str], folder: Path, **variables: str) -> tuple[float, int, str]:
    """Seconds of processor time, bytes at most, and what was printed if it is little or went wrong."""
    with (folder / "said").open("w+b") as said:
        actions = [(os.POSIX_SPAWN_DUP2, said.fileno(), number) for number in (1, 2)]
        pid = os.posix_spawn(command[0], command, {**os.environ, **variables}, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        said.seek(0)
        text = said.read().decode(errors="replace")
    short = text.strip().splitlines()[-1] if text.strip() and (status or command[1] == "-c") else ""
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, short
