"""Runs a study: its arms as ordinary sweeps, whose runs are recorded and reused like any others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from expkit.errors import UserError
from expkit.records.store import Store
from expkit.studies.arms import sweep_all
from expkit.studies.claims import Claim, Panel, load, study_code, study_file
from expkit.studies.plan import Arm, plan
from expkit.studies.result import Result
from expkit.studies.runs import ENDED, Runs
from expkit.studies.swept import Failed, together
from expkit.sweeps.sweep_job import Flags


@dataclass(frozen=True)
class Studied:
    """A study whose runs have been done.

    Args:
        experiment: its name.
        folder: of its study.py.
        code: that was loaded from there.
        arms: what was run.
        runs: the records, as claims read them.
        failed: runs without a result.
        verdicts: what came of each claim.
        panels: of its figure.
    """

    experiment: str
    folder: Path
    code: dict[str, tuple[int, int]]
    arms: list[Arm]
    runs: Runs
    failed: list[Failed]
    verdicts: list[tuple[Claim, Result]]
    panels: list[Panel]


def study(
    experiment: str,
    scale: str = "default",
    given: Sequence[str] = (),
    runs: str | None = None,
    flags: Flags | None = None,
    changed: bool = False,
    jobs: int = 1,
    say: Callable[[str], None] = lambda message: None,
) -> Studied:
    """Runs what is missing of an experiment's study, and evaluates its claims.

    Args:
        experiment: its name.
        scale: its size.
        given: further overrides, such as hydra/launcher=processes.
        runs: the folder of records; by default that of `Store`.
        flags: of the sweeps.
        changed: `given` changes what is run: claims may then ask for what is not measured, which does not hold.
        jobs: arms that are run at once, see `sweep_all`.
        say: is told what starts, or has ended.

    Raises:
        UserError: there is no such study, or a claim of it cannot be evaluated.
        KeyboardInterrupt: it was stopped.
    """
    file = study_file(experiment)
    arms = plan(experiment, scale, given)
    if file is None:
        raise UserError(f"Experiment '{experiment}' has no experiments/{experiment}/study.py, so it has no claims.")
    code = study_code(file.parent)
    claims, panels = load(experiment, file)
    swept = sweep_all(experiment, arms, Store(runs), flags or Flags(quiet=True), jobs, say)
    failed = [run for arm in swept for run in arm.failed]
    records = {run: record for arm in swept for run, record in arm.records.items()}
    history = together([arm.history for arm in swept]).unique(["run", "step"], maintain_order=True)
    lenient = changed or scale != "default"
    done = Runs(together([arm.frame for arm in swept]), history, lenient=lenient, records=records)
    if not done.frame["state"].is_in(ENDED).any():
        raise UserError(f"No run of the study of '{experiment}' has a result.", failed[0].message if failed else None)
    verdicts = [(claim, _evaluated(claim, done, file)) for claim in claims]
    return Studied(experiment, file.parent, code, arms, done, failed, verdicts, panels)


def _evaluated(claim: Claim, runs: Runs, file: Path) -> Result:
    try:
        return claim.evaluate(runs)
    except UserError as error:
        raise type(error)(f"{file.parent.name}, claim '{claim.text}': {error.message}", error.hint) from error
    except Exception as error:
        where = f"{file.parent.name}, claim '{claim.text}'"
        raise UserError(f"{where}: {type(error).__name__}: {error}", f"It is in {file}.") from error
