"""One of several processes is lost

A training over two processes (gloo, on the CPU) loses one of them at an instant drawn from its whole life, or one of
them is told to stop. The other has to end, by itself and soon, without a traceback and with words that name what was
lost, and nothing may stay behind. The same command is given again, and perhaps killed again; in the end the metrics are
those of a training that nobody disturbed, bit for bit.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from contents import differing, records
from report import Row
from shell import QUIET, Command, Shell

SOON = 30.0
LONGEST = 180.0

TRAINING = (
    "train", "model=mlp", "model.width=8", "model.dropout=0.3", "data=gaussian_mixture", "data.batch_size=21",
    "optimizer=adamw", "scheduler=warmup_cosine", "callbacks=ema", "logger=none",
    "trainer=ddp_cpu", "trainer.devices=2",
    "trainer.max_steps=60", "trainer.eval_at=7", "trainer.checkpoint_steps=6",
)  # fmt: skip
FORKED = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import forked_rank"


@dataclass(frozen=True)
class Case:
    """What is sent to which of the two processes, 0 or 1 (None: in turn), and how often."""

    name: str
    victim: int | None
    signals: Sequence[signal.Signals]
    times: int


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    seed = random.SystemRandom().randrange(10**6)
    kill, ask = (signal.SIGKILL,), (signal.SIGTERM, signal.SIGINT)
    warm = [
        Case("SIGKILL to the second process", 1, kill, 40),
        Case("SIGKILL to the first process", 0, kill, 24),
        Case("SIGTERM or SIGINT to the first process", 0, ask, 16),
        Case("SIGTERM to the second process", 1, ask[:1], 10),
    ]
    cold = [Case("SIGKILL to either process, in new interpreters", None, kill, 6)]
    if short:
        warm, cold = [Case("SIGKILL to either process", None, kill, 2)], []
    for cases, is_warm in ((warm, True), (cold, False)):
        if not cases:
            continue
        with Shell(folder / ("warm" if is_warm else "cold"), is_warm) as shell:
            reference = shell.folder / "whole"
            began = time.monotonic()
            whole = shell.run(*TRAINING, "--runs", str(reference), prepare=FORKED if is_warm else "", timeout=LONGEST)
            seconds = time.monotonic() - began
            assert whole.status == 0, whole.err
            for number, case in enumerate(cases):
                draw = random.Random(f"{seed} {number} {is_warm}")
                yield Ordeal(shell, case, reference, seconds, draw, f"seed {seed}").carry_out()
    if not short:
        yield of_torchrun(folder, random.Random(f"{seed} torchrun"), f"seed {seed}", times=3)


@dataclass
class Ordeal:
    """One case, and what has come of it so far."""

    shell: Shell
    case: Case
    reference: Path
    seconds: float  # that the training takes when it is left alone
    draw: random.Random
    origin: str
    broken: list[str] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    sent: int = 0

    def carry_out(self) -> Row:
        self.root = self.shell.folder / "lost"
        while self.sent < self.case.times:
            shutil.rmtree(self.root, ignore_errors=True)
            while self.sent < self.case.times and self.one_loss():
                pass
            command = self.start()
            if command.wait(LONGEST) != 0:
                self.say("the end", f"exit status {command.status}: {command.err}")
            for what in differing(self.root, self.reference):
                self.say("the end", what)
        seen = ", ".join(f"{count} {what}" for what, count in self.found.most_common())
        return Row(self.case.name, self.sent, tuple(self.broken), f"{seen}; over after at most {self.slowest:.0f} s")

    def one_loss(self) -> bool:
        """Starts the command and loses a process of it; False where the training came to its end before."""
        self.victim = self.sent % 2 if self.case.victim is None else self.case.victim
        command = self.start()
        started, instant = time.monotonic(), self.draw.uniform(0, self.seconds)
        number = self.draw.choice(self.case.signals)
        end = started + instant
        while (pid := self.found_victim(command)) is None and command.poll() is None:  # the second one comes later
            time.sleep(0.005)
        if command.ends_within(max(0.0, end - time.monotonic())) or pid is None:
            self.seconds = time.monotonic() - started  # the machine is quicker by now
            return False
        self.sent += 1
        others = {command.pid, *children(command.pid)}
        send(pid, number)
        began = time.monotonic()
        when = f"{number.name} to process {self.victim} after {instant:.3f} s"
        if command.wait(LONGEST) is None or not all_end(others, SOON):
            self.say(when, f"it did not end; it had said: {command.err}")
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.check(command, number, when)
        return True

    def start(self) -> Command:
        prepare = FORKED if self.shell.warm else ""
        return self.shell.start(*TRAINING, "--runs", str(self.root), prepare=prepare)

    def found_victim(self, command: Command) -> int | None:
        if self.victim == 0:
            return command.pid
        return next(iter(children(command.pid)), None)

    def check(self, command: Command, number: signal.Signals, when: str) -> None:
        status, said = command.status, command.err
        if status not in ((0, 1, 130) if self.victim == 1 else (0, 130, -number)):
            self.say(when, f"exit status {status}: {said}")
        if "Traceback" in said:
            self.say(when, f"a traceback: {said}")
        if status == 1 and f"Process 1 of this training was ended by {number.name}" not in said:
            self.say(when, f"it does not say what was lost: {said}")
        states = [record.state for record in records(self.root).values()]
        if not set(states) <= {"failed", "interrupted", "complete"}:
            self.say(when, f"the record is {states}")
        self.found[" and ".join(states) or "before there was a record"] += 1

    def say(self, when: str, what: str) -> None:
        self.broken.append(f"{self.case.name}, {self.origin}, number {self.sent}, {when}: {what}")


def of_torchrun(folder: Path, draw: random.Random, origin: str, times: int) -> Row:
    """One of two processes that torchrun has started is killed; torchrun ends the other."""
    root, reference = folder / "cold" / "torchrun", folder / "cold" / "whole"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "expkit"]
    command = [*torchrun, *TRAINING, "--runs", str(root)]
    broken: list[str] = []
    sent = 0
    for _ in range(times):
        agent = subprocess.Popen(command, env={**os.environ, **QUIET}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while len(children(agent.pid)) < 2 and agent.poll() is None:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 5.0))  # they load torch for about four seconds, and train for one
        workers = sorted(children(agent.pid))
        rank = draw.randrange(2)
        if agent.poll() is None and len(workers) == 2:
            send(workers[rank], signal.SIGKILL)
            sent += 1
        out, _ = agent.communicate(timeout=LONGEST)
        if not all_end(set(workers), SOON):
            broken.append(f"torchrun, {origin}, process {rank} killed: the other did not end; {out.decode()}")
    if (status := subprocess.run(command, env={**os.environ, **QUIET}, capture_output=True).returncode) != 0:
        broken.append(f"torchrun, {origin}: exit status {status} at the end")
    broken += [f"torchrun, {origin}: {what}" for what in differing(root, reference)]
    seen = "torchrun's report, which names the process; the same command went on"
    return Row("SIGKILL to one of two processes of torchrun", sent, tuple(broken), seen)


def children(pid: int) -> set[int]:
    """The processes that this one has started, and that have not ended."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.add(int(stat.parent.name))
    return found


def send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def all_end(pids: set[int], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(is_alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
