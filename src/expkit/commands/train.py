"""`expkit train`: from overrides to records."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from expkit.errors import UserError
from expkit.outcome import Outcome

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from expkit.compose import Composed
    from expkit.views.view import View

EPILOG = """\
Overrides are Hydra's: group=option chooses a file of conf/<group>/, key.subkey=value sets a value.
  expkit train +experiment=grokking_xor optimizer.lr=0.05
  expkit train +experiment=grokking_xor scale=smoke
  expkit train model=cnn data=mnist1d optimizer=adamw trainer.max_steps=200
  expkit train -m +experiment=grokking_xor 'seed=range(0,5)' optimizer.lr=0.05,0.1
A run that is complete is not run again; an interrupted one goes on where it was saved.
"""


LOOKED_AT = 100  # jobs with an error that are composed by themselves, to tell where it is


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    parser.add_argument("-m", "--multirun", action="store_true", help="run every combination of comma-separated values")
    parser.add_argument("--force", action="store_true", help="run again what is complete")
    parser.add_argument("--cfg", action="store_true", help="print the composed configuration and run nothing")
    parser.add_argument("--runs", metavar="DIR", help="where records go (default: $EXPKIT_RUNS, or ./runs)")


def train(options: argparse.Namespace) -> int:
    from expkit import compose, rank, views

    overrides = [*options.overrides, *([f"paths.runs={options.runs}"] if options.runs else [])]
    if options.multirun:
        return _train_many(overrides, options)
    composed = compose.compose(overrides)
    if options.cfg:
        return _print_config(composed, options.json)
    outcome = train_one(composed, views.one_run(options.json), options.force, options.debug)
    if rank.number():  # the first process says how it went
        return 0
    if options.json:
        print(json.dumps(outcome.as_json(), indent=2))
    return outcome.exit_status


def train_one(composed: Composed, view: View, force: bool, debug: bool) -> Outcome:
    """Runs what was composed; whatever goes wrong on the way is told and kept."""
    from expkit import rank
    from expkit.run import run

    if rank.number():
        return Outcome(rank.follow(composed, force), overrides=composed.overrides)
    try:
        return Outcome(run(composed, view, force=force), overrides=composed.overrides)
    except Exception as error:
        if debug:
            raise
        outcome = Outcome(view.record, error, composed.overrides)
        view.failed(outcome)
        return outcome
    finally:
        view.close()


def _train_many(overrides: list[str], options: argparse.Namespace) -> int:
    from expkit import views
    from expkit.sweeps.multirun import multirun

    outcomes = multirun(overrides, SweepJob(overrides, options))
    if options.json:
        print(json.dumps([outcome.as_json() for outcome in outcomes], indent=2))
    else:
        views.sweep_result(outcomes)
    return max((outcome.exit_status for outcome in outcomes if outcome.exit_status == 130), default=0) or int(
        any(outcome.exit_status for outcome in outcomes)
    )


class SweepJob:
    """What a launcher calls for each run of a sweep, or at once for many; can be sent to another process."""

    def __init__(self, given: list[str], options: argparse.Namespace) -> None:
        from expkit.compose import expand

        self.options = options
        self._given = {override.lstrip("+~").partition("=")[0] for override in given}
        self._shared = set(expand(given))  # what the whole sweep has in common, with what a scale stands for

    def __call__(self, config: DictConfig) -> Outcome:
        """One run, from what Hydra composed for it."""
        from hydra.core.hydra_config import HydraConfig

        from expkit import compose

        hydra = HydraConfig.get()
        own = self._own(hydra.overrides.task)
        return self._run(hydra.job.num, own, lambda: compose.resolve(config, hydra.runtime.choices, own))

    def validate(self, jobs: Sequence[Sequence[str]]) -> None:
        """Refuses the sweep if Hydra cannot compose one of its jobs; a value that is wrong fails its own job only."""
        from expkit.compose import load
        from expkit.errors import ConfigError
        from expkit.sweeps.jobs import compose_jobs

        own = [self._own(overrides) for overrides in jobs]
        wrong = [
            overrides for overrides, one in zip(own, compose_jobs([], own), strict=True) if isinstance(one, ConfigError)
        ]
        for overrides in wrong[:LOOKED_AT]:
            load(overrides)

    def many(self, jobs: list[list[str]], first: int) -> list[Outcome]:
        """All of them, fused where they can be; `first` is the number of the first."""
        from expkit.sweeps.fused import run_jobs
        from expkit.sweeps.jobs import compose_jobs

        own = [self._own(overrides) for overrides in jobs]
        composed = compose_jobs([], own)
        outcomes: dict[int, Outcome] = {}
        good: list[tuple[int, Composed]] = []
        for number, one in enumerate(composed):
            if isinstance(one, UserError):
                outcomes[number] = Outcome(None, one, own[number])
                self._view(first + number, own[number]).failed(outcomes[number])
            else:
                good.append((number, one))
        ran = run_jobs(
            [one for _, one in good],
            [self._view(first + number, own[number]) for number, _ in good],
            self.options.force,
            alone=lambda place: self._run(first + good[place][0], own[good[place][0]], lambda: good[place][1]),
            note=lambda text: print(text, file=sys.stderr),
        )
        outcomes |= {number: outcome for (number, _), outcome in zip(good, ran, strict=True)}
        return [outcomes[number] for number in range(len(jobs))]

    def _run(self, number: int, own: list[str], compose: Callable[[], Composed]) -> Outcome:
        view = self._view(number, own)
        try:
            composed = compose()
        except UserError as error:
            outcome = Outcome(None, error, own)
            view.failed(outcome)
            return outcome
        outcome = train_one(composed, view, self.options.force, self.options.debug)
        if outcome.state == "interrupted":  # whoever stops a run of a sweep wants the sweep to stop
            raise KeyboardInterrupt
        return outcome

    def _own(self, overrides: Sequence[str]) -> list[str]:
        """A job's overrides without those that a scale stands for, unless they were given as well."""
        return [o for o in overrides if o.partition("=")[0] in self._given or o not in self._shared]

    def _view(self, number: int, own: list[str]) -> View:
        from expkit import views

        varied = [override for override in own if override not in self._shared]
        return views.run_of_sweep(number, varied or own, self.options.json)


def _print_config(composed: Composed, as_json: bool) -> int:
    import yaml

    if as_json:
        print(json.dumps(composed.config, indent=2))
    else:
        sys.stdout.write(yaml.safe_dump(composed.config, sort_keys=False))
    return 0
