"""Killed at any instant

Real `expkit` processes get SIGKILL, SIGTERM or SIGINT at instants drawn from their whole life: while they compose,
train, save, write the index, schedule a sweep. The same command is then given again, and perhaps killed again, until it
has come to its end. After each kill all records that were finished are as they were, byte for byte, and the store can
be listed; at the end the metrics are those of the same command that nobody killed, bit for bit.
"""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contents import changed, differing, finished, records, unlisted
from report import Row
from shell import Command, Shell

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LONGEST = 120.0  # seconds that a command may take to end

# Everything that could be lost on the way: dropout, batch order, running statistics, momentum, schedule, averages.
TRAINING = (
    "train", "model=mlp", "model.width=8", "model.norm=batchnorm", "model.dropout=0.3", "data=wine",
    "data.batch_size=20", "optimizer=adamw", "scheduler=warmup_cosine", "logger=none", "trainer.eval_at=7",
)  # fmt: skip
ONE_RUN = (*TRAINING, "callbacks=ema", "trainer.max_steps=90", "trainer.checkpoint_steps=4")
SWEEP = (*TRAINING, "-m", "seed=range(0,5)", "callbacks=early_stopping", "callbacks.early_stopping.patience=2")
FUSED = (
    *SWEEP, "optimizer.lr=choice(0.01,0.1)", "trainer.max_steps=70", "trainer.checkpoint_steps=5",
    "hydra/launcher=fused",
)  # fmt: skip
DENSE = (
    *TRAINING, "-m", "seed=range(0,40)", "callbacks=none", "trainer.max_steps=60", "sweep.dense=true",
    "hydra/launcher=fused",
)  # fmt: skip
PROCESSES = (
    *SWEEP, "trainer.max_steps=60", "trainer.checkpoint_steps=5", "hydra/launcher=processes", "hydra.launcher.n_jobs=2",
)  # fmt: skip
STUDY = ("reproduce", "deep_interest_network", "--scale", "smoke", "--jobs", "2")
BEFORE = (*TRAINING, "callbacks=none", "trainer.max_steps=3", "seed=99")


@dataclass(frozen=True)
class Case:
    """A command to be killed so many times, in a store in which others were run before."""

    name: str
    command: Sequence[str]
    kills: int
    before: Sequence[str] = BEFORE


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    seed = random.SystemRandom().randrange(10**6)
    for is_warm, cases in (short_version() if short else long_version()).items():
        with Shell(folder / ("warm" if is_warm else "cold"), is_warm) as shell:
            for number, case in enumerate(cases):
                place = shell.folder / str(number)
                yield Ordeal(
                    shell, case, random.Random(f"{seed} {is_warm} {number}"), f"seed {seed}", place
                ).carry_out()


def short_version() -> dict[bool, list[Case]]:
    return {True: [Case("one run", ONE_RUN, 3, before=()), Case("a fused sweep of 10 runs", FUSED, 1, before=())]}


def long_version() -> dict[bool, list[Case]]:
    """Most in forks of a process that has loaded torch, for all that expkit itself does; some in new interpreters."""
    return {
        True: [
            Case("one run", ONE_RUN, 95),
            Case("a fused sweep of 10 runs", FUSED, 50),
            Case("a sweep of 40 runs recorded as one table", DENSE, 15),
            Case("`expkit runs --rebuild`", ("runs", "--rebuild", "--json"), 20, before=FUSED),
        ],
        False: [
            Case("one run, in a new interpreter", ONE_RUN, 12),
            Case("a sweep over two processes", PROCESSES, 8),
            Case("a study whose arms run side by side", STUDY, 8),
        ],
    }


@dataclass
class Ordeal:
    """One case, and what has come of it so far."""

    shell: Shell
    case: Case
    draw: random.Random
    origin: str
    place: Path
    broken: list[str] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    rounds: int = 0

    def carry_out(self) -> Row:
        self.before, self.reference, self.root = (self.place / name for name in ("before", "whole", "killed"))
        self.before.mkdir(parents=True)
        if self.case.before:
            self.must(*self.case.before, "--runs", str(self.before))
        shutil.copytree(self.before, self.reference)
        began = time.monotonic()
        self.must(*self.case.command, "--runs", str(self.reference))
        self.seconds = time.monotonic() - began
        while self.kills < self.case.kills:
            self.one_round()
        return Row(f"SIGKILL, SIGTERM or SIGINT to {self.case.name}", self.kills, tuple(self.broken), self.seen)

    def must(self, *command: str) -> None:
        done = self.shell.run(*command, timeout=LONGEST)
        assert done.status == 0, done.err

    def one_round(self) -> None:
        """A command that is given again and again, until it has come to its end."""
        self.rounds += 1
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.before, self.root)
        before = finished(self.root)
        while True:
            command = self.shell.start(*self.case.command, "--runs", str(self.root))
            instant = self.draw.uniform(0, self.seconds)
            if self.kills == self.case.kills or command.ends_within(instant):
                break
            self.kills += 1
            number = self.draw.choice(SIGNALS)
            command.kill(number)
            when = f"{number.name} after {instant:.3f} s"
            for what in (*self.end(command, number), *changed(self.root, before), *unlisted(self.root)):
                self.say(when, what)
            self.found[self.progress()] += 1
            before = finished(self.root)
        if command.wait(LONGEST) != 0:
            self.say("the end", f"exit status {command.status}: {command.err}")
        for what in (*changed(self.root, before), *unlisted(self.root), *differing(self.root, self.reference)):
            self.say("the end", what)

    def end(self, command: Command, number: signal.Signals) -> Iterator[str]:
        """How the command took it, where that is not as it should."""
        status = command.wait(LONGEST)
        if status not in (0, 130, -number):
            yield f"exit status {status}: {command.err}"
        if "Traceback" in command.err and status != -signal.SIGINT:  # which is Python's own end, before expkit begins
            yield f"a traceback: {command.err}"

    def progress(self) -> str:
        """How far the command was."""
        new = {name: record for name, record in records(self.root).items() if not (self.before / name).exists()}
        tables = any(self.root.glob(".sweeps/*/columns/*.parquet"))
        if tables or (new and all(record.is_finished for record in new.values())):
            return "at the end"
        if any(self.root.glob(".sweeps/*/stacks/*.ckpt")) or any(record.checkpoint.exists() for record in new.values()):
            return "between two checkpoints"
        return "before the first checkpoint" if new else "before there was a record"

    def say(self, when: str, what: str) -> None:
        self.broken.append(f"{self.case.name}, {self.origin}, kill {self.kills}, {when}: {what}")

    @property
    def seen(self) -> str:
        where = ", ".join(f"{count} {name}" for name, count in self.found.most_common())
        return f"{where}; the same command went on, {self.kills / max(self.rounds, 1):.1f} kills until it was through"
