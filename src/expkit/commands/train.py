"""`expkit train`: from overrides to records."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING

from expkit.outcome import Failure, Outcome
from expkit.overrides import recorded_in

if TYPE_CHECKING:
    from expkit.compose import Composed
    from expkit.views.view import View

EPILOG = """\
Overrides are Hydra's: group=option chooses a file of conf/<group>/, key.subkey=value sets a value.
  expkit train +experiment=grokking_xor optimizer.lr=0.05
  expkit train +experiment=grokking_xor scale=smoke
  expkit train model=cnn data=mnist1d optimizer=adamw trainer.max_steps=200
  expkit train -m +experiment=grokking_xor 'seed=range(0,5)' optimizer.lr=0.05,0.1
  expkit train -m data=wine 'optimizer.lr=logspace(-4,0,9)' hydra/launcher=processes
A run that is complete is not run again; an interrupted one goes on where it was saved.
"""


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    parser.add_argument("-m", "--multirun", action="store_true", help="run every combination of comma-separated values")
    parser.add_argument("--force", action="store_true", help="run again what is complete")
    parser.add_argument("--cfg", action="store_true", help="print the composed configuration and run nothing")
    parser.add_argument("--runs", metavar="DIR", help="where records go (default: $EXPKIT_RUNS, or ./runs)")


def train(options: argparse.Namespace) -> int:
    from expkit import compose, launch, views

    overrides = [*options.overrides, *([recorded_in(options.runs)] if options.runs else [])]
    if options.multirun:
        return train_many(overrides, options)
    composed = compose.compose(overrides)
    if options.cfg:
        return _print_config(composed, options.json)
    with _only_json(options.json):
        if not launch.is_first():
            return train_along(composed, options.force, options.debug)
        outcome = train_one(composed, views.one_run(options.json), options.force, options.debug)
    if options.json:
        print(json.dumps(outcome.as_json(), indent=2))
    return outcome.exit_status


def train_one(composed: Composed, view: View, force: bool, debug: bool) -> Outcome:
    """Runs what was composed; whatever goes wrong on the way is told and kept."""
    from expkit.run import run

    try:
        return Outcome(run(composed, view, force=force), overrides=composed.overrides)
    except Exception as error:
        if debug:
            raise
        outcome = Outcome(view.record, Failure.of(error), composed.overrides)
        view.failed(outcome)
        return outcome
    finally:
        view.close()


def train_along(composed: Composed, force: bool, debug: bool) -> int:
    """Takes part in a training that another process records and shows; speaks only of what goes wrong here."""
    from expkit.rank import follow

    try:
        follow(composed, force)
    except Exception as error:
        if debug:
            raise
        print(f"error: {Failure.of(error).message}", file=sys.stderr)
        return 1
    return 0


def train_many(overrides: Sequence[str], options: argparse.Namespace) -> int:
    """Runs a sweep, or what is left of it."""
    from expkit import views
    from expkit.sweeps.multirun import multirun
    from expkit.sweeps.sweep_job import Flags, SweepJob

    job = SweepJob(overrides, Flags(options.force, options.debug, quiet=options.json))
    try:
        with _only_json(options.json):
            outcomes = multirun(overrides, job)
    except KeyboardInterrupt:
        if job.sweep is not None:
            done = sum(outcome.state == "complete" for outcome in job.outcomes.values())
            print(f"\nStopped with {done} runs complete. It goes on with the same command, or with:", file=sys.stderr)
            print(f"  expkit resume {job.sweep.id}", file=sys.stderr)
        raise
    if options.json:
        print(json.dumps([outcome.as_json() for outcome in outcomes], indent=2))
    else:
        views.sweep_result(outcomes, job.sweep.id if job.sweep else None)
    return int(any(outcome.exit_status for outcome in outcomes))


@contextmanager
def _only_json(as_json: bool) -> Iterator[None]:
    """With --json, whatever a model or a library prints meanwhile goes to standard error."""
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        yield


def _print_config(composed: Composed, as_json: bool) -> int:
    from expkit import yaml_files

    if as_json:
        print(json.dumps(composed.config, indent=2))
    else:
        sys.stdout.write(yaml_files.written(composed.config))
    return 0
