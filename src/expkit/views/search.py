"""The end of a search: its best trial, or the trade-offs between several metrics."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from expkit.views import text

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from expkit.sweeps.search import Search


def results(search: Search) -> dict[str, Any]:
    """The best, under the names that Hydra's own sweepers write to optimization_results.yaml, and its runs."""
    found = [_result(search, trial) for trial in search.best]
    if len(search.settings.direction) > 1:
        return {"name": "optuna", "solutions": found}
    if not found:
        return {"name": "optuna", "best_params": None, "best_value": None}
    best = found[0]
    return {
        "name": "optuna",
        "best_params": best["params"],
        "best_value": best["values"][0],
        **{key: best[key] for key in ("number", "run_id", "overrides")},
    }


def show(search: Search) -> None:
    """Prints the best trial with the command that runs it; with several metrics a table of the Pareto front."""
    from expkit.views.console import new_console

    console = new_console()
    counts = ", ".join(f"{count} {state}" for state, count in search.counts.items())
    print(f"Search: {counts}  ({search.file})")
    best = search.best
    if not best:
        print("No trial is complete with a finite value.")
    elif len(search.settings.direction) == 1:
        trial = best[0]
        print(
            f"Best: {_metric(search, 0)} {text.number(trial.values[0])}  trial #{trial.number}  {_run(trial)}".rstrip()
        )
        print("  " + "  ".join(search.space.overrides(trial.params)[len(search.space.fixed) :]))
        if _run(trial):
            print(f"  expkit train {shlex.join(search.overrides(trial))}")
    else:
        console.print(_front(search, best))


def _front(search: Search, front: list[FrozenTrial]) -> Any:
    from rich.table import Table
    from rich.text import Text

    metrics = [f"{_metric(search, place)} ({direction})" for place, direction in enumerate(search.settings.direction)]
    title = "Pareto front: no other trial is as good in all metrics"
    table = Table("trial", *metrics, "overrides", "run", title=title, title_justify="left")
    for trial in front:
        own = search.space.overrides(trial.params)[len(search.space.fixed) :]
        table.add_row(f"#{trial.number}", *map(text.number, trial.values), Text(" ".join(own)), _run(trial))
    return table


def _metric(search: Search, place: int) -> str:
    return search.settings.monitor[place] if search.settings.monitor else "value"


def _run(trial: FrozenTrial) -> str:
    return str(trial.user_attrs.get("run", ""))


def _result(search: Search, trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "params": trial.params,
        "values": trial.values,
        "run_id": trial.user_attrs.get("run"),
        "overrides": search.overrides(trial),
    }
