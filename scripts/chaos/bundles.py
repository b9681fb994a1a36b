"""Bundles and records from strangers

A real run is exported, and the file is changed: bytes of it, of its members with and without the right hashes, its
manifest, its headers. `expkit import` takes it or says in one message why not; then nothing of it is in the store. What
it takes is listed, compared, evaluated and replayed. Nothing in a file is carried out, written elsewhere, or unpacked
without bound.
"""

from __future__ import annotations

import copy
import gzip
import hashlib
import io
import json
import os
import pickle
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from hostile import Watch
from report import Row

from expkit.cli import main
from expkit.commands.imports import take_in
from expkit.compose import compose
from expkit.errors import UserError
from expkit.identity import run_id
from expkit.records import foreign_tables
from expkit.records.arrays import write_arrays
from expkit.records.bundle import FILES
from expkit.records.record import Record
from expkit.records.store import Store

Members = dict[str, bytes]
Make = Callable[[], bytes]
"""What makes a file; many are described, and few are made in the short version."""
TINY = ["data=iris", "model=linear", "trainer.max_steps=3", "logger=none"]
PLAIN_TAGS = ("!!map", "!!null")  # which make no objects
LARGEST = 4 * 2**30  # bytes unpacked, as the command has it
BINARY = ("metrics.parquet", "arrays.npz", "checkpoints/last.ckpt")
TEXT = ("config.yaml", "status.json", "summary.json", "environment.json")


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    seed = random.SystemRandom().randrange(10**6)
    bench = Bench(folder, random.Random(seed), trained=not short)
    some, many = (3, 12) if short else (10**6, 1000)

    def row(fault: str, archives: Iterable[tuple[str, Make]], may_be_taken: bool = False) -> Row:
        watch = bench.imported(archives, may_be_taken)
        said = min(watch.messages.values(), key=len, default="nothing").splitlines()[0][:120].replace("|", "/")
        seen = f"{watch.refused:,} refused, such as “{said}”" + (
            f"; {watch.valid:,} taken, and whole" if watch.valid else ""
        )
        return Row(fault, watch.tried, tuple(f"{each} (seed {seed})" for each in watch.broken), seen)

    yield row("the file cut, or bytes of it changed", bench.damaged(many), may_be_taken=True)
    yield row("bytes of members changed, with the right hashes", bench.members_changed(many // 3), may_be_taken=True)
    yield row("values of texts exchanged, with the right hashes", bench.texts_changed(many // 2), may_be_taken=True)
    yield row(
        "links, devices, folders, holes, headers of absurd size, paths upwards", bench.some(bench.headers(), some)
    )
    yield row("manifests with forged ids, paths, sizes and hashes", bench.some(bench.manifests(), some))
    yield row("checkpoints with pickled code", bench.some(bench.checkpoints(), some))
    yield row("arrays of objects, of absurd shapes, packed strangely", bench.some(bench.arrays(), some))
    yield row("YAML and JSON that grow, nest, or name objects", bench.some(bench.texts(), some))
    yield row(
        "bombs: files that unpack to a thousand times their size",
        bench.some(list(bench.bombs())[2:6], 1) if short else bench.bombs(),
    )
    yield bench.linked()
    if not short:
        yield bench.forged()
        yield bench.used()


class Bench:
    """A run and its export, and a store that files are imported into.

    Args:
        folder: for all of it.
        draw: what is changed.
        trained: whether the run is a real one; else its record is made up, which takes less time.
    """

    def __init__(self, folder: Path, draw: random.Random, trained: bool) -> None:
        self.folder = folder
        self.draw = draw
        self.harm = folder / "harm"
        self.there = folder / "there"
        self.taken: list[bytes] = []
        _train(folder / "here") if trained else _make_up(folder / "here")
        (self.record,) = Store(folder / "here")
        _quietly(["export", str(self.record.folder), "-o", str(folder / "run.expkit")])
        self.good = (folder / "run.expkit").read_bytes()
        with tarfile.open(folder / "run.expkit") as tar:
            self.members: Members = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}
            # type: ignore[union-attr]
        self.place = f"{self.record.experiment}/{self.record.run_id}/"

    def some(self, archives: Iterable[tuple[str, Make]], count: int) -> Iterable[tuple[str, Make]]:
        if count >= 10**6:
            return archives
        archives = list(archives)
        return self.draw.sample(archives, min(count, len(archives)))

    def imported(self, archives: Iterable[tuple[str, Make]], may_be_taken: bool) -> Watch:
        watch = Watch(seconds=60, folders=(self.folder,), module=foreign_tables.__name__)
        for name, make in archives:
            file = self.folder / "x.expkit"
            file.write_bytes(make())
            outside = sorted(self.folder.iterdir())
            found = watch.attempt(name, lambda file=file: take_in(file, Store(self.there), LARGEST))
            if isinstance(found, BaseException):
                if left := [path for path in self.there.rglob("*") if path.name != ".lock"]:
                    watch.broken.append(f"{name}: {left[:3]} was left in the store")
            elif not may_be_taken:
                watch.broken.append(f"{name}: it was taken")
            else:
                self.taken.append(file.read_bytes())
                watch.broken += [
                    f"{name}: {record.folder} is {record.state}" for record, _ in found if record.state == "damaged"
                ]
            if self.harm.exists() or [
                path for path in sorted(self.folder.iterdir()) if path not in (*outside, self.there)
            ]:
                watch.broken.append(f"{name}: something was written outside of the store")
                self.harm.unlink(missing_ok=True)
            shutil.rmtree(self.there, ignore_errors=True)
        return watch

    def damaged(self, count: int) -> Iterator[tuple[str, Make]]:
        plain = gzip.decompress(self.good)
        for number in range(count):
            packed = number % 2 == 0
            data = _flipped(self.draw, self.good if packed else plain)
            yield f"damaged file {number}", partial(bytes, data) if packed else partial(gzip.compress, data, 1)

    def members_changed(self, count: int) -> Iterator[tuple[str, Make]]:
        for name in BINARY:
            for number in range(count):
                yield (
                    f"{name} changed {number}",
                    self.changed(name, _flipped(self.draw, self.members[self.place + name])),
                )

    def texts_changed(self, count: int) -> Iterator[tuple[str, Make]]:
        for number in range(count):
            name = self.draw.choice(TEXT)
            value = yaml.safe_load(self.members[self.place + name])
            for _ in range(self.draw.randrange(1, 4)):
                _exchange(self.draw, value)
            text = yaml.safe_dump(value, sort_keys=False) if name.endswith(".yaml") else json.dumps(value)
            yield f"{name} exchanged {number}: {text[-80:]}", self.changed(name, text.encode("utf-8", "surrogatepass"))

    def headers(self) -> Iterator[tuple[str, Make]]:
        name = f"{self.place}summary.json"
        for kind in (*b"123456", *b"7SLKxgXDVMN", *range(128, 132)):
            for target in ("/etc/passwd", "../../../harm", "manifest.json"):
                yield (
                    f"a member of kind {chr(kind)} to {target}",
                    partial(self._with_header, name, bytes([kind]), target),
                )
        for other in (
            "../harm",
            "/tmp/harm",
            f"{self.place}../../../harm",
            f"{self.place}harm",
            "harm\n",
            "\x1b[2J",
            "a" * 5000,
            "",
            ".",
            "..",
            "/",
            f"/{name}",
            f"./{name}",
            name.replace("/", "//"),
            f"{name}\0",
            f"{name}/",
        ):
            yield f"a member {other!r} besides", partial(self._with_header, other, b"0", "", besides=True)
        yield "a member twice", partial(self._with_header, name, b"0", "", besides=True)
        for kind in (
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.GNUTYPE_SPARSE,
        ):
            head = tarfile.TarInfo("././@LongLink")
            head.type, head.size = kind, 2**33
            yield (
                f"a header of kind {kind!r} and 8 GiB",
                partial(gzip.compress, head.tobuf(tarfile.GNU_FORMAT) + bytes(2**20), 1),
            )
            head.size = 1
            small = head.tobuf(tarfile.GNU_FORMAT) + b"x" + bytes(511)
            yield f"20,000 headers of kind {kind!r}", partial(gzip.compress, small * 20_000, 1)
        for sparse in ({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name,
        "GNU.sparse.realsize": "9" * 18},
                       {"path": "../harm"}, {"size": "-1"}, {"size": "9" * 18}, {"path": "/etc/passwd"}, {"path":
                       "a\0b"}):  # fmt: skip
            yield f"pax headers {sparse}", partial(self._with_header, name, b"0", "", pax=sparse)

    def manifests(self) -> Iterator[tuple[str, Make]]:
        for key, values in {
            "run_id": ("0123456789ab", "../../../tmp/x", "/tmp/x", "0123456789AB", "0123456789ab\n", "", None, 3,
            ["x"], "x" * 10**5),
            "experiment": ("..", ".", "../x", "/x", "a/b", "a\nb", "a\0b", "\x1b[2J", "", " ", ".sweeps", None, 3, "a"
            * 101, "名" * 100,
                           "a" * 10**5, "-x", "other"),
            "files": ({}, None, [], {"config.yaml": {}}, {"../x": {}}, {"config.yaml": {"size": -1}}, "x"),
        }.items():  # fmt: skip
            for value in values:
                yield f"{key}={str(value)[:40]!r}", partial(self._with_manifest, {key: value})
        for facts in (
            {"size": 2**50},
            {"size": -1},
            {"size": 1.5},
            {"size": "1"},
            {"size": True},
            {"sha256": "0"},
            {"sha256": None},
        ):
            manifest = json.loads(self.members["manifest.json"])
            manifest["runs"][0]["files"]["summary.json"].update(facts)
            yield (
                f"a file with {facts}",
                partial(_archive, {**self.members, "manifest.json": json.dumps(manifest).encode()}),
            )
        for text in ("", "{}", "[]", "3", "null", "{" * 10**5, "[" * 10**6, '{"format": 1}',
        '{"format": 2, "runs": []}', "\xff",
                     '{"format": 1, "runs": [{}]}', '{"format": 1e999, "runs": []}', f'{{"format": {"9" * 5000}}}',
                     "NaN"):  # fmt: skip
            yield (
                f"the manifest {text[:40]!r}",
                partial(_archive, {**self.members, "manifest.json": text.encode("latin-1")}),
            )
        twice = json.loads(self.members["manifest.json"])
        twice["runs"] *= 2
        yield "a run twice", partial(_archive, {**self.members, "manifest.json": json.dumps(twice).encode()})

    def checkpoints(self) -> Iterator[tuple[str, Make]]:
        import torch

        for name, harmful in self._pickles().items():
            for protocol in (2, 4):
                saved = io.BytesIO()
                torch.save({"state_dict": {"weight": harmful}}, saved, pickle_protocol=protocol)
                yield (
                    f"{name} in a checkpoint (protocol {protocol})",
                    self.changed("checkpoints/last.ckpt", saved.getvalue()),
                )
            saved = io.BytesIO()
            torch.save({"state_dict": {"weight": harmful}}, saved, _use_new_zipfile_serialization=False)
            yield f"{name} in a checkpoint of the old kind", self.changed("checkpoints/best.ckpt", saved.getvalue())
            yield f"{name} pickled", self.changed("checkpoints/last.ckpt", pickle.dumps(harmful))
        script = io.BytesIO()
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), script)
        yield "a program", self.changed("checkpoints/last.ckpt", script.getvalue())
        for value in (None, 3, [], {}, {"state_dict": 3}, {"state_dict": None}):
            saved = io.BytesIO()
            torch.save(value, saved)
            yield f"a checkpoint of {value}", self.changed("checkpoints/last.ckpt", saved.getvalue())
        for code in (
            b"c__builtin__\nbytearray\n(I99999999999\ntR.",
            b"cposix\nsystem\n(S'true'\ntR.",
            b"." * 10,
            b"(" * 10**6,
            b"\x80\x02" + b"]q\x00" + b"h\x00a" * 10**6 + b".",
            b"\x80\x02\x8a\xff" + b"\xff" * 300,
        ):
            yield f"the pickle {code[:30]!r}", self.changed("checkpoints/last.ckpt", _checkpoint_of(self, code))

    def arrays(self) -> Iterator[tuple[str, Make]]:
        yield "arrays of objects", self.changed("arrays.npz", _npz(a=np.array([Touch(self.harm)], dtype=object)))
        yield "arrays of text", self.changed("arrays.npz", _npz(a=np.array(["x"])))
        yield "arrays of dates", self.changed("arrays.npz", _npz(a=np.array(["2026-01-01"], dtype="M8[D]")))
        yield "arrays of records", self.changed("arrays.npz", _npz(a=np.zeros(1, dtype=[("x", "O")])))
        for head in (
            "{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000,)}",
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
            "__import__('os').system('touch harm')",
            "(" * 5000,
            "{'descr': " + "[" * 3000 + "]" * 3000,
            "",
        ):
            data = b"\x93NUMPY\x01\x00" + len(head.encode()).to_bytes(2, "little") + head.encode() + bytes(64)
            for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
                yield (
                    f"an array {head[:50]!r}, packed by {method}",
                    self.changed("arrays.npz", _zip({"a.npy": data}, method)),
                )
        for name in ("../x.npy", "/x.npy", "a\nb.npy", "\x1b[2J.npy", "x.py", "a.npy\0.py"):
            yield f"an array {name!r}", self.changed("arrays.npz", _zip({name: b"x"}))
        for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED):
            packed = bytearray(_zip({"a.npy": os.urandom(500)}, method))
            packed[60:90] = os.urandom(30)
            yield f"an array whose packing ({method}) is broken", self.changed("arrays.npz", bytes(packed))

    def texts(self) -> Iterator[tuple[str, Make]]:
        import yaml_files

        good = self.members[f"{self.place}config.yaml"].decode()
        for kind in ("tags that make objects", "aliases that multiply", "depth and size"):
            for text in yaml_files.HARMFUL[kind]:
                yield f"{kind}: {text[:60]!r}", self.changed("config.yaml", text.encode("utf-8", "surrogatepass"))
                if kind != "depth and size" and not any(tag in text for tag in PLAIN_TAGS):
                    yield f"{kind}, added: {text[:60]!r}", self.changed("config.yaml", f"{good}x{text}".encode())
        for name in ("summary.json", "status.json", "environment.json"):
            for text in (
                "{" * 10**5,
                '{"a":' * 10**5,
                "[" * 10**6,
                "3",
                "null",
                "[]",
                '{"a": ' + "9" * 5000 + "}",
                '{"a": 1e999999}',
                "\x00",
                '{"step": "\\u001b[2J"}',
                '{"step": ' + "1" * 30 + "}",
                '{"\\ud800": 1}',
                "{'a': 1}",
            ):
                if not (name != "status.json" and text == '{"a": 1e999999}'):  # infinity, as of a diverged loss
                    yield f"{name}: {text[:40]!r}", self.changed(name, text.encode("utf-8", "surrogatepass"))

    def bombs(self) -> Iterator[tuple[str, Make]]:
        deflated = zipfile.ZIP_DEFLATED
        yield "5 GiB of zeros", partial(_zeros, 5 * 2**10)
        yield "a bundle with 5 GiB behind it", lambda: self.good + _zeros(5 * 2**10)
        grown = {"arrays.npz": "spectrum.npy", "checkpoints/last.ckpt": "x/data.pkl"}
        for name, inner in grown.items():
            make = partial(
                self._with_made, name, lambda inner=inner: _zip({inner: bytes(2**28), "x/version": b"3"}, deflated)
            )
            yield f"{name} that unpacks to 256 MiB", make
            yield f"{name} with a directory of 64 MiB", partial(self._with_made, name, _large_directory)
        for name in (*TEXT, *BINARY):
            yield f"{name} of 64 MiB of zeros", partial(self._with_made, name, partial(bytes, 2**26))

    def forged(self) -> Row:
        """A record with another configuration bears the id of a run, which is then asked for."""
        broken = []
        wanted = compose([*TINY, "seed=7"])
        members = {}
        for name, data in self.members.items():
            members[name.replace(self.record.run_id, run_id(wanted.config))] = data.replace(
                self.record.run_id.encode(), run_id(wanted.config).encode()
            )
        members[f"{self.record.experiment}/{run_id(wanted.config)}/summary.json"] = b'{"step": 3, "test/acc": 0.123456}'
        (self.folder / "x.expkit").write_bytes(_archive(_honest(members)))
        ((taken, _),) = take_in(self.folder / "x.expkit", Store(self.there), LARGEST)
        _quietly(["train", *TINY, "seed=7", "--runs", str(self.there)])
        (record,) = Store(self.there)
        if record.summary.get("test/acc") == 0.123456 or record.state != "complete":
            broken.append(f"the forged record passed for the run: {record.summary}")
        if not taken.status:
            broken.append("there is no record")
        shutil.rmtree(self.there)
        return Row(
            "an imported record with the id of another run, which is then trained",
            1,
            tuple(broken),
            "a warning that its configuration is another; the run is done, and its own results recorded",
        )

    def linked(self) -> Row:
        """A store from elsewhere, in which files of a record are links to files that are no part of it."""
        broken = []
        secret = self.folder / "secret"
        secret.write_text("the secret")
        names = [name for name in FILES if (self.record.folder / name).exists()]
        for name in names:
            copy = Record(self.folder / "linked" / "x" / self.record.run_id)
            shutil.copytree(self.record.folder, copy.folder)
            (copy.folder / name).unlink()
            (copy.folder / name).symlink_to(secret)
            target = self.folder / "leak.expkit"
            status = _quietly(["export", str(copy.folder), "-o", str(target)])
            if target.exists() and b"the secret" in gzip.decompress(target.read_bytes()):
                broken.append(f"{name}: what the link leads to was exported")
            if status not in (0, 1, 2):
                broken.append(f"{name}: {status}")
            target.unlink(missing_ok=True)
            shutil.rmtree(self.folder / "linked")
        return Row(
            "records whose files are links to other files, exported",
            len(names),
            tuple(broken),
            "one message that names the link",
        )

    def used(self) -> Row:
        """What was taken is used as any record is."""
        watch = Watch(
            seconds=120,
            folders=(self.folder, Path("/tmp")),
            may=("subprocess.Popen", "os.posix_spawn", "os.putenv"),
        )
        chosen = self.draw.sample(self.taken, min(25, len(self.taken)))
        for number, data in enumerate(chosen):
            (self.folder / "x.expkit").write_bytes(data)
            try:
                ((record, _),) = take_in(self.folder / "x.expkit", Store(self.there), LARGEST)
            except UserError:
                continue
            for command in (["runs"], ["runs", "--json"], ["compare"], ["diff", record.run_id, record.run_id],
            ["eval", record.run_id],
                            ["replay", record.run_id], ["export", record.run_id, "-o", str(self.folder /
                            "again.expkit")]):  # fmt: skip
                line = [*command, "--runs", str(self.there)]
                found = watch.attempt(f"taken {number}: {' '.join(command)}", lambda line=line: _quietly(line))
                if found not in (0, 1, 2):
                    watch.broken.append(f"taken {number}: {' '.join(command)}: {found!r}")
            shutil.rmtree(self.there)
        return Row("commands on what was taken: list, compare, diff, eval, replay, export", watch.tried,
        tuple(watch.broken),
                   "the results, or one message")  # fmt: skip

    def with_member(self, name: str, data: bytes) -> bytes:
        return _archive(_honest({**self.members, self.place + name: data}))

    def changed(self, name: str, data: bytes) -> Make:
        return partial(self.with_member, name, data)

    def _with_made(self, name: str, make: Make) -> bytes:
        return self.with_member(name, make())

    def _with_manifest(self, fields: dict[str, Any]) -> bytes:
        manifest = json.loads(self.members["manifest.json"])
        run = manifest["runs"][0]
        run.update(fields)
        place = f"{run['experiment']}/{run['run_id']}/"
        moved = {
            place + name.removeprefix(self.place) if name.startswith(self.place) else name: d
            for name, d in self.members.items()
        }
        return _archive({**moved, "manifest.json": json.dumps(manifest).encode()})

    def _with_header(
        self, name: str, kind: bytes, target: str, besides: bool = False, pax: dict[str, str] | None = None
    ) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT) as tar:
            for own, data in self.members.items():
                member = tarfile.TarInfo(own)
                member.size = len(data)
                if own.endswith("summary.json"):
                    member = tarfile.TarInfo(name)
                    member.type, member.linkname, member.size = kind, target, len(data)
                    member.pax_headers = pax or {}
                tar.addfile(member, io.BytesIO(data))
                if own.endswith("summary.json") and besides:
                    again = tarfile.TarInfo(own)
                    again.size = len(data)
                    tar.addfile(again, io.BytesIO(data))
        return gzip.compress(file.getvalue(), 1)

    def _pickles(self) -> dict[str, Any]:
        return {"code that touches a file": Touch(self.harm), "a command": Command(self.harm),
        "a function by its name": os.system,
                "code that is evaluated": Evaluated(self.harm)}  # fmt: skip


