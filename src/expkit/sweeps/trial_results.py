"""From what a job of a search returned to what the study is told of its trial."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from expkit.errors import ConfigError
from expkit.outcome import Outcome
from expkit.sweeps.pruning import no_such_metric
from expkit.sweeps.search import Search, Trial

if TYPE_CHECKING:
    from expkit.records.record import Record


def tell(search: Search, trial: Trial, returned: Any) -> None:
    """Tells the study of one trial.

    A run that was interrupted, or not begun, is not told of: its trial is run when the search is taken up again.

    Args:
        returned: an Outcome; from other applications a number, or one for each direction.

    Raises:
        ConfigError: it does not have the values that the search is about.
    """
    if not isinstance(returned, Outcome):
        search.complete(trial, _numbers(returned, len(search.settings.direction)))
    elif is_decided(returned):
        _tell_of_run(search, trial, returned)


def is_decided(returned: Any) -> bool:
    """Whether a job came to an end of its own."""
    return not isinstance(returned, Outcome) or returned.state not in ("interrupted", "not run")


def _tell_of_run(search: Search, trial: Trial, outcome: Outcome) -> None:
    record = outcome.record
    if record is None or outcome.state not in ("complete", "diverged", "pruned"):
        search.fail(trial, None if record is None else record.run_id)
    elif outcome.state == "diverged":
        search.diverge(trial, record.run_id)
    else:
        if search.settings.pruner != "none":
            search.report(trial, _by_step(record, search.settings.monitor[0]))
        if outcome.state == "pruned":
            search.prune(trial, record.run_id)
        else:
            search.complete(trial, _values(search, record), record.run_id)


def _values(search: Search, record: Record) -> list[float]:
    settings, summary = search.settings, record.summary
    for monitor in settings.monitor:
        if monitor not in summary:
            raise no_such_metric(monitor, summary)
    if settings.at == "last":
        return [math.nan if (value := summary[monitor]) is None else float(value) for monitor in settings.monitor]
    best = {"minimize": min, "maximize": max}
    values = [list(_by_step(record, monitor, first=0).values()) for monitor in settings.monitor]
    return [best[direction](own, default=math.nan) for own, direction in zip(values, settings.direction, strict=True)]


def _by_step(record: Record, monitor: str, first: int = 1) -> dict[int, float]:
    """The metric's finite values from a step on."""
    metrics = record.metrics
    if monitor not in metrics.columns:
        return {}
    pairs = zip(metrics["step"], metrics[monitor], strict=True)
    return {step: value for step, value in pairs if value is not None and math.isfinite(value) and step >= first}


def _numbers(returned: Any, count: int) -> list[float]:
    try:
        values = [float(returned)] if count == 1 else [float(value) for value in returned]
    except (TypeError, ValueError) as error:
        wanted = "a number" if count == 1 else f"{count} numbers"
        raise ConfigError(f"The task function of a search returns {wanted}; it returned {returned!r}.") from error
    if len(values) != count:
        raise ConfigError(
            f"The task function returned {len(values)} values, and hydra.sweeper.direction has {count} directions."
        )
    return values
