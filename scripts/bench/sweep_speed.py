"""Measures how quick sweeps are: `make bench-sweeps`, or this script, with --quick for small ones.

Every way to train the same runs is timed in turn, in one run of this script; a cell is the median over rounds of the
seconds that one step of one run takes, and ratios are taken within a round. The bare loop is the quicker of one with
torch's default threads and one with a single thread. Compiling and starting are left out, except in the row about the
whole command.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from run import machine
from side_by_side import EXPKIT, Row, SideBySide, timed_command
from sweep_problems import PROBLEMS, Kernel, Problem

from expkit.engines.fused import pace

REPEATS, QUICK = 5, 2
SMALL = {
    "fractal": {"runs": 64, "steps": 5},
    "minibatch": {"runs": 16, "steps": 3},
    "grokking_xor": {"runs": 2, "dim": 500},
}
SETTLE = 14  # steps that do not count: the engine's trial, compilation

Rows = list[Row]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure how quick sweeps are.")
    parser.add_argument("--quick", action="store_true", help="small problems, few rounds: whether it works")
    parser.add_argument("--only", nargs="+", choices=PROBLEMS, default=list(PROBLEMS), help="leave out the others")
    parser.add_argument("--repeats", type=int, help="rounds that count")
    parser.add_argument("--jax-python", metavar="PYTHON", help="an interpreter that has jax; without, no such column")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there as well")
    parser.add_argument("--memory", choices=PROBLEMS, help=argparse.SUPPRESS)  # a process of its own for each problem
    options = parser.parse_args(arguments)
    if options.memory:
        print(bytes_per_run(_problem(options.memory, options.quick)))
        return 0
    facts = machine()
    results = []
    for name in options.only:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        problem = _problem(name, options.quick)
        repeats = options.repeats or (QUICK if options.quick else REPEATS)
        results.append(measure(problem, repeats, options))
    show(results, facts)
    if options.json:
        options.json.write_text(json.dumps({"machine": facts, "problems": results}, indent=2) + "\n")
    return 0


def measure(problem: Problem, repeats: int, options: argparse.Namespace) -> dict[str, Any]:
    """Times all ways to train a problem's runs against each other."""
    with ExitStack() as open_things:
        threads = torch.get_num_threads()
        sides: dict[str, Callable[[], float]] = {
            "bare loop": lambda: bare_loop(problem, threads),
            "bare loop, 1 thread": lambda: bare_loop(problem, 1),
            "bare loop, a process per core": open_things.enter_context(processes(problem)),
            "bare kernel": stacked(problem, Kernel(problem, problem.runs)),
        }
        with always_compiled():
            engine = problem.stack(problem.runs)
            sides["fused engine"] = stacked(problem, engine)
            sides["fused engine, 1 run"] = stacked(problem, problem.stack(1), runs=1, steps=problem.alone)
        jax_version = None
        if options.jax_python:
            started = open_things.enter_context(jax_process(options.jax_python, problem, problem.runs))
            if started is not None:
                jax_version, sides["JAX"] = started
        times = SideBySide(sides, repeats)
    best = min("bare loop", "bare loop, 1 thread", key=lambda name: statistics.median(times.seconds[name]))
    rows = [
        gained(times, f"{best} / fused engine", best, "fused engine", 80.0 if problem.name == "fractal" else None),
        gained(times, "a process per core / fused engine", "bare loop, a process per core", "fused engine", None),
        times.ratio("fused engine / bare kernel", "fused engine", "bare kernel", goal=1.25),
        times.ratio(f"fused engine, 1 run / {best}", "fused engine, 1 run", best),
    ]
    if "JAX" in sides:
        rows.insert(2, gained(times, f"JAX {jax_version} / fused engine", "JAX", "fused engine", 2.0))
    seconds = {name: statistics.median(values) for name, values in times.seconds.items()}
    if problem.name == "fractal" and not options.quick:
        rows.append(whole_command(seconds["bare kernel"], repeats))
    return {
        "problem": problem.name,
        "runs": problem.runs,
        "flops": problem.flops,
        "microseconds": {name: value * 1e6 for name, value in seconds.items()},
        "gflops": {name: problem.flops / value / 1e9 for name, value in seconds.items()},
        "kilobytes per run": memory(problem.name, options.quick) / 1e3,
        "rows": [row.as_json() for row in rows],
    }


def gained(times: SideBySide, what: str, name: str, against: str, goal: float | None) -> Gain:
    row = times.ratio(what, name, against)
    return Gain(what, "x", row.values, goal, row.sides)


class Gain(Row):
    """A line of which larger values are better."""

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.value >= self.goal


def whole_command(kernel: float, repeats: int) -> Row:
    """The launcher: a map of 64 x 64 runs and 500 steps from the command line to its record.

    Args:
        kernel: seconds that a step of one run takes in the bare kernel.
        repeats: how often it is run; the first time what is compiled may not be in torch's cache on disk.
    """
    steps, side = 500, 64
    ratios, sides = [], {}
    for _ in range(repeats):
        sides = {"command": _timed_map(steps, side), "kernel": kernel * steps * side**2}
        ratios.append(sides["command"] / sides["kernel"])
    what = f"expkit train -m, {side} x {side} runs, start and compilation included / bare kernel"
    return Row(what, "x", ratios, 1.25, sides)


