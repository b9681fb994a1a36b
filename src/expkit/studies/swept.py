"""One arm of a study: its sweep, and what that has measured, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from expkit.compose import Composed
from expkit.identity import run_ids
from expkit.overrides import recorded_in
from expkit.records.record import Record
from expkit.records.store import Store
from expkit.studies.plan import Arm
from expkit.studies.runs import ENDED
from expkit.sweeps.dense import rows
from expkit.sweeps.executors.processes import ENDING
from expkit.sweeps.multirun import multirun
from expkit.sweeps.sweep_job import Flags, SweepJob

if TYPE_CHECKING:
    import polars

    from expkit.sweeps.sweep import Sweep


@dataclass(frozen=True)
class Failed:
    """A run that has no result."""

    arm: str
    overrides: str
    message: str


@dataclass(frozen=True)
class Swept:
    """What an arm has come to.

    Args:
        frame: one row a run, as `Runs` wants it.
        history: one row for each run and logged step.
        failed: runs without a result.
        records: by run, where they have one.
    """

    frame: polars.DataFrame
    history: polars.DataFrame
    failed: list[Failed]
    records: dict[str, Record]


@dataclass(frozen=True)
class Sweeping:
    """Runs what is missing of an arm; can be sent to another process.

    Args:
        store: where its runs are recorded.
        flags: of its sweep.
        given: further overrides that say how it is run, not what.
    """

    store: Store
    flags: Flags
    given: tuple[str, ...] = ()

    def __call__(self, arm: Arm) -> Swept:
        # A worker whose study was killed saves for a moment, and has the arm's sweep until then.
        flags = replace(self.flags, patience=ENDING)
        logger = [] if any(o.lstrip("+~").startswith("logger") for o in arm.overrides) else ["logger=none"]
        overrides = [*arm.overrides, *self.given, *logger, recorded_in(self.store.root)]
        job = SweepJob(overrides, flags)
        multirun(overrides, job)
        assert job.sweep is not None
        dense = rows(job.sweep)
        return _of_folders(arm, self.store, job) if dense is None else _of_table(arm, dense)


def _of_folders(arm: Arm, store: Store, job: SweepJob) -> Swept:
    import polars

    names = iter(run_ids([one.config for _, one in job.composed if isinstance(one, Composed)]))
    found: list[dict[str, Any]] = []
    histories: list[polars.DataFrame] = []
    failed: list[Failed] = []
    records: dict[str, Record] = {}
    why = _messages(job)
    for number, (overrides, one) in enumerate(job.composed):
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
    return Swept(polars.from_dicts(found, infer_schema_length=None), together(histories), failed, records)


def _of_table(arm: Arm, dense: polars.DataFrame) -> Swept:
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
    return Swept(frame, history, [], {})


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


def together(frames: Sequence[polars.DataFrame]) -> polars.DataFrame:
    """Tables with some of their columns in common, one below the other."""
    import polars

    some = [frame for frame in frames if frame.width]
    if not some:
        return polars.DataFrame(schema={"run": polars.String(), "step": polars.Int64()})
    return polars.concat(some, how="diagonal_relaxed")