class Touch:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.path),)


class Command(Touch):
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


class Evaluated(Touch):
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"open({self.path!r}, 'w')",)


def _train(runs: Path) -> None:
    import torch

    _quietly(["train", *TINY, "--runs", str(runs)])
    (record,) = Store(runs)
    write_arrays(record.folder, {"spectrum": torch.arange(5.0)})
    path = record.folder / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "written": None}))


def _make_up(runs: Path) -> None:
    import polars
    import torch

    composed = compose(TINY)
    record = Store(runs).record(composed.name, run_id(composed.config))
    record.folder.mkdir(parents=True)
    record.begin(composed.config, composed.overrides, composed.choices)
    polars.DataFrame({"step": [0, 3], "test/acc": [0.5, 0.75]}).write_parquet(record.metrics_file)
    write_arrays(record.folder, {"spectrum": torch.arange(5.0)})
    record.write_environment({"packages": {}, "python": "3", "git": None})
    record.checkpoint.parent.mkdir()
    torch.save({"state_dict": {"weight": torch.zeros(4, 3)}}, record.checkpoint)
    record.finish("complete", {"step": 3, "test/acc": 0.75})


def _quietly(arguments: list[str]) -> int:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        return main(arguments)


def _flipped(draw: random.Random, data: bytes) -> bytes:
    if draw.random() < 0.2:
        return data[: draw.randrange(len(data))]
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8, 64))):
        # Half of them where formats keep their lengths and offsets: at the beginning and the end.
        near = draw.random() < 0.5
        place = (
            draw.choice((draw.randrange(min(64, len(data))), -1 - draw.randrange(min(200, len(data)))))
            if near
            else draw.randrange(len(data))
        )
        changed[place] = draw.randrange(256)
    return bytes(changed)


