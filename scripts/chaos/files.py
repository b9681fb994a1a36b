"""Disks that fill up, folders that cannot be written, files that are damaged, a clock that steps back

After each fault the same command is given again, as a user would do it. It ends with the metrics of a run that nothing
happened to, bit for bit, or within rounding where it had been fused with others; all other records are as they were,
byte for byte; and what could not be done was said in a message without a traceback.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contents import changed, differing, finished, unlisted
from disks import may_mount, set_read_only, set_size, small_disk
from report import Row
from shell import Command, Shell

from expkit.records.index import NAME, Index
from expkit.records.record import RESULTS

TRAINING = (
    "train", "model=mlp", "model.width=8", "model.norm=batchnorm", "model.dropout=0.2", "data=wine",
    "data.batch_size=20", "optimizer=adamw", "callbacks=none", "logger=none", "trainer.eval_at=10",
    "trainer.checkpoint_steps=5",
)  # fmt: skip
BYSTANDER = (*TRAINING, "trainer.max_steps=5", "seed=9")
ONE_RUN = (*TRAINING, "trainer.max_steps=60", "probes=predictions")
FUSED = (*TRAINING, "-m", "seed=range(0,6)", "trainer.max_steps=30", "hydra/launcher=fused")
DENSE = (*TRAINING, "-m", "seed=range(0,20)", "trainer.max_steps=30", "sweep.dense=true", "hydra/launcher=fused")


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    seed = random.SystemRandom().randrange(10**6)
    with Shell(folder, warm=True) as shell:
        trial = Trial(shell, random.Random(seed), f"seed {seed}", short)
        trial.prepare()
        yield from damaged_records(trial)
        yield from damaged_index(trial)
        yield from full_disk(trial)
        yield from read_only_folder(trial)
        yield stepping_clock(trial)


@dataclass
class Trial:
    """Stores to break, and those that they are compared with."""

    shell: Shell
    draw: random.Random
    origin: str
    short: bool
    broken: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    tried: int = 0

    def prepare(self) -> None:
        """One store of each kind with the finished run and a bystander, and one in which the run was killed."""
        self.stores: dict[str, Path] = {}
        kinds = {"one": ONE_RUN} if self.short else {"one": ONE_RUN, "fused": FUSED, "dense": DENSE}
        for name, command in kinds.items():
            root, half = self.shell.folder / f"{name}-whole", self.shell.folder / f"{name}-half"
            assert self.shell.run(*BYSTANDER, "--runs", str(root)).status == 0
            shutil.copytree(root, half)
            done = self.shell.run(*command, "--runs", str(root))
            assert done.status == 0, done.err
            if name != "dense":
                self.kill_half_way(command, half)
            self.stores |= {name: root, f"half {name}": half}

    def kill_half_way(self, command: Sequence[str], root: Path) -> None:
        before = len(list(root.rglob("*.ckpt")))
        running = self.shell.start(*command, "--runs", str(root))
        while len(list(root.rglob("*.ckpt"))) == before and running.poll() is None:
            time.sleep(0.001)
        running.kill(signal.SIGKILL)
        running.wait(10)

    def copy(self, name: str, root: Path | None = None) -> Path:
        """A store to be broken."""
        root = root or self.shell.folder / "broken"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.stores[name], root)
        return root

    def again(self, what: str, kind: str, root: Path, apart: bool = False) -> Command:
        """Gives the command again, and looks at what comes of it.

        Args:
            apart: a fused run may have to be trained again by itself, in a stack of another size.
        """
        others = self.bystanders(root)
        command = self.shell.run(*COMMANDS[kind], "--runs", str(root))
        self.check_words(what, command, {0})
        found = differing(root, self.stores[kind], rounding=apart and kind == "fused")
        for wrong in (*changed(root, others), *unlisted(root), *found):
            self.say(what, wrong)
        return command

    def bystanders(self, root: Path) -> dict[str, dict[str, str]]:
        """The records that no fault was done to."""
        return {name: files for name, files in finished(root).items() if is_bystander(root / name)}

    def check_words(self, what: str, command: Command, statuses: set[int]) -> None:
        if command.status not in statuses:
            self.say(what, f"exit status {command.status}: {command.err}")
        if "Traceback" in command.err or "panicked" in command.err:
            self.say(what, f"a traceback: {command.err}")

    def say(self, what: str, wrong: str) -> None:
        self.broken.append(f"{what} ({self.origin}): {wrong}")

    def row(self, fault: str, seen: str = "") -> Row:
        """What was tried since the last one."""
        said = seen or "; ".join(f"{text} ({count})" for text, count in self.seen.most_common(4))
        row = Row(fault, self.tried, tuple(self.broken), said)
        self.broken, self.seen, self.tried = [], Counter(), 0
        return row


COMMANDS = {"one": ONE_RUN, "fused": FUSED, "dense": DENSE}

Damage = Callable[[Path, random.Random], None]


def truncated(path: Path, draw: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: draw.randrange(len(data))])


def garbled(path: Path, draw: random.Random) -> None:
    """One bit, or a stretch of bytes."""
    data = bytearray(path.read_bytes())
    begin = draw.randrange(len(data))
    if draw.random() < 0.5:
        data[begin] ^= 1 << draw.randrange(8)
    else:
        end = min(len(data), begin + draw.randrange(1, 200))
        data[begin:end] = draw.randbytes(end - begin)
    path.write_bytes(data)


def missing(path: Path, draw: random.Random) -> None:
    path.unlink()


DAMAGES: dict[str, tuple[Damage, int]] = {"truncated": (truncated, 1), "garbled": (garbled, 2), "missing": (missing, 1)}
"""Each with how often it is done to each file: at another place every time."""


def damaged_records(trial: Trial) -> Iterator[Row]:
    """Each file of a finished and of an interrupted record in turn, and of sweeps."""
    for name, root in list(trial.stores.items()):
        kind = name.removeprefix("half ")
        files = [path.relative_to(root) for path in files_of_records(root) if "seed: 9\n" not in config_of(path)]
        if name == "half dense":
            continue
        if kind == "one":
            what = "a finished record" if name == kind else "an interrupted record"
        else:
            what = f"a {kind} sweep that is {'finished' if name == kind else 'interrupted'}"
        for how, (damage, times) in DAMAGES.items():
            if trial.short and how != "garbled":
                continue
            chosen = trial.draw.sample(files, 1) if trial.short else files * times
            if kind != "one" and not trial.short:
                chosen = trial.draw.sample(chosen, min(len(chosen), 4))
            for file in chosen:
                one_damage(trial, name, file, how, damage)
            yield trial.row(f"a file of {what} {how}")


def is_bystander(folder: Path) -> bool:
    config = folder / "config.yaml"
    return config.exists() and "seed: 9\n" in config.read_text(errors="replace")


def files_of_records(root: Path) -> list[Path]:
    """All that is written to be read again; events, locks and the index are not."""
    inside = (path for path in root.rglob("*") if path.is_file() and path.name != ".lock" and path.stat().st_size)
    return sorted(path for path in inside if "events" not in path.parts and not path.name.startswith(NAME))


def config_of(path: Path) -> str:
    config = path.parent / "config.yaml"
    config = config if config.exists() else path.parents[1] / "config.yaml"
    return config.read_text() if config.exists() else ""


def one_damage(trial: Trial, name: str, file: Path, how: str, damage: Damage) -> None:
    root = trial.copy(name)
    what = f"{file} of {name} {how}"
    damage(root / file, trial.draw)
    trial.tried += 1
    Index(root).forget()
    if name == "one" and file.name in RESULTS and not any(Index(root).frame()["state"] == "damaged"):
        trial.say(what, "the record is not listed as damaged")
    command = trial.again(what, name.removeprefix("half "), root, apart=name == "fused")
    trial.seen[first_words(command.err) or ("resumed or done already, nothing to say")] += 1


def first_words(text: str) -> str:
    """The first line of what was said, without what is this run's own."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    return re.sub(r" \(/[^)]*\)|/\S*/|\b[0-9a-f]{12}\b", "", line)[:120]


