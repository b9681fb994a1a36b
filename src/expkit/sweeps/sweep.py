"""A sweep on disk: what it runs, under which numbers, and how far it is."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from expkit.errors import ConfigError, UserError, did_you_mean
from expkit.records.files import read_json, write_json
from expkit.records.record import Record
from expkit.records.store import Store

FOLDER = ".sweeps"

NOT_OF_THE_DEFINITION = ("paths", "sweep", "logger", "hydra/launcher", "hydra.launcher", "hydra.sweeper.n_trials")
"""Overrides that say where and how a sweep is run and recorded, or how long a search goes on, not what it runs."""


def sweep_id(name: str, overrides: Sequence[str]) -> str:
    """The same for the same command: the name of what is run, and a hash of the overrides that say so."""
    digest = hashlib.blake2b(json.dumps(defining(overrides)).encode(), digest_size=4).hexdigest()
    return f"{name.replace(',', '+')}-{digest}"


def defining(overrides: Sequence[str]) -> list[str]:
    """Those of a sweep's or a job's overrides that say what is run."""
    return [override for override in overrides if not _is_beside(override.lstrip("+~").partition("=")[0])]


def _is_beside(key: str) -> bool:
    # A trial's number is what tells it from another with the same values.
    return not key.startswith("sweep.trial.") and any(
        key == top or key.startswith((f"{top}.", f"{top}/")) for top in NOT_OF_THE_DEFINITION
    )


@dataclass(frozen=True)
class Entry:
    """One job of a sweep: its overrides, and its run as `<experiment>/<run id>`; None if it cannot be composed."""

    number: int
    overrides: tuple[str, ...]
    run: str | None


class Sweep:
    """`runs/.sweeps/<sweep id>/`: sweep.json (what and how far), jobs.jsonl (a line for each job), events/."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries: dict[int, Entry] | None = None

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def runs(self) -> Path:
        """The run store that the sweep belongs to."""
        return self.folder.parents[1]

    @property
    def events(self) -> Path:
        return self.folder / "events"

    @property
    def info(self) -> dict[str, Any]:
        """What sweep.json says; 'running' becomes 'interrupted' where no process works on the sweep any more."""
        info = read_json(self.folder / "sweep.json") or {}
        if info.get("state") == "running" and not self._is_claimed():
            info["state"] = "interrupted"
        return info

    @property
    def entries(self) -> Mapping[int, Entry]:
        """The jobs by number."""
        if self._entries is None:
            self._entries = {entry.number: entry for entry in self._read()}
        return self._entries

    def record(self, entry: Entry) -> Record | None:
        return None if entry.run is None else Record((self.runs / entry.run).absolute())

    def states(self) -> dict[int, str]:
        """The state of every job: that of its record, 'waiting' where there is none yet, 'failed' without a run."""
        states = {}
        for number, entry in self.entries.items():
            record = self.record(entry)
            exists = record is not None and (record.folder / "status.json").exists()
            states[number] = record.state if record and exists else "failed" if entry.run is None else "waiting"
        return states

    # What follows is for the one process that works on the sweep.

    @contextmanager
    def claim(self, patience: float = 0.0) -> Iterator[None]:
        """Makes this process the only one that works on the sweep.

        Args:
            patience: seconds to wait for another one that does.

        Raises:
            UserError: another one does.
            ConfigError: the folder cannot be written.
        """
        lock = self._lock()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=patience)
        except Timeout:
            pid = (read_json(self.folder / "sweep.json") or {}).get("pid")
            raise UserError(
                f"Sweep {self.id} is being run by process {pid} now.", f"`expkit sweeps {self.id}` shows how far it is."
            ) from None
        except OSError as error:
            raise ConfigError(
                f"Sweeps cannot be recorded in {self.folder}: {error.strerror or error}.",
                "Choose another folder with --runs DIR, or the variable EXPKIT_RUNS.",
            ) from error
        try:
            yield
        finally:
            lock.release()

    def begin(self, **facts: Any) -> None:
        """Says that this process works on the sweep; `facts` say what it is."""
        before = read_json(self.folder / "sweep.json") or {}
        self._write({**before, **facts, "state": "running", "pid": os.getpid(), "resumed": _now()}, before)

    def finish(self, state: str, **facts: Any) -> None:
        """Says how it ended."""
        before = read_json(self.folder / "sweep.json") or {}
        self._write({**before, **facts, "state": state, "ended": _now()}, before)

    def define(self, jobs: Sequence[Sequence[str]], named: bool) -> str | None:
        """Compares all jobs that a command names with those the sweep has had so far.

        Args:
            jobs: the overrides of each.
            named: the user has given the sweep its name, and so meant this very sweep.

        Returns:
            What there is to say about a difference; None if there is none, or nothing was recorded yet.

        Raises:
            ConfigError: a sweep of this name has other jobs.
        """
        before = Counter(entry.overrides for entry in self.entries.values())
        if not before:
            return None
        now = Counter(map(tuple, jobs))
        gone, new = before - now, now - before
        if gone and named:
            raise ConfigError(
                f"Sweep '{self.id}' has {runs(gone.total())} not named by this command, such as "
                f"{_brief(next(iter(gone)), jobs)}.",
                "A sweep can be extended, not changed: give this one another sweep.name "
                f"(runs that both have are not repeated), or go on with the old one: expkit resume {self.id}.",
            )
        if gone:
            self._forget(gone)
            return f"the command names other runs than before: {gone.total()} gone, {new.total()} new"
        return f"the sweep is extended by {runs(new.total())} to {now.total()}" if new else None

    def number(self, jobs: Sequence[Sequence[str]]) -> list[int]:
        """The numbers of jobs: those they have had before, and new ones for the others."""
        known: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for entry in sorted(self.entries.values(), key=lambda entry: -entry.number):
            known[entry.overrides].append(entry.number)
        following = max(self.entries, default=-1) + 1
        numbers = []
        for job in map(tuple, jobs):
            if known[job]:
                numbers.append(known[job].pop())
            else:
                numbers.append(following)
                following += 1
        return numbers

    def add(self, entries: Sequence[Entry]) -> int:
        """Writes jobs down; returns how many were there before with another run: their code or settings changed."""
        new = [entry for entry in entries if self.entries.get(entry.number) != entry]
        changed = [
            entry for entry in new if (old := self.entries.get(entry.number)) and old.run not in (None, entry.run)
        ]
        lines = [
            json.dumps({"number": entry.number, "run": entry.run, "overrides": entry.overrides}) + "\n" for entry in new
        ]
        with (self.folder / "jobs.jsonl").open("a") as file:
            if file.tell():
                file.write("\n")  # ends a line that a killed process did not finish
            file.write("".join(lines))
            file.flush()
            os.fsync(file.fileno())
        self._entries = {**self.entries, **{entry.number: entry for entry in new}}
        return len(changed)

    def _forget(self, gone: Counter[tuple[str, ...]]) -> None:
        left = Counter(gone)
        kept = []
        for entry in self.entries.values():
            if left[entry.overrides] > 0:
                left[entry.overrides] -= 1
            else:
                kept.append(entry)
        (self.folder / "jobs.jsonl").unlink()
        self._entries = {}
        self.add(kept)

    def _read(self) -> Iterator[Entry]:
        try:
            lines = (self.folder / "jobs.jsonl").read_bytes().splitlines()
        except OSError:
            return
        for line in lines:
            try:
                job = json.loads(line)
                yield Entry(job["number"], tuple(job["overrides"]), job["run"])
            except (ValueError, KeyError, TypeError):
                continue  # a line that a killed process did not finish

    def _write(self, info: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        write_json(self.folder / "sweep.json", {"sweep": self.id, "started": before.get("started") or _now(), **info})

    def _lock(self) -> FileLock:
        return FileLock(self.folder / ".lock", thread_local=False)

    def _is_claimed(self) -> bool:
        lock = self._lock()
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            return True
        lock.release()
        return False


def sweeps(store: Store) -> list[Sweep]:
    """All sweeps of a run store, the one that was started last first."""
    files = (store.root / FOLDER).glob("*/sweep.json")
    return [Sweep(path.parent) for path in sorted(files, key=lambda path: -path.stat().st_mtime)]


def find(store: Store, which: str) -> Sweep:
    """A sweep by its name, or a part of it that no other has.

    Raises:
        UserError: there is none, or more than one.
    """
    known = {sweep.id: sweep for sweep in sweeps(store)}
    if which in known:
        return known[which]
    found = [name for name in known if which in name]
    if len(found) == 1:
        return known[found[0]]
    if found:
        raise UserError(f"'{which}' is a part of the names of {len(found)} sweeps.", _listed(found))
    raise UserError(
        f"There is no sweep '{which}' in {store.root}.",
        did_you_mean(which, known) or "`expkit sweeps` lists them; --runs DIR looks elsewhere.",
    )


def varied(jobs: Iterable[Sequence[str]]) -> set[str]:
    """The overrides that not all jobs share."""
    each = [frozenset(job) for job in jobs]
    return set(frozenset().union(*each) - each[0].intersection(*each)) if len(each) > 1 else set()


def runs(count: int) -> str:
    """1 run, 2,000 runs."""
    return f"{count:,} run{'' if count == 1 else 's'}"


def _brief(job: Sequence[str], jobs: Sequence[Sequence[str]]) -> str:
    shared = set.intersection(*map(set, jobs)) if jobs else set()
    return " ".join(override for override in job if override not in shared) or " ".join(job)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "") + "."


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
