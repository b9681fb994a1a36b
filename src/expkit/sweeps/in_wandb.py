"""A sweep of so many runs that W&B shows it as one run, with a table and a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from expkit.loggers.wandb_session import WandbSession
from expkit.sweeps.figure import draw_sweep
from expkit.sweeps.results import results
from expkit.sweeps.sweep import Sweep

ROWS = 10_000
"""W&B's own limit for the rows of a table."""


def log_sweep(
    sweep: Sweep,
    node: Mapping[str, Any],
    state: str,
    drawer: Mapping[str, Any] | None,
    warn: Callable[[str], None],
) -> None:
    """Logs the results of a sweep; nothing that goes wrong with W&B is raised.

    Args:
        sweep: its runs are done.
        node: the runs' own W&B settings.
        state: how the sweep ended.
        drawer: of its picture, see `expkit.sweeps.figure.draw_sweep`.
        warn: is told of whatever goes wrong.
    """
    settings = {key: value for key, value in node.items() if key not in ("_target_", "job_type", "group")}
    info = sweep.info
    session = WandbSession(
        sweep.folder,
        run_id=sweep.id,
        name=sweep.id,
        config={key: info.get(key) for key in ("experiment", "overrides", "launcher", "sweeper")},
        group=sweep.id,
        job_type="sweep",
        **settings,
        warn=warn,
    )
    frame = results(sweep)
    shown = frame.head(ROWS)
    session.table("runs", shown.columns, shown.rows())
    figure = draw_sweep(sweep, drawer)
    if figure is not None:
        session.figure("sweep", figure)
    counts = frame["state"].value_counts().rows()
    session.summary({"runs": len(frame), "expkit/status": state, **{f"runs/{name}": count for name, count in counts}})
    session.finish("finished" if state == "complete" else "failed", timeout=60.0)
