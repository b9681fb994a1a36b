"""The arms of a study: one after the other here, or several at a time in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from expkit import views
from expkit.errors import UserError
from expkit.records.store import Store
from expkit.studies.plan import Arm
from expkit.studies.swept import Sweeping, Swept
from expkit.sweeps.executors.base import WorkerLostError
from expkit.sweeps.executors.calling import cores
from expkit.sweeps.executors.processes import Processes, gpus
from expkit.sweeps.sweep import FOLDER, Sweep, runs, sweep_id
from expkit.sweeps.sweep_job import Flags

MOST = 8
"""Arms at once unless the user says otherwise: each process holds torch, and data of its own."""


def at_a_time(overrides: Sequence[str]) -> int:
    """How many arms to run at once: one for each GPU, or for each core; one where overrides say how runs launch.

    Small networks hardly use two cores, and a program is compiled by one: two arms side by side are quicker than one
    after the other. More than one for each core push each other's data out of its cache, which costs up to a third.
    """
    return 1 if _says_how(overrides) else min(len(gpus()) or cores(), MOST)


def sweep_all(
    experiment: str,
    arms: Sequence[Arm],
    store: Store,
    flags: Flags,
    jobs: int = 1,
    say: Callable[[str], None] = lambda message: None,
) -> list[Swept]:
    """Runs what is missing of all arms.

    Args:
        experiment: whose study they are of.
        arms: of it.
        store: where their runs are recorded.
        flags: of their sweeps.
        jobs: arms that are run at once, if more than one in a process each.
        say: is told what starts, or has ended.

    Raises:
        UserError: an arm cannot be composed, or the process that ran it was lost.
        KeyboardInterrupt: they were stopped.
    """
    jobs = min(jobs, len(arms))
    if jobs == 1:
        here = []
        for arm in arms:
            say(f"{experiment}: {runs(len(arm.jobs))}{f' of arm {arm.name}' if len(arms) > 1 else ''}")
            here.append(Sweeping(store, flags)(arm))
        return here
    say(f"{experiment}: {len(arms)} arms, {jobs} at a time")
    # What is not fused is run where its arm is: the other cores have arms of their own.
    alone = () if any(_says_how(arm.overrides) for arm in arms) else ("hydra.launcher.n_jobs=1",)
    work = Sweeping(store, replace(flags, quiet=True), alone)
    sweeps = {arm.name: Sweep(store.root / FOLDER / sweep_id(experiment, arm.overrides)) for arm in arms}
    found: dict[int, Swept] = {}
    with views.many_arms(sweeps, flags.quiet) as ended:
        for place, came in Processes(jobs).run(work, arms):
            arm = arms[place]
            if isinstance(came, WorkerLostError):
                raise UserError(
                    f"Arm {arm.name} of {experiment} was not finished: {came}.",
                    "The same command goes on from what was saved; --jobs 1 takes less memory.",
                )
            found[place] = came
            ended(arm.name)
            say(f"{experiment}: arm {arm.name} is done, {runs(len(came.frame))}")
    return [found[place] for place in range(len(arms))]


def _says_how(overrides: Sequence[str]) -> bool:
    return any(override.lstrip("+~").startswith(("hydra/launcher", "hydra.launcher")) for override in overrides)
