"""Uploading the runs that W&B kept offline."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from expkit.errors import UserError
from expkit.loggers.wandb_server import answers, logged_in
from expkit.loggers.wandb_writer import PENDING
from expkit.records.record import Record
from expkit.records.store import Store

TOGETHER = 32
PATIENCE = {"WANDB__GRAPHQL_RETRY_MAX": "3", "WANDB__FILE_STREAM_RETRY_MAX": "5", "WANDB__FILE_TRANSFER_RETRY_MAX": "3"}
"""W&B's own would try again for hours."""


@dataclass(frozen=True)
class Synced:
    """What became of one kept run: a 'failed' one is kept, and one that is 'running' is uploaded another time."""

    run_id: str
    folder: Path
    status: Literal["uploaded", "failed", "running"]
    message: str = ""
    url: str | None = None


def sync(
    runs: Path,
    which: Sequence[str] | None = None,
    report: Callable[[Synced], None] = lambda synced: None,
    timeout: float = 600.0,
) -> list[Synced]:
    """Uploads, through W&B's own client, the runs that have not been uploaded, or not to their end.

    Args:
        runs: the folder of all records.
        which: only these runs, each given by its folder, its id, or the beginning of its id.
        report: is told of each run when it is done with.
        timeout: seconds for the upload of some runs, after which they have failed.

    Raises:
        UserError: a run of `which` does not exist; there is no login; W&B's server does not answer.
    """
    folders = [Store(runs).find(name).folder for name in which] if which else _folders_with_wandb(runs)
    kept = [folder for folder in dict.fromkeys(folders) if unsynced(folder)]
    running = [folder for folder in kept if Record(folder).is_claimed()]
    done = [Synced(folder.name, folder, "running", "is uploaded once it has ended") for folder in running]
    for synced in done:
        report(synced)
    waiting = [folder for folder in kept if folder not in running]
    if waiting:
        _require_server()
    for start in range(0, len(waiting), TOGETHER):
        for synced in _upload(waiting[start : start + TOGETHER], timeout):
            report(synced)
            done.append(synced)
    return done


def unsynced(folder: Path) -> list[Path]:
    """The folders of W&B that are to be uploaded for one run: the first that was not, and those after it, in order.

    A run that was interrupted and taken up again has several. W&B appends each to those before it, so whatever follows
    one that is uploaded only now has to follow it there as well.
    """
    parts = sorted((folder / "wandb").glob("*run-*-*"), key=lambda part: part.name.removeprefix("offline-"))
    parts = [part for part in parts if not part.is_symlink() and any(part.glob("*.wandb"))]
    first = next((index for index, part in enumerate(parts) if not _is_uploaded(part)), len(parts))
    return parts[first:]


def _is_uploaded(part: Path) -> bool:
    if any(part.glob("*.wandb.synced")):
        return True
    return not part.name.startswith("offline-") and not (part / PENDING).exists()


def _folders_with_wandb(runs: Path) -> list[Path]:
    return sorted(folder.parent.absolute() for folder in Path(runs).glob("*/*/wandb"))


def _require_server() -> None:
    import wandb

    settings = wandb.setup().settings
    if not logged_in(settings):
        raise UserError(
            "W&B does not know who you are.", "Log in with `wandb login`, or set WANDB_API_KEY; then sync again."
        )
    if not answers(settings.base_url, 10.0):
        raise UserError(f"W&B's server {settings.base_url} does not answer.", "All runs stay kept; sync again later.")


def _upload(folders: Sequence[Path], timeout: float) -> Iterator[Synced]:
    """Uploads runs together, which is quicker; then each that is left by itself, as one may have stopped the others."""
    said = _wandb_sync([part for folder in folders for part in unsynced(folder)], timeout)
    left = [folder for folder in folders if unsynced(folder)]
    yield from (_uploaded(folder, said) for folder in folders if folder not in left)
    if len(folders) == 1:
        yield from (Synced(folder.name, folder, "failed", _complaint(said)) for folder in left)
        return
    with ThreadPoolExecutor(max_workers=2) as pool:
        for results in pool.map(lambda folder: list(_upload([folder], timeout)), left):
            yield from results


def _wandb_sync(parts: Sequence[Path], timeout: float) -> str:
    """Runs `wandb sync`, and returns what it said. What it has uploaded it marks by a file `*.wandb.synced`."""
    spoken = {"WANDB_SILENT": "false", "WANDB_QUIET": "false"}
    environment = {"WANDB_ERROR_REPORTING": "false", **PATIENCE, **os.environ, **spoken}
    command = [sys.executable, "-P", "-m", "wandb", "sync", "--include-online", "--include-synced", *map(str, parts)]
    with tempfile.TemporaryDirectory() as elsewhere:  # it leaves a log where it runs
        try:
            done = subprocess.run(
                command,
                cwd=elsewhere,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout,
            )
            said = done.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired:
            said = f"ERROR W&B was not done after {timeout:g} s"
    for part in parts:
        if any(part.glob("*.wandb.synced")):
            (part / PENDING).unlink(missing_ok=True)
    return said


def _uploaded(folder: Path, said: str) -> Synced:
    page = re.search(rf"/{re.escape(folder.name)}\] View run .* at (\S+)", said)
    return Synced(folder.name, folder, "uploaded", url=page[1] if page else None)


def _complaint(said: str) -> str:
    """What W&B's client gave as the reason, as far as it gave one."""
    lines = [line.removeprefix("wandb: ").strip() for line in re.split(r"[\r\n]+", said)]
    errors = [re.sub(r"^(ERROR|Error:)\s*", "", line) for line in lines if re.match("ERROR|Error:", line)]
    errors = [error for error in errors if error != "<no message>" and not error.startswith("Find detailed error logs")]
    return "; ".join(dict.fromkeys(errors)) or "W&B refused it; is the login (`wandb login`) a good one?"
