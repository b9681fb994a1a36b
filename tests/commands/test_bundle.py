"""`expkit export` and `expkit import`: bytes that come back as they went, and files from people who mean harm."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch
import yaml

from expkit.cli import main
from expkit.compose import compose
from expkit.identity import run_id
from expkit.records.arrays import write_arrays
from expkit.records.record import Record
from expkit.records.store import Store
from support import train

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path]:
    """A real run, and the file that it is exported to."""
    folder = tmp_path_factory.mktemp("made")
    tiny = ["data=iris", "model=linear", "trainer.max_steps=3", "logger=none", "callbacks=best"]
    record = Record(Path(train(*tiny, "--runs", str(folder / "here"))["path"]))
    write_arrays(record.folder, {"spectrum": torch.arange(5.0)})
    path = record.folder / "environment.json"
    facts = json.loads(path.read_text())
    facts["git"] = {"commit": "a" * 40, "diff": "diff --git a/x b/x\n+ä\n", "untracked": ["new.py"]}
    path.write_text(json.dumps(facts, indent=2) + "\n")
    archive = folder / "run.expkit"
    assert main(["export", str(record.folder), "-o", str(archive)]) == 0
    return record, archive


def opened(archive: Path) -> Members:
    with tarfile.open(archive) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}  # type: ignore[union-attr]


def closed(members: Members, path: Path, honest: bool = True) -> Path:
    """Writes an archive; an honest one has a manifest with the sizes and hashes of what is in it."""
    members = dict(members)
    if honest:
        manifest = json.loads(members["manifest.json"])
        for run in manifest["runs"]:
            place = f"{run['experiment']}/{run['run_id']}/"
            run["files"] = {
                name.removeprefix(place): {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for name, data in members.items()
                if name.startswith(place)
            }
        members["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def test_a_round_trip_keeps_every_bit(made: tuple[Record, Path], tmp_path: Path) -> None:
    record, archive = made
    assert main(["import", str(archive), "--runs", str(tmp_path / "there")]) == 0
    (taken,) = Store(tmp_path / "there")
    assert (taken.run_id, taken.experiment, taken.state) == (record.run_id, record.experiment, "complete")
    for name in ("metrics.parquet", "arrays.npz", "checkpoints/last.ckpt", "checkpoints/best.ckpt"):
        assert (taken.folder / name).read_bytes() == (record.folder / name).read_bytes()
    assert taken.summary == record.summary
    assert {**taken.config, "paths": None} == {**record.config, "paths": None}
    here, there = (json.loads((one.folder / "environment.json").read_text()) for one in (record, taken))
    for key in ("git", "packages", "python", "hardware", "torch", "engine"):
        assert there[key] == here[key]
    assert taken.status["imported"] == {"same_code": True}
    again = tmp_path / "again.expkit"
    assert main(["export", taken.run_id, "-o", str(again), "--runs", str(tmp_path / "there")]) == 0
    assert again.read_bytes() == archive.read_bytes()


def test_an_imported_run_is_used_like_any_other(
    made: tuple[Record, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, archive = made
    there = str(tmp_path / "there")
    main(["import", str(archive), "--runs", there])
    for command in (
        ["eval", record.run_id],
        ["replay", record.run_id],
        ["runs"],
        ["diff", record.run_id, record.run_id],
    ):
        assert main([*command, "--runs", there, "--json"]) == 0
    assert main(["replay", record.run_id, "--runs", there]) == 0
    assert "identical" in capsys.readouterr().out


def test_the_file_says_nothing_about_the_machines_folders_and_names(
    made: tuple[Record, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, archive = made
    members = opened(archive)
    texts = b"\n".join(
        data for name, data in members.items() if not name.endswith((".ckpt", ".parquet", ".npz"))
    ).decode()
    assert str(record.folder.parents[2]) not in texts
    assert str(Path.cwd()) not in texts
    facts = json.loads(members[f"{record.experiment}/{record.run_id}/environment.json"])
    assert not {"host", "folder"} & set(facts)
    assert platform.node() not in facts.values()
    assert not re.search(r'"/\w', members["manifest.json"].decode())
    assert "pid" not in json.loads(members[f"{record.experiment}/{record.run_id}/status.json"])


def test_folders_in_tracebacks_are_left_out_and_the_rest_of_them_stays() -> None:
    from expkit.records.bundle import _without_folders

    trace = (
        'File "/home/someone/lab/models.py", line 3\n  see https://x.org/a/b; 1/2 a/b.py; --runs=/data/runs \x1b[31m'
    )
    told = 'File ".../models.py", line 3\n  see https://x.org/a/b; 1/2 a/b.py; --runs=.../runs [31m'
    assert _without_folders(trace) == told
    assert _without_folders(told) == told


def test_checkpoints_can_be_left_out_and_such_a_file_adds_nothing_to_a_whole_run(
    made: tuple[Record, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, archive = made
    small = tmp_path / "small.expkit"
    assert main(["export", str(record.folder), "-o", str(small), "--no-checkpoint"]) == 0
    assert not any("checkpoints" in name for name in opened(small))
    there = str(tmp_path / "there")
    main(["import", str(archive), "--runs", there])
    before = everything(tmp_path / "there")
    for file in (small, archive):
        capsys.readouterr()
        assert main(["import", str(file), "--runs", there, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)[0]["taken"] is False
    assert everything(tmp_path / "there") == before


def test_a_run_with_other_contents_is_replaced_only_if_that_is_wanted(
    made: tuple[Record, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, archive = made
    there = tmp_path / "there"
    main(["import", str(archive), "--runs", str(there)])
    (mine,) = Store(there)
    (mine.folder / "summary.json").write_text('{"test/acc": 0.125}\n')
    before = everything(there)
    assert main(["import", str(archive), "--runs", str(there)]) == 1
    assert "with other contents" in capsys.readouterr().err
    assert everything(there) == before
    assert main(["import", str(archive), "--runs", str(there), "--force"]) == 0
    assert mine.summary == record.summary


def test_a_run_of_other_code_is_marked_as_foreign(
    made: tuple[Record, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = made[1]

    def other_model(data: bytes) -> bytes:
        config = yaml.safe_load(data)
        config["model"]["_target_"] = "nowhere.Model"
        return yaml.safe_dump(config, sort_keys=False).encode()

    forged = closed(changed(opened(archive), "config.yaml", other_model), tmp_path / "x.expkit")
    assert main(["import", str(forged), "--runs", str(tmp_path / "there")]) == 0
    assert "foreign" in capsys.readouterr().out
    (taken,) = Store(tmp_path / "there")
    assert taken.status["imported"] == {"same_code": False}


def test_several_runs_go_into_one_file_and_a_run_that_is_going_on_does_not(
    made: tuple[Record, Path], runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [
        train("data=iris", "model=linear", "trainer.max_steps=1", "logger=none", f"seed={s}")["run_id"] for s in (1, 2)
    ]
    both = tmp_path / "both.expkit"
    assert main(["export", *ids, ids[0], "-o", str(both)]) == 0
    assert main(["import", str(both), "--runs", str(tmp_path / "there")]) == 0
    assert {record.run_id for record in Store(tmp_path / "there")} == set(ids)
    record = Store().find(ids[0])
    status = json.loads((record.folder / "status.json").read_text())
    (record.folder / "status.json").write_text(json.dumps({**status, "status": "running"}))
    with record.claim(waiting=lambda status: None):
        assert main(["export", ids[0], "-o", str(tmp_path / "no.expkit")]) == 1
    assert "is running" in capsys.readouterr().err
    assert not (tmp_path / "no.expkit").exists()


def test_what_a_link_in_a_record_leads_to_is_not_exported(
    made: tuple[Record, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text("secret")
    for name in ("arrays.npz", "metrics.parquet", "checkpoints/last.ckpt"):
        copy = tmp_path / name.replace("/", "-") / made[0].run_id
        shutil.copytree(made[0].folder, copy)
        (copy / name).unlink()
        (copy / name).symlink_to(tmp_path / "secret")
        status = copy / "status.json"
        status.write_text(json.dumps({**json.loads(status.read_text()), "written": None}))
        assert main(["export", str(copy), "-o", str(tmp_path / "x.expkit")]) == 1
        assert f"{name} is a link" in capsys.readouterr().err


def test_a_record_with_a_forged_id_does_not_pass_for_the_run(
    made: tuple[Record, Path], runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = ["data=iris", "model=linear", "trainer.max_steps=3", "logger=none", "callbacks=best"]
    wanted = run_id(compose([*tiny, "seed=7"]).config)
    members = {
        name.replace(made[0].run_id, wanted): data.replace(made[0].run_id.encode(), wanted.encode())
        for name, data in opened(made[1]).items()
    }
    forged = changed(members, "summary.json", lambda data: b'{"step": 3, "test/acc": 0.123456}')
    assert main(["import", str(closed(forged, tmp_path / "x.expkit")), "--runs", str(runs)]) == 0
    assert "foreign" in capsys.readouterr().out
    own = train(*tiny, "seed=7")
    assert own["run_id"] == wanted
    assert own["summary"]["test/acc"] != 0.123456
    assert "another configuration" in capsys.readouterr().err


def file_name(members: Members, name: str) -> str:
    return next(key for key in members if key.endswith(f"/{name}"))


def changed(members: Members, name: str, change: Callable[[bytes], bytes]) -> Members:
    key = file_name(members, name)
    return {**members, key: change(members[key])}


def edited(name: str, **fields: Any) -> Callable[[Members], Members]:
    """Other values in a JSON or YAML file of the run."""
    if name.endswith(".yaml"):
        return lambda m: changed(m, name, lambda d: yaml.safe_dump({**yaml.safe_load(d), **fields}).encode())
    return lambda m: changed(m, name, lambda d: json.dumps({**json.loads(d), **fields}).encode())


def replaced(name: str, data: bytes) -> Callable[[Members], Members]:
    return lambda members: changed(members, name, lambda _: data)


def in_manifest(**fields: Any) -> Callable[[Members], Members]:
    """Other fields of the run's entry; the members move along with its place."""

    def change(members: Members) -> Members:
        manifest = json.loads(members["manifest.json"])
        run = manifest["runs"][0]
        old = f"{run['experiment']}/{run['run_id']}/"
        run.update(fields)
        new = f"{run['experiment']}/{run['run_id']}/"
        moved = {new + name.removeprefix(old) if name.startswith(old) else name: d for name, d in members.items()}
        return {**moved, "manifest.json": json.dumps(manifest).encode()}

    return change


