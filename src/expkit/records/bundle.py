"""Runs in one file, to be read elsewhere: a gzipped tar archive that names every file with its size and hash.

    manifest.json                                  the first member: what follows, and the format's number
    <experiment>/<run id>/config.yaml              the configuration, without where records are kept
    <experiment>/<run id>/environment.json         packages, Python, hardware; no folders, no host name
    <experiment>/<run id>/code.diff                uncommitted changes, where there were any
    <experiment>/<run id>/metrics.parquet, summary.json, status.json, arrays.npz,
        checkpoints/last.ckpt, checkpoints/best.ckpt

The same run gives the same bytes. An archive from elsewhere is not trusted: nothing of it is written outside a staging
folder before all of it has been checked, and nothing in it is ever executed.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import yaml

from expkit import yaml_files
from expkit.errors import UserError
from expkit.harmless import NO_TEXT
from expkit.records.arrays import ARRAYS, read_arrays
from expkit.records.files import read_json, replacing, write_json, write_text
from expkit.records.foreign_tables import first_fault
from expkit.records.record import STATES, Record, written

FORMAT = 1
MANIFEST = "manifest.json"
TEXTS = ("config.yaml", "environment.json", "code.diff", "summary.json", "status.json")
CHECKPOINTS = ("checkpoints/last.ckpt", "checkpoints/best.ckpt")
METRICS = "metrics.parquet"
FILES = (*TEXTS, METRICS, ARRAYS, *CHECKPOINTS)
"""All that a run has in an archive. What loggers and callbacks wrote stays at home."""

LARGEST_TEXT = 16 * 2**20  # bytes, of one of TEXTS and of the manifest
LARGEST_CONFIG = 2**20  # bytes, of config.yaml: YAML takes its time
LARGEST_NAME = 2**12  # bytes, of a name in a header of its own
LARGEST_DIRECTORY = 2**22  # bytes, of a zip file
LARGEST_PADDING = 2**20  # bytes behind the last member
LARGEST_ARRAYS = 2**30  # bytes that arrays.npz unpacks to


@dataclass(frozen=True)
class Packed:
    """A run of an archive.

    Args:
        folder: with its files, in the staging folder.
        files: the hash of each file.
    """

    experiment: str
    run_id: str
    folder: Path
    files: Mapping[str, str]


def pack(records: Sequence[Record], target: Path, checkpoint: bool = True) -> None:
    """Writes runs to a file.

    Args:
        records: of runs that no process is running.
        target: the file.
        checkpoint: whether to put their checkpoints in.

    Raises:
        UserError: a run is going on, or its record is damaged.
    """
    contents = {f"{r.experiment}/{r.run_id}": content(r, checkpoint) for r in sorted(records, key=_place)}
    manifest = {
        "format": FORMAT,
        "runs": [
            {
                "experiment": name.partition("/")[0],
                "run_id": name.partition("/")[2],
                "files": {file: {"size": _size(data), "sha256": _hash(data)} for file, data in files.items()},
            }
            for name, files in contents.items()
        ],
    }
    with (
        replacing(target) as aside,
        aside.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        _add(archive, MANIFEST, _json(manifest))
        for name, files in contents.items():
            for file, data in files.items():
                _add(archive, f"{name}/{file}", data)


def content(record: Record, checkpoint: bool = True) -> dict[str, bytes | Path]:
    """The files of a run as an archive has them: bytes, or the file that has them.

    Raises:
        UserError: the run is going on, or its record is damaged.
    """
    state = record.state
    if state in ("running", "damaged"):
        raise UserError(
            f"Run {record.run_id} is {state}.",
            "Wait for its end, or stop it." if state == "running" else f"See {record.folder}.",
        )
    status = {key: value for key, value in (read_json(record.folder / "status.json") or {}).items() if key not in HERE}
    status["status"] = state
    status["overrides"] = [
        o for o in status.get("overrides", []) if not o.lstrip("+~").startswith(("paths", "sweep.trial"))
    ]
    environment = {k: v for k, v in (read_json(record.folder / "environment.json") or {}).items() if k not in HERE}
    environment["command"] = [_without_folders(word) for word in environment.get("command", [])]
    git = environment.get("git")
    changes = git.pop("diff", "") if git else ""
    if status.get("error"):
        status["error"] = {key: _without_folders(text) for key, text in status["error"].items()}
    config = {**record.config, "paths": {"runs": "runs"}}
    if (config.get("sweep") or {}).get("trial"):
        config["sweep"] = {**config["sweep"], "trial": dict.fromkeys(config["sweep"]["trial"])}  # a search's database
    files: dict[str, bytes | Path] = {
        "config.yaml": yaml_files.written(config).encode(),
        "environment.json": _json(environment),
    }
    if changes:
        files["code.diff"] = changes.encode(errors="replace")
    kept = (METRICS, ARRAYS, *(CHECKPOINTS if checkpoint else ()))
    files |= {name: record.folder / name for name in kept if (record.folder / name).is_file()}
    for name in files:
        if (record.folder / name).is_symlink() or (record.folder / name).parent.is_symlink():
            raise UserError(f"{record.folder / name} is a link.", "What it leads to may be no part of the run.")
    return {**files, "summary.json": _json(record.summary), "status.json": _json(status)}


HERE = frozenset({"folder", "host", "pid", "imported", "written"})
"""What a record says about the machine, the process and the files that it was made by, and nobody else has to know."""


def unpack(archive: Path, staging: Path, largest: int) -> list[Packed]:
    """Reads an archive of unknown origin into an empty folder and checks everything about it.

    Args:
        archive: the file.
        staging: the folder.
        largest: bytes that the archive may have unpacked.

    Raises:
        UserError: it is not what `pack` writes, is damaged, or is larger than that.
    """
    try:
        with archive.open("rb") as raw, gzip.GzipFile(fileobj=raw) as stream:
            limited = _Limited(stream, largest)
            with tarfile.open(fileobj=limited, mode="r|", tarinfo=_PlainMember) as members:
                found = _extract(members, staging, largest)
            limited.drain()
    except OSError as error:
        raise _refusal(f"{error.strerror or error}") from error
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError, RecursionError) as error:
        raise _refusal(f"it is damaged, or no such file at all ({error})") from error
    for packed in found:
        _check(packed)
    _check_metrics(found)
    return found


def same_as(packed: Packed, record: Record) -> bool:
    """Whether a record that is there has the archive's files; its checkpoints may be missing in the archive."""
    if record.state in ("running", "damaged"):
        return False
    there = {name: _hash(data) for name, data in content(record).items()}
    return dict(packed.files) == {
        name: h for name, h in there.items() if name in packed.files or name not in CHECKPOINTS
    }


