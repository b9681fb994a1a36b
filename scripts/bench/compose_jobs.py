"""A sweep of 10,000 runs from overrides to groups that train together, and the same run by run."""

from __future__ import annotations

import time

from side_by_side import Row, SideBySide

from expkit.compose import Composed, compose
from expkit.identity import run_id, run_ids
from expkit.sweeps.grouping import group
from expkit.sweeps.jobs import compose_jobs

REPEATS, QUICK = 5, 1
JOBS = [
    ["+experiment=grokking_xor", f"seed={seed}", f"optimizer.lr={number / 1000}"]
    for seed in range(100)
    for number in range(1, 101)
]
ALONE = 10  # as many as are composed one by one


def rows(repeats: int) -> list[Row]:
    times = SideBySide({"together": together, "alone": alone}, repeats)
    return [
        times.absolute(f"{len(JOBS):,} jobs composed, identified and grouped", "together", goal=3.0),
        times.ratio(f"the same / {ALONE} jobs composed and identified one by one", "together", "alone"),
    ]


def together() -> float:
    began = time.perf_counter()
    configs = [job.config for job in compose_jobs([], JOBS) if isinstance(job, Composed)]
    ids, groups = run_ids(configs), group(configs)
    taken = time.perf_counter() - began
    assert (len(set(ids)), len(groups)) == (len(JOBS), 1)
    return taken


def alone() -> float:
    began = time.perf_counter()
    for overrides in JOBS[:ALONE]:
        run_id(compose(overrides).config)
    return time.perf_counter() - began