def damaged_index(trial: Trial) -> Iterator[Row]:
    for how in ("deleted", "truncated", "garbled", "locked"):
        for _ in range(1 if trial.short else 5):
            root = trial.copy("one")
            path = root / NAME
            Index(root).frame()
            trial.tried += 1
            if how == "deleted":
                Index(root).forget()
            elif how == "locked":
                with locked(path):
                    list_runs(trial, root, how)
                continue
            else:
                DAMAGES[how][0](path, trial.draw)
            list_runs(trial, root, how)
        yield trial.row(f"the index {how}", "nothing: all runs were listed")
        if trial.short:
            return


class locked:
    """Another process has the index to itself."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> None:
        self.database.execute("BEGIN EXCLUSIVE")

    def __exit__(self, *_: object) -> None:
        self.database.close()


def list_runs(trial: Trial, root: Path, how: str) -> None:
    command = trial.shell.run("runs", "--json", "--runs", str(root))
    trial.check_words(f"index {how}", command, {0})
    states = sorted(run["status"] for run in command.printed or ())
    if states != ["complete", "complete"]:
        trial.say(f"index {how}", f"listed as {states}")


def full_disk(trial: Trial) -> Iterator[Row]:
    """Limits that let a run come a little further each time."""
    root = trial.shell.folder / "disk"
    sizes = [8] if trial.short else [1, 2, 4, 8, 12, 16, 24, 40]
    for kibibytes in sizes:
        trial.copy("one", root)
        shutil.rmtree(next(folder for folder in root.glob("*/*") if folder.is_dir() and not is_bystander(folder)))
        limited(trial, root, kibibytes)
    yield trial.row("a limit on the size of files, as of a quota")
    if trial.short:
        return
    if not may_mount(trial.shell.folder / "mount"):
        yield trial.row("a full disk", "not tried: this user may not mount a small one")
        return
    for kind in ("one", "fused", "dense"):
        for number in range(8):
            with small_disk(trial.shell.folder / "mount", 4000) as mount:
                filled(trial, kind, mount, number)
        yield trial.row(f"a disk that fills up under {'one run' if kind == 'one' else f'a {kind} sweep'}")


def limited(trial: Trial, root: Path, kibibytes: int) -> None:
    what = f"files of at most {kibibytes} KiB"
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({kibibytes} * 1024,) * 2)"
    trial.tried += 1
    command = trial.shell.run(*ONE_RUN, "--runs", str(root), prepare=limit)
    trial.check_words(what, command, {0, 1, 2})
    trial.seen[first_words(command.err) or "it fitted"] += 1
    trial.again(what, "one", root)


def filled(trial: Trial, kind: str, mount: Path, number: int) -> None:
    """The disk has room for the records that are there, and for a part of what the command writes."""
    what = f"disk full, {kind}, try {number}"
    root = mount / "runs"
    shutil.copytree(trial.stores[f"half {kind}"], root) if number % 2 else bystander_alone(trial, kind, root)
    used = used_kibibytes(mount)
    room = trial.draw.randrange(0, max(8, used_kibibytes(trial.stores[kind]) - used + 60))
    set_size(mount, used + room)
    trial.tried += 1
    others = trial.bystanders(root)
    command = trial.shell.run(*COMMANDS[kind], "--runs", str(root))
    trial.check_words(what, command, {0, 1, 2})
    for wrong in changed(root, others):
        trial.say(what, wrong)
    trial.seen[first_words(command.err) or "it fitted"] += 1
    set_size(mount, 64_000)
    trial.again(what, kind, root, apart=True)


def bystander_alone(trial: Trial, kind: str, root: Path) -> None:
    shutil.copytree(trial.stores[kind], root, ignore=shutil.ignore_patterns(".sweeps", f"{NAME}*"))
    for config in root.glob("*/*/config.yaml"):
        if not is_bystander(config.parent):
            shutil.rmtree(config.parent)


def used_kibibytes(folder: Path) -> int:
    return int(subprocess.run(["du", "-sk", folder], capture_output=True, text=True, check=True).stdout.split()[0])


def read_only_folder(trial: Trial) -> Iterator[Row]:
    if trial.short or not may_mount(trial.shell.folder / "mount"):
        return
    with small_disk(trial.shell.folder / "mount", 64_000) as mount:
        root = mount / "runs"
        shutil.copytree(trial.stores["one"], root)
        before = finished(root)
        set_read_only(mount, True)
        for command in (
            ("runs", "--json"),
            ("runs", "--rebuild"),
            ("compare",),
            BYSTANDER,
            ONE_RUN,
            (*ONE_RUN, "seed=3"),
            FUSED,
        ):
            trial.tried += 1
            done = trial.shell.run(*command, "--runs", str(root))
            trial.check_words(f"read-only, {' '.join(command[:1])}", done, {0, 1, 2})
            if done.status:
                trial.seen[first_words(done.err)] += 1
        set_read_only(mount, False)
        for wrong in changed(root, before):
            trial.say("read-only", wrong)
        yield trial.row("a run store that is read-only")
    for number in range(6):
        with small_disk(trial.shell.folder / "mount", 64_000) as mount:
            becomes_read_only(trial, mount, number)
    yield trial.row("a run store that becomes read-only during a run")


def becomes_read_only(trial: Trial, mount: Path, number: int) -> None:
    what, root = f"becomes read-only, try {number}", mount / "runs"
    shutil.copytree(trial.stores["half one"], root)
    command = trial.shell.start(*ONE_RUN, "--runs", str(root))
    command.ends_within(trial.draw.uniform(0.2, 2.0))
    for _ in range(200):
        try:
            set_read_only(mount, True)
            break
        except subprocess.CalledProcessError:  # just now a file is being written
            time.sleep(0.003)
    trial.tried += 1
    command.wait(60)
    trial.check_words(what, command, {0, 1, 2})
    trial.seen[first_words(command.err) or "it had ended before"] += 1
    set_read_only(mount, False)
    trial.again(what, "one", root)


STEPPING = """
import datetime, itertools, time
calls = itertools.count()
def late(): return -86400.0 * (next(calls) % {every} > {every} // 2)
now, now_ns, Real = time.time, time.time_ns, datetime.datetime
time.time = lambda: now() + late()
time.time_ns = lambda: now_ns() + int(late() * 1e9)
class Stepping(Real):
    @classmethod
    def now(cls, zone=None): return Real.now(zone) + datetime.timedelta(seconds=late())
import expkit.records.record, expkit.sweeps.sweep
expkit.records.record.datetime = expkit.sweeps.sweep.datetime = Stepping
"""


def stepping_clock(trial: Trial) -> Row:
    """The clock of the process steps back by a day and forth again, every few times that it is looked at."""
    kinds = ["one"] if trial.short else ["one", "fused", "dense"] * 2
    for number, kind in enumerate(kinds):
        root = trial.shell.folder / "clock"
        shutil.rmtree(root, ignore_errors=True)
        bystander_alone(trial, kind, root)
        trial.tried += 1
        what = f"clock, {kind}"
        command = trial.shell.run(*COMMANDS[kind], "--runs", str(root), prepare=STEPPING.format(every=2 + number))
        trial.check_words(what, command, {0})
        for wrong in (*unlisted(root), *differing(root, trial.stores[kind])):
            trial.say(what, wrong)
    return trial.row("the clock steps back by a day", "nothing: durations are from a clock that does not step")
