"""Many processes on one store, and processes that are killed or run out of memory beneath a run

Several commands at once want the same runs; the workers, the W&B process or the memory of a training go away under it;
a loss is no number any more. Every run comes to its end once, with the metrics of a run that nothing happened to, or is
reported with the reason, while the others go on.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psutil
from contents import changed, differing, finished, records, same, unlisted
from report import Row
from shell import Command, Shell

TRAINING = (
    "train", "model=mlp", "model.width=8", "data=wine", "data.batch_size=20", "optimizer=adamw",
    "callbacks=none", "trainer.eval_at=10", "trainer.checkpoint_steps=5",
)  # fmt: skip
QUIET = (*TRAINING, "logger=none")
ONE_RUN = (*QUIET, "trainer.max_steps=60")
SWEEP = (*QUIET, "trainer.max_steps=60", "-m", "seed=range(0,4)", "hydra/launcher=fused")
SEVERAL = (*QUIET, "trainer.max_steps=60", "-m", "hydra/launcher=serial")
LONG = (*QUIET, "trainer.max_steps=200", "trainer.checkpoint_steps=20", "-m")

LONGEST = 600.0  # seconds that a command may take


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    seed = random.SystemRandom().randrange(10**6)
    with Shell(folder, warm=True) as shell:
        ordeal = Ordeal(shell, random.Random(seed), f"seed {seed}")
        for count, times in ((2, 1),) if short else ((2, 6), (8, 2)):
            yield same_run(ordeal, count, times)
        if not short:
            yield same_sweep(ordeal, 8)
            yield overlapping_sweeps(ordeal, 8)
        yield out_of_memory(ordeal, 1 if short else 3)
        yield not_a_number(ordeal, ["fused"] if short else ["fused", "serial"])
        if not short:
            yield wandb_killed(ordeal, 4)
            yield worker_killed(ordeal, 4)
            yield ray_worker_killed(ordeal)
            yield ray_node_killed(ordeal)


@dataclass
class Ordeal:
    """Where commands are started, and what has come of the fault that is done to them now."""

    shell: Shell
    draw: random.Random
    origin: str
    broken: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    tried: int = 0
    stores: int = 0

    def store(self) -> Path:
        """A new one."""
        self.stores += 1
        return self.shell.folder / f"store-{self.stores}"

    @cached_property
    def sweep(self) -> Path:
        """The reference of SWEEP."""
        return self.reference(*SWEEP)

    def reference(self, *command: str) -> Path:
        """A store in which the command was run, and nothing else happened."""
        root = self.store()
        done = self.shell.run(*command, "--runs", str(root), timeout=LONGEST)
        assert done.status == 0, done.err
        return root

    def check(self, what: str, command: Command, statuses: Sequence[int], words: str = "") -> None:
        """How a command ended, and what it said."""
        status = command.wait(LONGEST)
        if status not in statuses:
            self.say(what, f"exit status {status}: {command.err}")
        if "Traceback" in command.err:
            self.say(what, f"a traceback: {command.err}")
        if words not in command.err + command.out:
            self.say(what, f"nothing said of '{words}': {command.err}")

    def compare(self, what: str, root: Path, reference: Path) -> None:
        for wrong in (*unlisted(root), *differing(root, reference)):
            self.say(what, wrong)

    def say(self, what: str, wrong: str) -> None:
        self.broken.append(f"{what} ({self.origin}): {wrong}")

    def row(self, fault: str, seen: str) -> Row:
        """What was done since the last one."""
        row = Row(fault, self.tried, tuple(self.broken), seen)
        self.broken, self.seen, self.tried = [], Counter(), 0
        return row


def same_run(ordeal: Ordeal, count: int, times: int) -> Row:
    reference = ordeal.reference(*ONE_RUN)
    what = f"{count} processes, one run"
    for _ in range(times):
        root = ordeal.store()
        commands = [ordeal.shell.start(*ONE_RUN, "--runs", str(root)) for _ in range(count)]
        for command in commands:
            ordeal.check(what, command, [0])
        ordeal.tried += 1
        ordeal.compare(what, root, reference)
        (record,) = records(root).values()
        if record.status["attempts"] != 1:
            ordeal.say(what, f"it was run {record.status['attempts']} times")
    return ordeal.row(f"{count} processes start the same run at once", "one runs it, the others say so and wait for it")


def same_sweep(ordeal: Ordeal, count: int) -> Row:
    what, root = f"{count} processes, one sweep", ordeal.store()
    commands = [ordeal.shell.start(*SWEEP, "--runs", str(root)) for _ in range(count)]
    for command in commands:
        ordeal.check(what, command, [0, 1], "sweep")
        ordeal.tried += 1
    if not any(command.status == 0 for command in commands):
        ordeal.say(what, "none has come to its end")
    ordeal.compare(what, root, ordeal.sweep)
    return ordeal.row(
        f"{count} processes start the same sweep at once", "who comes second is told which process has it"
    )


def overlapping_sweeps(ordeal: Ordeal, count: int) -> Row:
    """Each has two runs that others have, too; meanwhile the store is listed again and again."""
    reference = ordeal.reference(*SEVERAL, f"seed=range(0,{count + 1})")
    what, root = f"{count} sweeps of overlapping runs", ordeal.store()
    sweeps = [(*SEVERAL, f"seed={number},{number + 1}") for number in range(count)]
    commands = [ordeal.shell.start(*sweep, "--runs", str(root)) for sweep in sweeps]
    while any(command.poll() is None for command in commands):
        ordeal.check(f"{what}: listing", ordeal.shell.run("runs", "--json", "--runs", str(root)), [0])
    for command in commands:
        ordeal.check(what, command, [0])
        ordeal.tried += 1
    ordeal.compare(what, root, reference)
    return ordeal.row(
        f"{count} sweeps with runs in common, in as many processes, and a reader", "each run was run once"
    )


LIMITED = """
import torch
from expkit.engines.fused.stacked_training import StackedTraining
from expkit.engines.lightning import LightningEngine
advance, fit = StackedTraining.advance, LightningEngine.fit
def allocate(): torch.empty(2**62, dtype=torch.uint8)
def limited_advance(self):
    if {seed} in self.seeds and self.step >= {step}: allocate()
    advance(self)