STRANGE = (None, True, -1, 1.5, float("nan"), 10**30, "", "x", "\x1b[2J", "a\nb", "../x", "/etc/passwd", [], {},
[[1]], {"a": {"b": 1}},
           {"_target_": "os.system"}, "${oc.env:HOME}", "x" * 20_000, [0] * 1000)  # fmt: skip


def _exchange(draw: random.Random, value: Any) -> None:
    """Puts a strange value in some place of a mapping, or a strange key."""
    while isinstance(value, dict) and value:
        key = draw.choice(list(value))
        inner = value[key]
        if not isinstance(inner, dict) or not inner or draw.random() < 0.3:
            if draw.random() < 0.2:
                value.pop(key)
                key = draw.choice(("x", "", "\x1b", "_target_", "a.b"))
            value[key] = copy.deepcopy(draw.choice(STRANGE))
            return
        value = inner


def _honest(members: Members) -> Members:
    """With a manifest that has the sizes and hashes of what is there."""
    manifest = json.loads(members["manifest.json"])
    for run in manifest["runs"]:
        place = f"{run['experiment']}/{run['run_id']}/"
        run["files"] = {
            name.removeprefix(place): {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in members.items()
            if name.startswith(place)
        }
    return {**members, "manifest.json": json.dumps(manifest).encode()}


def _archive(members: Members) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(file.getvalue(), 1)


def _zeros(mebibytes: int) -> bytes:
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1) as packed:
        for _ in range(mebibytes):
            packed.write(bytes(2**20))
    return file.getvalue()


def _zip(members: Members, method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def _large_directory() -> bytes:
    """A zip file whose directory lists its only member a million times."""
    small = _zip({"a.npy": b""})
    at = small.index(b"PK\x01\x02")
    end = small.index(b"PK\x05\x06")
    entry, count = small[at:end], 2**26 // (end - at)
    size = (len(entry) * count).to_bytes(4, "little")
    return (
        small[:at]
        + entry * count
        + b"PK\x05\x06\0\0\0\0"
        + b"\xfe\xff\xfe\xff"
        + size
        + at.to_bytes(4, "little")
        + b"\0\0"
    )


def _npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _checkpoint_of(bench: Bench, code: bytes) -> bytes:
    """The run's checkpoint, with another pickle in it."""
    file = io.BytesIO()
    source = io.BytesIO(bench.members[f"{bench.place}checkpoints/last.ckpt"])
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as after:
        for name in before.namelist():
            after.writestr(name, code if name.endswith("data.pkl") else before.read(name))
    return file.getvalue()