def parquet(frame: polars.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def asking_for_all_memory() -> bytes:
    """A table whose first page says that it has 2^60 values (found by chance, for polars 2.1)."""
    data = bytearray(parquet(polars.DataFrame({"step": [0, 3], "test/acc": [0.5, 0.75]})))
    data[50] = 1
    return bytes(data)


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def zipped(name: str, size: int) -> bytes:
    """A zip file with one member of so many bytes, which packed are a thousandth of that."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        for _ in range(size // 2**20):
            member.write(bytes(2**20))
    return file.getvalue()


def huge_directory() -> bytes:
    """A zip file whose directory lists its only member many times."""
    small = zipped("a.npy", 0)
    at, end = small.index(b"PK\x01\x02"), small.index(b"PK\x05\x06")
    many = small[at:end] * (2**23 // (end - at))
    facts = b"\0\0\0\0\xfe\xff\xfe\xff" + len(many).to_bytes(4, "little") + at.to_bytes(4, "little") + b"\0\0"
    return small[:at] + many + b"PK\x05\x06" + facts


class Harm:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


BOMB = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (name, name, b",".join([b"*%c" % (name - 1)] * 10)) for name in range(ord("b"), ord("k"))
)

HONEST = {
    "arrays of Python objects": (replaced("arrays.npz", npz(a=np.array([Path()], dtype=object))), "cannot be read"),
    "arrays of text": (replaced("arrays.npz", npz(a=np.array(["x"]))), "something else than numbers"),
    "arrays that are none": (replaced("arrays.npz", b"PK nonsense"), "cannot be read"),
    "arrays that are text in a file for arrays": (
        replaced("arrays.npz", zipped("a.npy", 2**20)),
        "cannot be read",
    ),
    "arrays in a file whose directory is huge": (replaced("arrays.npz", huge_directory()), "cannot be read"),
    "a checkpoint that grows": (
        replaced("checkpoints/last.ckpt", zipped("x/data.pkl", 2**22)),
        "larger than such a file",
    ),
    "a checkpoint in a file whose directory is huge": (
        replaced("checkpoints/last.ckpt", huge_directory()),
        "cannot be read",
    ),
    "choices that are none": (edited("status.json", choices=[1]), "not that of a run"),
    "YAML with a number that is none": (replaced("config.yaml", b"name: !!int ''"), "cannot be read"),
    "arrays beside a script": (replaced("arrays.npz", zipped("x.py", 2**20)), "something else than arrays"),
    "arrays that grow": (replaced("arrays.npz", zipped("a.npy", 2**30 + 2**20)), "larger than such a file"),
    "an experiment that leads out of the store": (in_manifest(experiment=".."), "not the name of an experiment"),
    "an experiment with a slash": (in_manifest(experiment="../../x"), "not the name of an experiment"),
    "a run id that is a path": (in_manifest(run_id="../../../tmp/x"), "not a run id"),
    "an absolute run id": (in_manifest(run_id="/tmp/x"), "not a run id"),
    "another run's id": (in_manifest(run_id="0123456789ab"), "is not that of a run"),
    "another experiment's name": (in_manifest(experiment="other"), "is not one of other"),
    "a file that no run has": (
        lambda m: {**m, file_name(m, "config.yaml").replace("config.yaml", "x.py"): b"1"},
        "does not have the files of a run",
    ),
    "no configuration": (
        lambda m: {name: data for name, data in m.items() if not name.endswith("config.yaml")},
        "does not have the files of a run",
    ),
    "YAML that grows": (replaced("config.yaml", BOMB), "more values"),
    "YAML that calls": (replaced("config.yaml", b"!!python/object/apply:os.getcwd []"), "cannot be read"),
    "YAML that contains itself": (replaced("config.yaml", b"name: &a [*a]"), "stands for nothing"),
    "YAML that goes deep": (replaced("config.yaml", b"a: " + b"[" * 100_000), "cannot be read"),
    "YAML that is long": (replaced("config.yaml", b"a: b\n" * 400_000), "larger than such a file"),
    "YAML with a key that is no word": (replaced("config.yaml", b"name: {[1, 2]: 3}"), "cannot be read"),
    "YAML with a date": (edited("config.yaml", seed=date(2026, 1, 1)), "of a kind that it cannot have"),
    "a number beyond all numbers": (edited("summary.json", step=10**100), "too large"),
    "JSON that goes deep": (replaced("summary.json", b'{"a":' * 100_000), "cannot be read"),
    "text in the summary": (edited("summary.json", **{"test/acc": "\x07"}), "control characters"),
    "an escape sequence in the overrides": (edited("status.json", overrides=["\x1b[2J"]), "control characters"),
    "an unknown state": (edited("status.json", status="superb"), "not that of a run"),
    "a list of states": (edited("status.json", status=["complete"]), "not that of a run"),
    "seconds that are text": (edited("status.json", seconds="x"), "not that of a run"),
    "a time that is none": (edited("status.json", started="yesterday"), "not that of a run"),
    "metrics that are none": (replaced("metrics.parquet", b"PAR1 nonsense PAR1"), "cannot be read"),
    "metrics that are text": (
        replaced("metrics.parquet", parquet(polars.DataFrame({"step": [0], "a": ["x"]}))),
        "not a table of steps and numbers",
    ),
    "metrics that polars aborts at": (replaced("metrics.parquet", asking_for_all_memory()), "cannot be read"),
    "metrics that are many": (
        replaced(
            "metrics.parquet", parquet(polars.select(polars.repeat(0, 60_000_000, dtype=polars.Int64).alias("step")))
        ),
        "larger than such a file",
    ),
}


@pytest.mark.parametrize("case", HONEST)
def test_what_no_export_writes_is_refused_with_one_message(
    made: tuple[Record, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    change, message = HONEST[case]
    refused(closed(change(opened(made[1])), tmp_path / "x.expkit"), message, tmp_path, capsys)


def refused(archive: Path, message: str, folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> None:
    """One message, nothing in the store, and nothing anywhere else."""
    before = {path for path in folder.rglob("*") if "there" not in path.parts}
    capsys.readouterr()
    assert main(["import", str(archive), "--runs", str(folder / "there"), *options]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("error:") == 1
    assert "Traceback" not in error
    assert not list((folder / "there").rglob("*"))
    assert {path for path in folder.rglob("*") if "there" not in path.parts} == before


def test_a_checkpoint_that_would_run_code_is_refused_and_does_not_run_it(
    made: tuple[Record, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = io.BytesIO()
    torch.save({"state_dict": {"x": Harm(tmp_path / "harm")}}, file)
    archive = closed(replaced("checkpoints/last.ckpt", file.getvalue())(opened(made[1])), tmp_path / "x.expkit")
    refused(archive, "not a checkpoint of plain tensors", tmp_path, capsys)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["summary.json", "metrics.parquet", "checkpoints/last.ckpt"])
def test_contents_that_are_not_those_of_the_manifest_are_refused(
    made: tuple[Record, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    members = opened(made[1])
    flipped = changed(members, name, lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    refused(closed(flipped, tmp_path / "x.expkit", honest=False), "does not have the content", tmp_path, capsys)
    longer = changed(members, name, lambda data: data + b" ")
    refused(closed(longer, tmp_path / "y.expkit", honest=False), "does not have the size", tmp_path, capsys)
    missing = {key: data for key, data in members.items() if not key.endswith(name)}
    refused(closed(missing, tmp_path / "z.expkit", honest=False), "is missing", tmp_path, capsys)


def rewritten(archive: Path, target: Path, change: Callable[[tarfile.TarInfo], list[tarfile.TarInfo]]) -> Path:
    """The archive with other headers."""
    members = opened(archive)
    with tarfile.open(target, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for own in change(member):
                tar.addfile(own, io.BytesIO(data) if own.isreg() else None)
    return target


def link(kind: bytes, to: str) -> Callable[[tarfile.TarInfo], list[tarfile.TarInfo]]:
    def change(member: tarfile.TarInfo) -> list[tarfile.TarInfo]:
        if member.name.endswith("summary.json"):
            member.type, member.linkname = kind, to
        return [member]

    return change


def besides(name: str) -> Callable[[tarfile.TarInfo], list[tarfile.TarInfo]]:
    def change(member: tarfile.TarInfo) -> list[tarfile.TarInfo]:
        if not member.name.endswith("summary.json"):
            return [member]
        other = tarfile.TarInfo(name)
        other.size = member.size
        return [other, member]

    return change


HEADERS = {
    "a symbolic link": (link(tarfile.SYMTYPE, "/etc/passwd"), "summary.json is not a plain file"),
    "a hard link": (link(tarfile.LNKTYPE, "manifest.json"), "summary.json is not a plain file"),
    "a device": (link(tarfile.CHRTYPE, ""), "summary.json is not a plain file"),
    "a pipe": (link(tarfile.FIFOTYPE, ""), "summary.json is not a plain file"),
    "a folder": (link(tarfile.DIRTYPE, ""), "summary.json is not a plain file"),
    "a path upwards": (besides("../../harm"), "is not in its manifest"),
    "an absolute path": (besides("/tmp/harm"), "is not in its manifest"),
    "a file twice": (
        lambda m: [m, m] if m.name.endswith("summary.json") else [m],
        "is not in its manifest, or is there",
    ),
    "the manifest last": (lambda m: [] if m.name == "manifest.json" else [m], "does not begin with a manifest"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_an_archive_of_other_things_than_the_manifests_files_is_refused(
    made: tuple[Record, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    change, message = HEADERS[case]
    refused(rewritten(made[1], tmp_path / "x.expkit", change), message, tmp_path, capsys)


def test_files_that_are_no_archives_are_refused(
    made: tuple[Record, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = made[1].read_bytes()
    for number, data in enumerate(
        (b"", b"hello", whole[: len(whole) // 2], whole[:-4] + b"1234", gzip.compress(b"x" * 600))
    ):
        path = tmp_path / f"{number}.expkit"
        path.write_bytes(data)
        refused(path, "cannot be imported", tmp_path, capsys)
    refused(tmp_path / "nothing.expkit", "No such file", tmp_path, capsys)


def test_what_unpacks_to_more_than_allowed_is_refused_before_it_is_unpacked(
    made: tuple[Record, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(made[1], "unpacked it has more than 1,024 bytes", tmp_path, capsys, "--max-size", "1k")
    members = opened(made[1])
    declared = changed(members, "checkpoints/last.ckpt", lambda data: data + bytes(20 * 2**20))
    refused(closed(declared, tmp_path / "x.expkit"), "unpacked it has more than", tmp_path, capsys, "--max-size", "10M")
    manifest = json.loads(members["manifest.json"])
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.GNUTYPE_SPARSE):
        with gzip.open(tmp_path / "y.expkit", "wb") as file:  # a header of 50 MiB, which tar would read as a whole
            head = tarfile.TarInfo("././@LongLink")
            head.type, head.size = kind, 50 * 2**20
            file.write(head.tobuf(tarfile.GNU_FORMAT) + bytes(51 * 2**20))
        refused(tmp_path / "y.expkit", "is not a plain file", tmp_path, capsys)
    manifest["runs"][0]["files"]["checkpoints/last.ckpt"]["size"] = 2**50
    boasting = {**members, "manifest.json": json.dumps(manifest).encode()}
    refused(closed(boasting, tmp_path / "z.expkit", honest=False), "unpacked it has more than", tmp_path, capsys)


def test_headers_within_headers_do_not_exhaust_the_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = tarfile.TarInfo("x")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 1
    (tmp_path / "x.expkit").write_bytes(gzip.compress((head.tobuf(tarfile.GNU_FORMAT) + b"x" + bytes(511)) * 50_000))
    refused(tmp_path / "x.expkit", "cannot be imported", tmp_path, capsys)


def test_a_size_that_is_none_is_refused(made: tuple[Record, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(made[1]), "--max-size", "huge"]) == 2
    assert "is not a size" in capsys.readouterr().err