def limited_fit(self, training):
    if {seed} == training.seed: allocate()
    return fit(self, training)
StackedTraining.advance, LightningEngine.fit = limited_advance, limited_fit
"""


def out_of_memory(ordeal: Ordeal, times: int) -> Row:
    """One run of four takes more memory than there is, in whatever stack it is and alone."""
    for _ in range(times):
        root, seed, step = ordeal.store(), ordeal.draw.randrange(4), ordeal.draw.choice([0, 7, 33])
        what = f"out of memory in seed {seed} at step {step}"
        limit = LIMITED.format(seed=seed, step=step)
        ordeal.tried += 1
        command = ordeal.shell.run(*SWEEP, "--runs", str(root), prepare=limit)
        ordeal.check(what, command, [1], "can't allocate memory")
        states = Counter(record.state for record in records(root).values())
        if states != {"complete": 3, "failed": 1}:
            ordeal.say(what, f"the runs are {dict(states)}")
        before = finished(root)
        ordeal.check(what, ordeal.shell.run(*SWEEP, "--runs", str(root)), [0])
        for wrong in (*changed(root, before), *unlisted(root), *differing(root, ordeal.sweep, rounding=True)):
            ordeal.say(what, wrong)
    return ordeal.row(
        "one run of a fused sweep needs more memory than there is",
        "that run failed: 'can't allocate memory'; the others completed, and the same command made up for it",
    )


def not_a_number(ordeal: Ordeal, launchers: Sequence[str]) -> Row:
    """Each seed once with the learning rate that SWEEP has, and once with one that is far too large."""
    for launcher in launchers:
        what, root = f"NaN, {launcher}", ordeal.store()
        command = (*SWEEP, "optimizer.lr=1e-3,1e30", f"hydra/launcher={launcher}", "--runs", str(root))
        done = ordeal.shell.run(*command)
        ordeal.tried += 4
        ordeal.check(what, done, [1], "not finite")
        states = Counter(record.state for record in records(root).values())
        if states != {"complete": 4, "diverged": 4}:
            ordeal.say(what, f"the runs are {dict(states)}")
        there = records(root)
        for name, record in records(ordeal.sweep).items():  # rounding depends on how many runs are fused
            if not same(there[name], record, rounding=True):
                ordeal.say(what, f"{name}, which did not diverge, has other metrics")
    return ordeal.row(
        "the loss of some runs of a sweep is NaN", "'diverged: the loss is not finite any more', and status 1"
    )


def wandb_killed(ordeal: Ordeal, times: int) -> Row:
    """The process that writes to W&B, or the service that it has started itself, in turn."""
    reference = ordeal.reference(*ONE_RUN, "trainer.max_steps=400")
    command = (*TRAINING, "logger=wandb", "logger.wandb.mode=offline", "trainer.max_steps=400")
    for number in range(times):
        what, root = f"W&B killed, try {number}", ordeal.store()
        running = ordeal.shell.start(*command, "--runs", str(root))
        victim = wait_for(lambda pid=running.pid, number=number: wandb_process(pid, number % 2), running)
        if victim is None:
            ordeal.say(what, f"its process was not found: {running.err}")
            continue
        running.ends_within(ordeal.draw.uniform(0, 0.5))
        with suppress(psutil.Error):
            victim.kill()
        ordeal.tried += 1
        ordeal.check(what, running, [0])
        ordeal.seen["W&B" in running.err] += 1
        ordeal.compare(what, root, reference)
    return ordeal.row(
        "W&B's process, or its service, killed during a run", "the run went on; at most one warning about W&B"
    )


def wandb_process(pid: int, service: bool) -> psutil.Process | None:
    for child in children(pid):
        with suppress(psutil.Error):
            line = " ".join(child.cmdline())
            if ("wandb-core" in line) if service else ("wandb_writer" in line):
                return child
    return None


def worker_killed(ordeal: Ordeal, times: int) -> Row:
    command = (*LONG, "seed=range(0,4)", "hydra/launcher=processes", "hydra.launcher.n_jobs=2")
    reference = ordeal.reference(*command)
    for number in range(times):
        what, root = f"worker of a pool killed, try {number}", ordeal.store()
        running = ordeal.shell.start(*command, "--runs", str(root))
        victim = wait_for(lambda pid=running.pid, root=root: worker_that_trains(pid, root), running)
        if victim is None:
            ordeal.say(what, f"no worker has trained: {running.err}")
            continue
        running.ends_within(ordeal.draw.uniform(0, 1.0))
        with suppress(psutil.Error):
            victim.kill()
        ordeal.tried += 1
        ordeal.check(what, running, [0])
        ordeal.seen["A worker was lost" in running.err] += 1
        ordeal.compare(what, root, reference)
    said = f"'A worker was lost with 2 runs ..., which are done again' ({ordeal.seen[True]} of {ordeal.tried} times)"
    return ordeal.row("a worker of hydra/launcher=processes killed", said)


def worker_that_trains(pid: int, root: Path) -> psutil.Process | None:
    if not any(root.rglob("*.ckpt")):
        return None
    return next((child for child in children(pid) if "executors.processes" in " ".join(child.cmdline())), None)


OVER_RAY = (*LONG, "trainer.max_steps=2000", "seed=range(0,2)", "hydra/launcher=ray")


def ray_worker_killed(ordeal: Ordeal) -> Row:
    reference = ordeal.reference(*OVER_RAY)
    what, root = "Ray worker killed", ordeal.store()
    running = killed_over_ray(ordeal, what, root, "ray::_make")
    ordeal.check(what, running, [0])
    ordeal.compare(what, root, reference)
    said = next((line for line in running.err.splitlines() if "lost" in line), "nothing")
    return ordeal.row("a Ray worker killed", f"'{said[:110]}'")


def ray_node_killed(ordeal: Ordeal) -> Row:
    """The one node that there is: its workers may end what they have begun, and the same command does the rest."""
    reference = ordeal.reference(*OVER_RAY)
    what, root = "Ray node killed", ordeal.store()
    running = killed_over_ray(ordeal, what, root, "raylet")
    ordeal.check(what, running, [0, 1])
    lines = [line for line in running.err.splitlines() if "lost" in line or "error:" in line]
    said = f"'{lines[0][:110]}'" if lines else "its workers went on to the end"
    before = finished(root)
    ordeal.check(what, ordeal.shell.run(*OVER_RAY, "--runs", str(root), timeout=LONGEST), [0])
    for wrong in changed(root, before):
        ordeal.say(what, wrong)
    ordeal.compare(what, root, reference)
    return ordeal.row(
        "the node of a Ray cluster killed", f"{said}; the same command then finds all complete or goes on"
    )


def killed_over_ray(ordeal: Ordeal, what: str, root: Path, name: str) -> Command:
    """A sweep over Ray, of which a process with this name was killed once something was saved."""
    running = ordeal.shell.start(*OVER_RAY, "--runs", str(root))
    victim = wait_for(lambda: ray_process(running.pid, name, root), running)
    if victim is None:
        ordeal.say(what, f"no process {name} has trained: {running.err}")
    else:
        victim.kill()
        ordeal.tried += 1
    return running


def ray_process(pid: int, name: str, root: Path) -> psutil.Process | None:
    """A worker at work, or the node's own process, once something was saved."""
    if not any(root.rglob("*.ckpt")):
        return None
    found = [child for child in children(pid) if name in " ".join(child.cmdline()) and "IDLE" not in child.cmdline()[0]]
    return found[0] if found else None


def children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def wait_for(look: Callable[[], psutil.Process | None], running: Command) -> psutil.Process | None:
    """What a look finds while a command is running."""
    while running.poll() is None:
        with suppress(psutil.Error):
            if (found := look()) is not None:
                return found
        time.sleep(0.01)
    return None
