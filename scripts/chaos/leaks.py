"""Secrets of the environment, looked for in everything that is written and printed"""

from __future__ import annotations

import base64
import gzip
import io
import os
import random
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import polars
from report import Row

VARIABLES = (
    "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "GITHUB_TOKEN", "DATABASE_URL", "HTTPS_PROXY", "SLURM_JWT",
    "PASSWORD", "MY_LAB_KEY", "SSH_AUTH_SOCK",
)  # fmt: skip
TINY = ["data=two_moons", "data.n_train=16", "data.n_test=16", "model=mlp", "model.width=2", "trainer.max_steps=3"]
TRAININGS = {
    "a training": ["train", *TINY, "logger=wandb", "callbacks=learning_curves"],
    "a fused sweep": ["train", "-m", *TINY, "logger=wandb", "optimizer=sgd", "optimizer.lr=0.1,1e30"],
    "a sweep over processes": ["train", "-m", *TINY, "logger=wandb", "seed=5,6", "hydra/launcher=processes"],
    "all other loggers": ["train", *TINY, "logger=[csv,tensorboard]", "seed=7", "callbacks=best"],
    "a sweep in one run of W&B": ["train", "-m", *TINY, "logger=wandb", "seed=range(0,3)", "sweep.wandb_runs=1"],
    "a search": ["train", "-m", *TINY, "logger=wandb", "hydra/sweeper=optuna", "optimizer.lr=interval(0.01,0.1)",
                 "hydra.sweeper.n_trials=3", "hydra.sweeper.monitor=test/loss"],
    "two processes": ["train", *TINY, "logger=wandb", "trainer=ddp_cpu", "trainer.devices=2", "seed=8"],
    "a training that cannot be": ["train", *TINY, "logger=wandb", "data.n_train=1", "data.batch_size=7"],
    "a dense sweep": ["train", "-m", *TINY, "logger=none", "optimizer.lr=0.1,0.2", "sweep.dense=true"],
}  # fmt: skip
SHORT = ("a fused sweep",)
AFTERWARDS = (
    ["runs", "--json", "--limit", "0"], ["compare", "--json"], ["doctor"], ["sync"], ["train", *TINY, "--cfg", "all"],
    ["sweeps", "--json"], ["replay", "{run}"], ["eval", "{run}"],
)  # fmt: skip
READING = (
    "tags=['${oc.env:NAME}']", "name=${oc.env:NAME}", "name=a${oc.env:NAME}b", "data.n_train=${oc.env:NAME}",
    "logger.wandb.notes=${oc.env:NAME}", "paths.runs=${oc.env:NAME}", "tags=['${oc.env:NAME,none}']",
    "tags=['${oc.decode:${oc.env:NAME}}']", "tags=['${oc.env:${name}}'] name=NAME", "sweep.name=${oc.env:NAME}",
    "tags=['${oc.select:x,${oc.env:NAME}}']", "hydra.job.name=${oc.env:NAME}", "hydra.sweep.dir=${oc.env:NAME}",
    "+paper.title=${oc.env:NAME}", "hydra.job.env_set.X=${oc.env:NAME} tags=['${hydra:job.env_set.X}']",
    "hydra.job.env_copy=[NAME] tags=['${hydra:job.env_copy}']",
)  # fmt: skip


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    seed = random.SystemRandom().randrange(10**9)
    secrets = {name: f"canary{random.Random(f'{seed}{name}').randbytes(17).hex()}" for name in (*VARIABLES, "netrc")}
    place = Place(folder, secrets)
    trainings = {name: TRAININGS[name] for name in (SHORT if short else TRAININGS)}
    broken = [f"{name}: {wrong}" for name, command in trainings.items() for wrong in place.wrongs(command)]
    if not short and not list(place.runs.glob("*/*/wandb/offline-run-*")):
        broken.append("W&B has kept nothing: this has tried nothing")
    yield Row("trainings and sweeps with W&B offline, in an environment of secrets", len(trainings), (*broken,),
              "results; of the environment, packages and hardware")  # fmt: skip
    run = next(path.parent.name for path in sorted(place.runs.glob("*/*/metrics.parquet")))
    commands = [["export", run], *([word.format(run=run) for word in each] for each in AFTERWARDS if not short)]
    broken = [f"{command[0]}: {wrong}" for command in commands for wrong in place.wrongs(command)]
    yield Row("what is exported and printed of them", len(commands), (*broken,), "the same")
    broken, tried = [], 0
    for written in READING[:: 16 if short else 1]:
        for name in VARIABLES[:1] if short else VARIABLES[:3]:
            overrides = written.replace("NAME", name).split(" ")
            tried += 1
            broken += [f"{overrides}: {wrong}" for wrong in place.wrongs(["train", *TINY, "logger=wandb", *overrides])]
    yield Row("configurations that read the environment", tried, (*broken,),
              "one message, that the variable would be written into the record, and how to allow it")  # fmt: skip
    looked = sum(1 for path in folder.rglob("*") if path.is_file())
    broken = list(place.written())
    yield Row(
        "files written, each searched, also inside archives and tables", looked, (*broken,), "none of the secrets"
    )