def _timed_map(steps: int, side: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return timed_command(
            *(EXPKIT, "train", "-m", "+experiment=trainability_fractal", "hydra/launcher=fused", "logger=none"),
            *("trainer.precision=32-true", f"trainer.max_steps={steps}", f"trainer.eval_at=[0,{steps}]"),
            *(f"optimizer.lr=logspace(0,2,{side})", f"optimizer.lr_output=logspace(0,1,{side})"),
            folder=Path(folder),
        )


def bare_loop(problem: Problem, threads: int) -> float:
    """Seconds that a step of one run takes."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return _each(problem.bare(problem.alone, skipped := 3), problem.alone, skipped)
    finally:
        torch.set_num_threads(before)


def _each(steps: Iterator[None], counted: int, skipped: int) -> float:
    for _ in range(skipped):
        next(steps)
    began = time.perf_counter()
    for _ in steps:
        pass
    return (time.perf_counter() - began) / counted


def stacked(problem: Problem, training: Any, runs: int | None = None, steps: int | None = None) -> Callable[[], float]:
    """Times a few steps of a stack that has settled; seconds that a step of one run takes."""
    runs, steps = runs or problem.runs, steps or problem.steps
    for _ in range(SETTLE):
        training.advance()

    def timed() -> float:
        began = time.perf_counter()
        for _ in range(steps):
            training.advance()
        return (time.perf_counter() - began) / (steps * runs)

    return timed


@contextmanager
def always_compiled() -> Iterator[None]:
    """The engine compiles after its trial, however little there is to do, and what it learns is forgotten."""
    before, home = pace.WORTH, os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as folder:
        pace.WORTH, os.environ["XDG_CACHE_HOME"] = 0.0, folder
        try:
            yield
        finally:
            pace.WORTH = before
            if home is None:
                del os.environ["XDG_CACHE_HOME"]
            else:
                os.environ["XDG_CACHE_HOME"] = home


@contextmanager
def processes(problem: Problem) -> Iterator[Callable[[], float]]:
    """One run in each of as many processes as there are cores, one thread each."""
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:

        def timed() -> float:
            done = list(pool.map(_run_alone, [problem.name] * cores, [problem.runs] * cores))
            return statistics.mean(done) / cores

        yield timed


def _run_alone(name: str, runs: int) -> float:
    small = runs == SMALL[name]["runs"]
    return bare_loop(_problem(name, small), 1)


def _problem(name: str, small: bool) -> Problem:
    return PROBLEMS[name](**SMALL[name]) if small else PROBLEMS[name]()


@contextmanager
def jax_process(python: str, problem: Problem, runs: int) -> Iterator[tuple[str, Callable[[], float]] | None]:
    """JAX's version and a timing of the same sweep in it; None where it is not to be had."""
    script = Path(__file__).with_name("sweep_jax.py")
    command = [python, str(script), problem.name, str(runs), str(problem.steps)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        requests, answers = process.stdin, process.stdout
        assert requests is not None
        assert answers is not None
        version = answers.readline().strip()
        if not version:
            print(f"no JAX: {python} {script} did not start", file=sys.stderr)
            yield None
            return

        def timed() -> float:
            requests.write("\n")
            requests.flush()
            return float(answers.readline()) / (runs * problem.steps)

        yield version, timed
        requests.close()


def memory(name: str, small: bool) -> float:
    """Bytes per run that a process of its own finds."""
    command = [sys.executable, __file__, "--memory", name, *(["--quick"] if small else [])]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def bytes_per_run(problem: Problem) -> float:
    """What the peak of this process's memory grows by from a stack of a few runs to one of all."""

    def peak(runs: int) -> int:
        training = problem.stack(runs)
        for _ in range(3):
            training.advance()
        return _peak()

    few = max(1, problem.runs // 8)
    before = peak(few)
    return (peak(problem.runs) - before) / (problem.runs - few)


def _peak() -> int:
    """The most memory that this process has had, in bytes. (What `resource` says begins with its parent's.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def show(results: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=160, color_system=None)
    for result in results:
        seconds = Table(f"{result['problem']}, {result['runs']:,} runs", "us per step and run", "GFLOP/s", box=None)
        for name, value in result["microseconds"].items():
            seconds.add_row(name, f"{value:.2f}", f"{result['gflops'][name]:.1f}")
        ratios = Table("", "median", "lowest to highest", "goal", "met", box=None)
        for row in result["rows"]:
            ratios.add_row(
                row["what"],
                f"{row['median']:.2f} x",
                f"{row['lowest']:.2f} to {row['highest']:.2f}",
                "" if row["goal"] is None else f"{row['goal']:g} x",
                {None: "", True: "yes", False: "NO"}[row["met"]],
            )
        console.print(seconds, ratios, f"memory: {result['kilobytes per run']:,.0f} kB per run\n", highlight=False)
    console.print(
        "{cpu}, {cores} cores ({threads} threads), load {load:.1f}; Python {python}, torch {torch}; {date}".format(
            **facts
        ),
        highlight=False,
    )


if __name__ == "__main__":
    raise SystemExit(main())
