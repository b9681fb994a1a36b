"""The run store: layout, writing, reading.

In a notebook:

    from expkit.records import history, runs
    frame = runs("grokking_xor", where="optimizer.lr>0.01 and seed<5")   # one row a run
    curves = history(frame, metrics=["test/acc"])                        # one row a logged step
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars

__all__ = ["history", "runs"]


def runs(*which: str, root: Path | str | None = None, where: str | None = None) -> polars.DataFrame:
    """Recorded runs as a frame, one row a run, newest first.

    Args:
        which: run ids or their beginnings, experiments, sweeps (a part of the name will do), or folders; none for all.
        root: of the run store; by default the variable EXPKIT_RUNS, or ./runs.
        where: a condition such as `optimizer.lr>0.01 and seed<5 and data=='wine'`; see `expkit.records.where`.

    Returns:
        'run_id', 'experiment', 'state', 'started', 'seconds', 'path', 'step'; every plain value of the configuration by
        its dotted name ('optimizer.lr', 'seed'), with the option chosen of each group ('data.name'); and the last value
        of every metric: the columns with a '/' ('test/acc'). Null where a run lacks it. Damaged records are left out
        with a warning.

    Raises:
        UserError: something named is not there, or is more than one thing; or `where` is not understood.
    """
    from expkit.records.selecting import select_runs

    return select_runs(which, root, where)


def history(
    *which: polars.DataFrame | str, metrics: Sequence[str] | None = None, root: Path | str | None = None
) -> polars.DataFrame:
    """The metrics of runs over their steps.

    Args:
        which: a frame of `runs()`, or what `runs()` takes.
        metrics: only these; None for all.
        root: of the run store, as in `runs()`.

    Returns:
        One row for each logged step of each run: 'run_id', 'step', and one column per metric, null where not logged.

    Raises:
        UserError: there is no such run or metric.
    """
    from expkit.records.columns import stacked
    from expkit.records.logged_rows import read_history

    names = [one for one in which if isinstance(one, str)]
    frames = [one for one in which if not isinstance(one, str)]
    if names or not which:
        frames.append(runs(*names, root=root))
    return read_history(stacked([frame.select("run_id", "path") for frame in frames]), metrics).drop("path")