def place(packed: Packed, record: Record, same_code: bool) -> None:
    """Makes an archive's run a record; the status, which makes it one, is written last.

    Args:
        packed: checked by `unpack`.
        record: where it goes; the caller holds its claim, and has cleared it.
        same_code: whether the run id is the one that the configuration has with the code that is here.
    """
    for name in packed.files:
        if name not in ("status.json", "environment.json", "code.diff"):
            (record.folder / name).parent.mkdir(exist_ok=True)
            (packed.folder / name).replace(record.folder / name)
    if (environment := read_json(packed.folder / "environment.json")) is not None:
        if environment.get("git"):
            changes = packed.folder / "code.diff"
            environment["git"]["diff"] = changes.read_bytes().decode() if changes.exists() else ""
        write_text(record.folder / "environment.json", _json(environment).decode())
    status = read_json(packed.folder / "status.json") or {}
    here = {"imported": {"same_code": same_code}, "written": written(record.folder)}
    write_json(record.folder / "status.json", {**status, **here})


class _Limited(io.RawIOBase):
    """A stream that refuses to be longer than it may be, however little of it is stored."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self._stream = stream
        self._limit = self._left = limit

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            raise ValueError("read in pieces")
        data = self._stream.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise _too_large(self._limit)
        return data

    def drain(self) -> None:
        """Reads on to the end, where the whole is checked against its checksum."""
        if len(self.read(LARGEST_PADDING)) == LARGEST_PADDING:
            raise _refusal("there is more behind its last file")


class _PlainMember(tarfile.TarInfo):
    """A header of a plain file, or of the long name of one; what else there may be is refused before it is read."""

    def _proc_member(self, members: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type == tarfile.GNUTYPE_LONGNAME and self.size <= LARGEST_NAME:
            pass
        elif self.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise _refusal(f"{self.name} is not a plain file")
        found: tarfile.TarInfo = super()._proc_member(members)  # type: ignore[misc]
        return found


def _extract(members: tarfile.TarFile, staging: Path, largest: int) -> list[Packed]:
    first = members.next()
    if first is None or first.name != MANIFEST:
        raise _refusal("it does not begin with a manifest")
    declared = _declared(_manifest(_bytes(members, first, LARGEST_TEXT)), staging)
    expected = {f"{p.experiment}/{p.run_id}/{name}": (p, name, facts) for p, files in declared for name, facts in files}
    if sum(facts["size"] for _, _, facts in expected.values()) > largest:
        raise _too_large(largest)
    for member in _following(members):
        if member.name not in expected:
            raise _refusal(f"{member.name!r} is not in its manifest, or is there twice")
        packed, name, facts = expected.pop(member.name)
        if member.size != facts["size"]:
            raise _refusal(f"{member.name} does not have the size that the manifest says")
        if member.size > {"config.yaml": LARGEST_CONFIG}.get(name, LARGEST_TEXT if name in TEXTS else largest):
            raise _refusal(f"{member.name} is larger than such a file can be")
        target = packed.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if _copy(members, member, target) != facts["sha256"]:
            raise _refusal(f"{member.name} does not have the content that the manifest says (SHA-256)")
    if expected:
        raise _refusal(f"{next(iter(expected))} is missing")
    return [packed for packed, _ in declared]


def _following(members: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := members.next()) is not None:
        members.members.clear()  # type: ignore[attr-defined]  # which would grow with a hostile archive
        yield member


def _manifest(data: bytes) -> dict[str, Any]:
    manifest = _parsed(MANIFEST, data, json.loads)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise _refusal("its manifest is not one")
    if manifest["format"] != FORMAT:
        raise UserError(
            f"The file has format {manifest['format']}; this expkit reads format {FORMAT}.", "Use another version."
        )
    return manifest


def _declared(manifest: Mapping[str, Any], staging: Path) -> list[tuple[Packed, list[tuple[str, dict[str, Any]]]]]:
    """The runs of a manifest, each with its files; every name is one that could be in a run store, and nothing else."""
    runs = manifest.get("runs")
    if not isinstance(runs, list) or not runs:
        raise _refusal("its manifest lists no runs")
    found = []
    for run in runs:
        run = run if isinstance(run, dict) else {}
        experiment, run_id, files = run.get("experiment"), run.get("run_id"), run.get("files")
        if not isinstance(experiment, str) or not re.fullmatch(r"\w[\w.-]{0,99}", experiment):
            raise _refusal(f"{experiment!r} is not the name of an experiment")
        if not isinstance(run_id, str) or not re.fullmatch("[0-9a-f]{12}", run_id):
            raise _refusal(f"{run_id!r} is not a run id")
        if not isinstance(files, dict) or not {"config.yaml", "status.json"} <= files.keys() <= set(FILES):
            raise _refusal(f"run {run_id} does not have the files of a run")
        for facts in files.values():
            size = facts.get("size") if isinstance(facts, dict) else None
            if type(size) is not int or size < 0 or not isinstance(facts.get("sha256"), str):
                raise _refusal(f"the files of run {run_id} have no size or no hash")
        hashes = {name: facts["sha256"] for name, facts in files.items()}
        found.append((Packed(experiment, run_id, staging / experiment / run_id, hashes), list(files.items())))
    if len({(packed.experiment, packed.run_id) for packed, _ in found}) != len(found):
        raise _refusal("it has a run twice")
    return found


def _bytes(members: tarfile.TarFile, member: tarfile.TarInfo, largest: int) -> bytes:
    if member.size > largest:
        raise _refusal(f"{member.name} is larger than such a file can be")
    return _opened(members, member).read()


def _opened(members: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = members.extractfile(member)
    assert file is not None
    return file


def _copy(members: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> str:
    digest = hashlib.sha256()
    with _opened(members, member) as source, target.open("xb") as copy:
        while piece := source.read(2**20):
            digest.update(piece)
            copy.write(piece)
    return digest.hexdigest()


def _check(packed: Packed) -> None:
    """Refuses contents that the readers of records would stumble over."""
    config = _read(packed, "config.yaml", _yaml)
    if config.get("name") != packed.experiment:
        raise _refusal(f"the configuration of run {packed.run_id} is not one of {packed.experiment}")
    if not isinstance(config.get("trainer"), dict) or not isinstance(config.get("seed"), int):
        raise _refusal(f"the configuration of run {packed.run_id} is not that of a run")
    status = _read(packed, "status.json", json.loads)
    error = status.get("error")
    if (
        status.get("run_id") != packed.run_id
        or status.get("status") not in [state for state in STATES if state not in ("running", "damaged")]
        or not isinstance(status.get("seconds", 0.0), int | float)
        or not isinstance(status.get("attempts", 1), int)
        or not all(status.get(key) is None or _is_time(status[key]) for key in ("started", "ended"))
        or not _is_list_of_text(status.get("overrides", []))
        or not _is_choices(status.get("choices"))
        or not (error is None or (isinstance(error, dict) and all(isinstance(v, str) for v in error.values())))
        or (error is not None and "message" not in error)
    ):
        raise _refusal(f"the status of run {packed.run_id} is not that of a run")
    summary = _read(packed, "summary.json", json.loads)
    if not all(value is None or isinstance(value, int | float) for value in summary.values()):
        raise _refusal(f"the summary of run {packed.run_id} has more than numbers")
    environment = _read(packed, "environment.json", json.loads)
    git = environment.get("git") or {}
    if not isinstance(git, dict) or not isinstance(environment.get("packages") or {}, dict):
        raise _refusal(f"the environment of run {packed.run_id} is not that of a run")
    if not isinstance(git.get("commit", ""), str) or not _is_list_of_text(git.get("untracked", [])):
        raise _refusal(f"the environment of run {packed.run_id} is not that of a run")
    if "code.diff" in packed.files:
        _parsed("code.diff", (packed.folder / "code.diff").read_bytes(), bytes.decode)
    if ARRAYS in packed.files:
        _check_arrays(packed)
    for name in CHECKPOINTS:
        if name in packed.files:
            _check_checkpoint(packed, name)


def _is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _is_choices(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(isinstance(v, str | None) for v in value.values()))


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _read(packed: Packed, name: str, parse: Any) -> dict[str, Any]:
    """A text file of a run as a mapping without surprises; empty where the run has no such file."""
    if name not in packed.files:
        return {}
    value = _parsed(name, (packed.folder / name).read_bytes(), parse)
    if not isinstance(value, dict):
        raise _refusal(f"{name} of run {packed.run_id} is not a mapping")
    _check_values(value, f"{name} of run {packed.run_id}")
    return value


def _parsed(name: str, data: bytes, parse: Any) -> Any:
    try:
        return parse(data)
    except Exception as error:  # parsers raise nearly anything, as YAML's for `!!int ''`
        raise _refusal(f"{name} cannot be read ({str(error).splitlines()[0] if str(error) else error!r})") from error


def _yaml(data: bytes) -> Any:
    text = data.decode()
    yaml_files.check_text(text)
    return yaml.load(text, Loader=yaml_files.LOADER)


def _check_values(root: Any, what: str) -> None:
    """Refuses what aliases blow up or tie into a ring, and characters that a terminal would obey."""
    waiting, count = [root], 0
    while waiting:
        count += 1
        if count > yaml_files.MOST_VALUES:
            raise _refusal(f"{what} has more values than such a file can have")
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            if NO_TEXT.search(value):
                raise _refusal(f"{what} has control characters")
        elif isinstance(value, int):
            if not -(2**63) <= value < 2**63:
                raise _refusal(f"{what} has a number that is too large")
        elif not (value is None or isinstance(value, float)):
            raise _refusal(f"{what} has a value of a kind that it cannot have: {type(value).__name__}")


def _check_metrics(found: Sequence[Packed]) -> None:
    tables = {packed.folder / METRICS: packed.run_id for packed in found if METRICS in packed.files}
    if (faulty := first_fault(list(tables))) is not None:
        path, fault = faulty
        raise _refusal(f"{METRICS} of run {tables[path]} {fault}")


def _check_arrays(packed: Packed) -> None:
    """Refuses arrays of anything but numbers, and more of them than can be meant."""
    what = f"{ARRAYS} of run {packed.run_id}"
    members = _zipped(packed.folder / ARRAYS, what)
    if sum(member.file_size for member in members) > LARGEST_ARRAYS:
        raise _refusal(f"{what} is larger than such a file can be")
    if any(NO_TEXT.search(member.filename) or not member.filename.endswith(".npy") for member in members):
        raise _refusal(f"{what} has something else than arrays")
    try:
        arrays = read_arrays(packed.folder)
    except UserError as error:
        raise _refusal(f"{what} cannot be read") from error
    if any(values.dtype.kind not in "biuf" for values in arrays.values()):
        raise _refusal(f"{what} has something else than numbers")


def _check_checkpoint(packed: Packed, name: str) -> None:
    """Refuses a checkpoint that is not plain data and tensors: torch's unpickler that knows nothing else reads it.

    `torch.save` compresses nothing, so what unpacks to more than the file has was not written by it.
    """
    import torch

    what = f"{name} of run {packed.run_id}"
    members = _zipped(packed.folder / name, what)
    if sum(member.file_size for member in members) > (packed.folder / name).stat().st_size:
        raise _refusal(f"{what} is larger than such a file can be")
    try:
        with warnings.catch_warnings(action="ignore"):  # of torch, about what is refused anyway
            loaded = torch.load(packed.folder / name, weights_only=True, map_location="cpu", mmap=True)
    except Exception as error:
        raise _refusal(f"{what} is not a checkpoint of plain tensors") from error
    if not isinstance(loaded, dict) or not isinstance(loaded.get("state_dict"), dict):
        raise _refusal(f"{what} is not a checkpoint of plain tensors")


def _zipped(path: Path, what: str) -> list[zipfile.ZipInfo]:
    """What a zip file says that it has."""
    try:
        with _SmallReads(path) as file, zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except Exception as error:  # zipfile reads as a number whatever stands in its place
        raise _refusal(f"{what} cannot be read ({type(error).__name__})") from error


class _SmallReads(io.FileIO):
    """A file that is not read in large pieces: a zip file's directory would become objects of many times its size."""

    def read(self, size: int | None = -1) -> bytes:
        left = os.fstat(self.fileno()).st_size - self.tell()
        if (left if size is None or size < 0 else min(left, size)) > LARGEST_DIRECTORY:
            raise ValueError("its directory is too large")
        return super().read(size)


def _refusal(reason: str) -> UserError:
    plain = NO_TEXT.sub("?", reason if len(reason) <= 300 else f"{reason[:297]}...")
    return UserError(f"The file cannot be imported: {plain}.", "Nothing was taken from it.")


def _too_large(limit: int) -> UserError:
    return UserError(
        f"The file cannot be imported: unpacked it has more than {limit:,} bytes.",
        "Nothing was taken from it. If that is as it should be: --max-size.",
    )


def _add(archive: tarfile.TarFile, name: str, data: bytes | Path) -> None:
    member = tarfile.TarInfo(name)  # of nobody, at the beginning of time
    member.size = _size(data)
    with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as source:
        archive.addfile(member, source)


def _place(record: Record) -> tuple[str, str]:
    return record.experiment, record.run_id


def _size(data: bytes | Path) -> int:
    return len(data) if isinstance(data, bytes) else data.stat().st_size


def _hash(data: bytes | Path) -> str:
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    with data.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _without_folders(text: str) -> str:
    """Text without the folders of absolute paths, and without control characters."""
    return NO_TEXT.sub("", re.sub(r"""(?<![\w./:~])/(?:[^\s/"':,=]+/)*(?=[^\s/"':,=])""", ".../", text))
