"""The jobs of a sweep, fused where that can be done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from expkit.compose import Composed
from expkit.outcome import Outcome
from expkit.run_fused import run_fused
from expkit.sweeps.grouping import group
from expkit.views.view import View

LARGEST = 256  # runs in a stack; each holds its record's lock, which is an open file


def run_jobs(
    jobs: Sequence[Composed],
    views: Sequence[View],
    force: bool,
    alone: Callable[[int], Outcome],
    note: Callable[[str], None],
) -> list[Outcome]:
    """Runs all jobs; those of a group as one program, and by `alone` those that cannot be.

    Args:
        jobs: composed and checked.
        views: of each.
        force: run again what is complete.
        alone: runs one job by itself, given its number.
        note: is told what could not be fused, and why.
    """
    outcomes: dict[int, Outcome] = {}
    reasons: dict[str, int] = defaultdict(int)
    for members in _stacks(jobs):
        if len(members) > 1:
            reason = _fuse(members, jobs, views, force, outcomes)
            if reason:
                reasons[reason] += len(members)
        for number in members:
            if number not in outcomes:
                outcomes[number] = alone(number)
    for reason, count in reasons.items():
        note(f"{count} runs were not fused: {reason}")
    return [outcomes[number] for number in range(len(jobs))]


def _stacks(jobs: Sequence[Composed]) -> list[list[int]]:
    groups = group([job.config for job in jobs])
    return [one.indices[start : start + LARGEST] for one in groups for start in range(0, len(one.indices), LARGEST)]


def _fuse(
    members: list[int], jobs: Sequence[Composed], views: Sequence[View], force: bool, outcomes: dict[int, Outcome]
) -> str | None:
    """Fills in the outcomes of the runs that are done; otherwise says why they cannot be fused."""
    from expkit.engines.fused.not_fusable import NotFusable

    try:
        records = run_fused([jobs[n] for n in members], [views[n] for n in members], force)
    except NotFusable as error:
        return f"{error.key}: {error.reason}"
    for number, record in zip(members, records, strict=True):
        if record is not None:
            outcomes[number] = Outcome(record, overrides=jobs[number].overrides)
    if any(record is not None and record.state == "interrupted" for record in records):
        raise KeyboardInterrupt  # whoever stops runs of a sweep wants the sweep to stop
    return None