class Place:
    """A folder with a home in it, and an environment full of secrets.

    Args:
        secrets: by the names of variables; 'netrc' is the password in a file.
    """

    def __init__(self, folder: Path, secrets: Mapping[str, str]) -> None:
        self.folder, self.secrets, self.runs = folder, secrets, folder / "runs"
        home = folder / "home"
        home.mkdir()
        self.netrc = home / ".netrc"
        self.netrc.write_text(f"machine api.wandb.ai\n  login user\n  password {secrets['netrc']}\n")
        self.netrc.chmod(0o600)
        variables = {name: value for name, value in secrets.items() if name != "netrc"}
        variables["DATABASE_URL"] = f"postgresql://user:{variables['DATABASE_URL']}@127.0.0.1/lab"
        variables["HTTPS_PROXY"] = f"http://user:{variables['HTTPS_PROXY']}@127.0.0.1:9"
        own = {
            "HOME": str(home),
            "TMPDIR": str(home),
            "WANDB_MODE": "offline",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        }
        self.environment = {**os.environ, **variables, **own}

    def wrongs(self, command: list[str]) -> Iterator[str]:
        """Runs a command, and looks at what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "expkit", *command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            timeout=300,
        )
        for said in (done.stdout, done.stderr):
            yield from (f"printed {name}" for name in self.found(said))
        if done.returncode not in (0, 1, 2):
            yield f"it ended with {done.returncode}"
        if b"Traceback (most recent" in done.stderr:
            yield f"a traceback: {done.stderr[-300:].decode(errors='replace')!r}"

    def written(self) -> Iterator[str]:
        """The secrets in the files that there are."""
        for path in sorted(self.folder.rglob("*")):
            if path == self.netrc or path.is_symlink() or not path.is_file():
                continue
            names = {name for text in contents(path) for name in self.found(text)}
            names |= set(self.found(str(path.relative_to(self.folder)).encode()))
            yield from (f"{path.relative_to(self.folder)} has {name}" for name in sorted(names))

    def found(self, text: bytes) -> Iterator[str]:
        for name, secret in self.secrets.items():
            if any(form in text for form in forms(secret)):
                yield name


def forms(secret: str) -> Iterator[bytes]:
    """How a secret could be spelled."""
    plain = secret.encode()
    yield from (plain, plain[::-1], plain.hex().encode(), quote(secret).encode(), plain.decode().encode("utf-16-le"))
    for shift in range(3):  # a part of a longer text in Base64
        whole = base64.b64encode(bytes(shift) + plain)
        yield whole[4:-4]


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and of what is packed in it."""
    data = path.read_bytes()
    yield data
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    if data.startswith(b"\x1f\x8b"):
        yield gzip.decompress(data)
    if data.startswith(b"PAR1"):
        yield polars.read_parquet(path).write_json().encode()
    if data.startswith(b"SQLite format 3"):
        yield from _of_database(path)


def _of_database(path: Path) -> Iterator[bytes]:
    with sqlite3.connect(path) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    if isinstance(value, bytes) and value.startswith(b"PAR1"):
                        yield polars.read_parquet(io.BytesIO(value)).write_json().encode()
                    else:
                        yield str(value).encode()
