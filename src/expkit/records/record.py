"""One run's record: a folder that is the truth about it."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from expkit import launch, yaml_files
from expkit.errors import ConfigError, UserError
from expkit.records.arrays import ARRAYS, read_arrays
from expkit.records.files import read_json, remove_leftovers, write_json, write_text
from expkit.records.metrics import read

if TYPE_CHECKING:
    import polars
    from numpy.typing import NDArray

FINISHED = ("complete", "diverged")
"""States that running again does not change."""
RESULTS = ("config.yaml", "metrics.parquet", ARRAYS, "summary.json")
"""The files that say what was run and what came of it."""
HASHED = 2**20
"""Bytes; what is smaller is read whenever somebody asks whether a record is whole."""
STATES = (*FINISHED, "running", "interrupted", "pruned", "failed", "damaged")


class Record:
    """`runs/<experiment>/<run id>/`, for reading, and for the one process that holds its claim, for writing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def run_id(self) -> str:
        return self.folder.name

    @property
    def experiment(self) -> str:
        return self.folder.parent.name

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration.

        Raises:
            UserError: the file is missing or damaged.
        """
        try:
            config = yaml_files.read(self.folder / "config.yaml")
        except ConfigError as error:
            raise UserError(f"The record {self.folder} has no readable config.yaml: {error.message}") from error
        if not isinstance(config, dict):
            raise UserError(f"The record {self.folder} has no readable config.yaml: it is not a mapping.")
        return config

    @property
    def status(self) -> dict[str, Any]:
        """The contents of status.json.

        'running' becomes 'interrupted' where no process holds the run any more, and a finished run is 'damaged' where
        its files are not those that it left.
        """
        status = read_json(self.folder / "status.json") or {}
        if status.get("status") not in STATES:
            return _damaged("status.json is not readable")
        if status["status"] == "running" and not self.is_claimed():
            status["status"] = "interrupted"
        if status["status"] in FINISHED and (wrong := altered(self.folder, status.get("written"))):
            return {**status, **_damaged(wrong)}
        return status

    @property
    def state(self) -> str:
        return str(self.status["status"])

    @property
    def is_finished(self) -> bool:
        """Whether running again would change nothing."""
        return self.state in FINISHED

    @property
    def summary(self) -> dict[str, Any]:
        """The last value of every metric, by name, and the last step."""
        return read_json(self.folder / "summary.json") or {}

    @property
    def metrics(self) -> polars.DataFrame:
        """One row per logged step: column 'step', and one per metric."""
        return read(self.metrics_file)

    @property
    def metrics_file(self) -> Path:
        return self.folder / "metrics.parquet"

    @property
    def arrays(self) -> dict[str, NDArray]:
        """What probes and computations kept that is no number, by name; nothing where they kept none."""
        return read_arrays(self.folder)

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint, where there is one."""
        return self.folder / "checkpoints" / "last.ckpt"

    def as_json(self) -> dict[str, Any]:
        """The stable fields that every `--json` output uses for a run."""
        status = self.status
        return {
            "run_id": self.run_id,
            "experiment": self.experiment,
            "status": status["status"],
            "path": str(self.folder),
            "summary": self.summary,
            **({"error": status["error"]["message"]} if status.get("error") else {}),
        }

    # What follows is for the process that holds the claim.

    @contextmanager
    def claim(self, waiting: Callable[[dict[str, Any]], None]) -> Iterator[None]:
        """Makes this process the only one that runs this run; waits for another that does.

        The operating system ends a claim with its process, so that a killed run can be taken up at once.

        Raises:
            ConfigError: the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self._lock()
            try:
                lock.acquire(timeout=0)
            except Timeout:
                waiting(self.status)
                lock.acquire()
        except OSError as error:
            raise ConfigError(
                f"Runs cannot be recorded in {self.folder}: {error.strerror or error}.",
                "Choose another folder with --runs DIR, or the variable EXPKIT_RUNS.",
            ) from error
        try:
            remove_leftovers(self.folder)
            yield
        finally:
            lock.release()

    def is_claimed(self) -> bool:
        """Whether some process is running this run now."""
        if not (self.folder / ".lock").exists():
            return False
        lock = self._lock()
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            return True
        lock.release()
        return False

    def clear(self) -> None:
        """Forgets all results; first of all that there are any, lest half of them pass for a finished run."""
        for name in ("status.json", "summary.json", "metrics.parquet", ARRAYS, "wandb.json"):
            (self.folder / name).unlink(missing_ok=True)
        for name in ("checkpoints", "wandb", "csv", "tensorboard", "figures"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def begin(self, config: Mapping[str, Any], overrides: list[str], choices: Mapping[str, str] | None = None) -> None:
        """Says that the run is being run by this process.

        Args:
            config: resolved.
            overrides: as the user gave them.
            choices: the option that was chosen of each group.
        """
        before = read_json(self.folder / "status.json") or {}
        write_text(self.folder / "config.yaml", yaml_files.written(config))
        self._write_status(
            status="running",
            overrides=overrides,
            choices=dict(choices or {}),
            started=before.get("started") or _now(),
            attempts=before.get("attempts", 0) + 1,
            seconds=before.get("seconds", 0.0),
            pid=os.getpid(),
            launch=launch.name(),
            error=None,
            written=None,
        )
        self._began = time.monotonic()

    def write_environment(self, facts: dict[str, Any]) -> None:
        write_json(self.folder / "environment.json", facts)

    def finish(self, state: str, summary: Mapping[str, Any], error: BaseException | None = None) -> None:
        """Says how the run ended. Written last: a run is complete only if everything else is on disk."""
        write_json(self.folder / "summary.json", dict(summary))
        status = read_json(self.folder / "status.json") or {}
        seconds = status.get("seconds", 0.0) + time.monotonic() - self._began
        self._write_status(
            **{
                **status,
                "status": state,
                "seconds": round(seconds, 3),
                "ended": _now(),
                "error": None if error is None else _described(error),
                "written": written(self.folder),
            }
        )

    def _write_status(self, **fields: Any) -> None:
        fields.pop("run_id", None)
        write_json(self.folder / "status.json", {"run_id": self.run_id, **fields})

    def _lock(self) -> FileLock:
        return FileLock(self.folder / ".lock", thread_local=False)


def written(folder: Path) -> dict[str, str]:
    """What there is of a run's configuration and results, by name, each with a fingerprint of its contents."""
    return {name: found for name in RESULTS if (found := _fingerprint(f"{folder}/{name}"))}


def altered(folder: Path | str, before: Any) -> str | None:
    """What is not as `written` has found it, in words; None where all is, or where nobody has looked (None)."""
    for name, found in (before if isinstance(before, dict) else {}).items():
        now = _fingerprint(f"{folder}/{name}") if name in RESULTS else found
        if now != found:
            return f"{name} is not what the run wrote" if now else f"{name} is missing"
    return None


def _fingerprint(path: str) -> str:
    """A hash; of a large file its size, for its readers check its contents. Nothing where there is no file."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            return hashlib.blake2b(file.read(), digest_size=8).hexdigest() if size < HASHED else f"{size} bytes"
    except OSError:
        return ""


def _damaged(wrong: str) -> dict[str, Any]:
    return {"status": "damaged", "error": {"message": f"the record is damaged: {wrong}"}}


def _described(error: BaseException) -> dict[str, str]:
    return {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
