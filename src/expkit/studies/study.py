"""Runs a study: its arms as ordinary sweeps, whose runs are recorded and reused like any others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.compose import Composed
from expkit.errors import ConfigError, UserError
from expkit.identity import run_ids
from expkit.overrides import recorded_in
from expkit.records.record import Record
from expkit.records.store import Store
from expkit.studies.claims import Claim, Panel, load, study_code, study_file
from expkit.studies.plan import Arm, plan
from expkit.studies.result import Result
from expkit.studies.runs import ENDED, Runs
from expkit.sweeps.dense import rows
from expkit.sweeps.multirun import multirun
from expkit.sweeps.sweep_job import Flags, SweepJob

if TYPE_CHECKING:
    import polars

    from expkit.sweeps.sweep import Sweep

    _Swept = tuple[polars.DataFrame, polars.DataFrame, list["Failed"], dict[str, Record]]


@dataclass(frozen=True)
class Failed:
    """A run that has no result."""

    arm: str
    overrides: str
    message: str


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
        say: is told what starts.

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
    store = Store(runs)
    frames, histories, failed = [], [], []
    records: dict[str, Record] = {}
    for arm in arms:
        say(f"{experiment}: {_count(arm)}{f' of arm {arm.name}' if len(arms) > 1 else ''}")
        frame, history, own, kept = _run(arm, store, flags or Flags(quiet=True))
        frames.append(frame)
        histories.append(history)
        failed += own
        records |= kept
    lenient = changed or scale != "default"
    history = _together(histories).unique(["run", "step"], maintain_order=True)
    done = Runs(_together(frames), history, lenient=lenient, records=records)
    if not done.frame["state"].is_in(ENDED).any():
        raise UserError(f"No run of the study of '{experiment}' has a result.", failed[0].message if failed else None)
    verdicts = [(claim, _evaluated(claim, done, file)) for claim in claims]
    return Studied(experiment, file.parent, code, arms, done, failed, verdicts, panels)


def _run(arm: Arm, store: Store, flags: Flags) -> _Swept:
    """An arm's sweep: one row a run, one row for each run and step, what failed, and the records by run."""
    logger = [] if any(o.lstrip("+~").startswith("logger") for o in arm.overrides) else ["logger=none"]
    overrides = [*arm.overrides, *logger, recorded_in(store.root)]
    job = SweepJob(overrides, flags)
    multirun(overrides, job)
    assert job.sweep is not None
    dense = rows(job.sweep)
    if dense is not None:
        return _of_table(arm, dense)
    composed = arm.composed(range(len(arm.jobs)))
    return _of_folders(arm, composed, store, job)


def _of_folders(arm: Arm, composed: Sequence[Composed | ConfigError], store: Store, job: SweepJob) -> _Swept:
    import polars

    names = iter(run_ids([one.config for one in composed if isinstance(one, Composed)]))
    found: list[dict[str, Any]] = []
    histories: list[polars.DataFrame] = []
    failed: list[Failed] = []
    records: dict[str, Record] = {}
    why = _messages(job)
    for number, (overrides, one) in enumerate(zip(arm.jobs, composed, strict=True)):
        label = " ".join(o for o in overrides if o.lstrip("+").partition("=")[0] in {*arm.keys, "seed"})
        if not isinstance(one, Composed):
            found.append({"run": None, "arm": arm.name, "unit": f"run {number}", "state": "failed"})
            failed.append(Failed(arm.name, label, one.message))
            continue
        run = next(names)
        record = store.record(one.name, run)
        records[run] = record
        state = record.state if (record.folder / "status.json").exists() else "not run"
        found.append({"run": run, "arm": arm.name, "state": state, **_facts(one, arm)})
        if state in ENDED and record.metrics_file.exists():
            histories.append(record.metrics.with_columns(polars.lit(run).alias("run")))
        elif state not in ENDED:
            error = (record.status.get("error") or {}).get("message") or why.get(run) or state
            failed.append(Failed(arm.name, label, str(error).split("\n")[0]))
    return polars.from_dicts(found, infer_schema_length=None), _together(histories), failed, records


def _of_table(arm: Arm, dense: polars.DataFrame) -> _Swept:
    """The same for a sweep that is recorded as one table, which has what the runs measured at their end."""
    import polars

    first = arm.composed([0])[0]
    if not isinstance(first, Composed):
        raise first
    metrics = [name for name in dense.columns if "/" in name]
    swept = [name for name in dense.columns if name not in (*metrics, "number", "run", "state", "step")]
    constant = {key: value for key, value in _facts(first, arm).items() if key not in swept}
    seeds = [key for key in dict.fromkeys(("seed", *arm.keys)) if key in swept and _is_seed(key)]
    if seeds:
        words = [polars.format(f"{key}={{}}", polars.col(key)) for key in seeds]
        constant.pop("unit")
        dense = dense.with_columns(polars.concat_str(words, separator=" ").alias("unit"))
    frame = dense.select(
        polars.col("run").str.split("/").list.last(),
        "state",
        *swept,
        *(["unit"] if seeds else []),
        polars.lit(arm.name).alias("arm"),
        *(polars.lit(value).alias(key) for key, value in constant.items()),
    )
    history = dense.select(polars.col("run").str.split("/").list.last(), "step", *metrics)
    return frame, history, [], {}


def _facts(one: Composed, arm: Arm) -> dict[str, Any]:
    """A run's seed, and its keys that the study sets."""
    keys = [key for key in dict.fromkeys(("seed", *arm.keys)) if not key.startswith("hydra")]
    values = {key: _plain(_at(one, key)) for key in keys}
    unit = " ".join(f"{key}={values[key]}" for key in keys if _is_seed(key))
    return {"unit": unit, **values}


def _is_seed(key: str) -> bool:
    return key == "seed" or key.endswith((".seed", "_seed"))


def _at(one: Composed, key: str) -> Any:
    """The value of a dotted key, or the option of a group."""
    if key in one.choices:
        return one.choices[key]
    node: Any = one.config
    for part in key.lstrip("+").split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def _messages(job: SweepJob) -> dict[str, str]:
    """What went wrong, by run id."""
    sweep: Sweep | None = job.sweep
    entries = sweep.entries if sweep else {}
    return {
        str(entries[number].run).rpartition("/")[2]: outcome.message
        for number, outcome in job.outcomes.items()
        if number in entries and outcome.message
    }


def _together(frames: Sequence[polars.DataFrame]) -> polars.DataFrame:
    import polars

    some = [frame for frame in frames if frame.width]
    if not some:
        return polars.DataFrame(schema={"run": polars.String(), "step": polars.Int64()})
    return polars.concat(some, how="diagonal_relaxed")


def _evaluated(claim: Claim, runs: Runs, file: Path) -> Result:
    try:
        return claim.evaluate(runs)
    except UserError as error:
        raise type(error)(f"{file.parent.name}, claim '{claim.text}': {error.message}", error.hint) from error
    except Exception as error:
        where = f"{file.parent.name}, claim '{claim.text}'"
        raise UserError(f"{where}: {type(error).__name__}: {error}", f"It is in {file}.") from error


def _count(arm: Arm) -> str:
    count = len(arm.jobs)
    return f"{count:,} run{'' if count == 1 else 's'}"
