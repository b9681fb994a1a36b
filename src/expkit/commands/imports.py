"""`expkit import`: runs from a file that `expkit export` has made, wherever it comes from."""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.errors import ConfigError, UserError

if TYPE_CHECKING:
    from expkit.records.bundle import Packed
    from expkit.records.record import Record
    from expkit.records.store import Store

EPILOG = """\
  expkit import both.expkit
  expkit import both.expkit --runs elsewhere
All of the file is checked before anything is taken from it: names, sizes, hashes, kinds of contents. Nothing in it is
executed. A run that is here already with the same contents is left alone. A run whose id is not the one that its
configuration has with the code that is here is marked as foreign: it was made with other code.
"""


def add_import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument("--force", action="store_true", help="replace runs that are here with other contents")
    parser.add_argument("--max-size", metavar="SIZE", default="4G", help="largest unpacked size (default: 4G)")
    parser.add_argument("--runs", metavar="DIR", help="where records go (default: $EXPKIT_RUNS, or ./runs)")


def import_(options: argparse.Namespace) -> None:
    from expkit.records.store import Store

    taken = take_in(options.file, Store(options.runs), _bytes(options.max_size), options.force)
    if options.json:
        fields = [{**record.as_json(), "taken": new, "same_code": _same_code(record)} for record, new in taken]
        print(json.dumps(fields, indent=2))
        return
    for record, new in taken:
        print(f"{record.experiment} {record.run_id}  {'imported' if new else 'is here already'}")
        if new and not _same_code(record):
            print("  foreign: with the code that is here, its configuration has another id")


def take_in(file: Path, store: Store, largest: int, force: bool = False) -> list[tuple[Record, bool]]:
    """Adds a file's runs to a store: all of them, or none.

    Args:
        file: of unknown origin.
        store: where the records go.
        largest: bytes that it may have unpacked.
        force: replace runs that are there with other contents.

    Returns:
        Each run's record, and whether it is new.

    Raises:
        UserError: something about the file is wrong, or a run is there with other contents.
    """
    from expkit.records.bundle import unpack

    try:
        store.root.mkdir(parents=True, exist_ok=True)
        # In the store, so that files only have to be renamed; too deep to be taken for a record.
        with tempfile.TemporaryDirectory(dir=store.root, prefix=".import-") as staging:
            packed = unpack(file, Path(staging) / "runs", largest)
            new = [_is_new(run, store.record(run.experiment, run.run_id), force) for run in packed]
            return [
                (_take(run, store) if own else store.record(run.experiment, run.run_id), own)
                for run, own in zip(packed, new, strict=True)
            ]
    except OSError as error:
        raise UserError(f"Runs cannot be recorded in {store.root}: {error.strerror or error}.") from error


def _is_new(packed: Packed, record: Record, force: bool) -> bool:
    from expkit.records.bundle import same_as

    if not (record.folder / "config.yaml").exists() and not (record.folder / "status.json").exists():
        return True
    if record.state == "running":
        raise UserError(f"Run {record.run_id} is being run here.", "Wait for its end, or stop it.")
    if record.state != "damaged" and same_as(packed, record):
        return False
    if not force:
        raise UserError(
            f"Run {record.run_id} is here already, with other contents: {record.folder}.",
            "--force replaces it; --runs DIR imports into another folder.",
        )
    return True


def _take(packed: Packed, store: Store) -> Record:
    from expkit.records.bundle import place

    record = store.record(packed.experiment, packed.run_id)
    with record.claim(waiting=_busy):
        record.clear()
        for name in ("config.yaml", "environment.json"):
            (record.folder / name).unlink(missing_ok=True)
        place(packed, record, _has_same_code(packed))
    return record


def _has_same_code(packed: Packed) -> bool:
    """Whether the configuration has the run's id with the code that is here."""
    from expkit.identity import run_id
    from expkit.records.record import Record

    try:
        return run_id(Record(packed.folder).config) == packed.run_id
    except UserError:  # it names code that is not here
        return False


def _same_code(record: Record) -> bool:
    return bool((record.status.get("imported") or {"same_code": True}).get("same_code"))


def _busy(status: dict[str, Any]) -> None:
    raise UserError("A run of the file is being run here.", "Wait for its end, or stop it.")


def _bytes(size: str) -> int:
    """The number of bytes that '500M' or '4G' stands for."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKMGT]?)(?:i?B)?", size)
    if match is None:
        raise ConfigError(f"--max-size={size} is not a size.", "Write, for example, 500M or 4G.")
    return int(float(match[1]) * 1024 ** " kMGT".index(match[2].replace("K", "k") or " "))
