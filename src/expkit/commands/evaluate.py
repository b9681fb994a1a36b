"""`expkit eval`: a recorded run's checkpoint, on its own data or on others."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from expkit.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from expkit.records.record import Record

EPILOG = """\
  expkit eval 3f2a                                    all splits of the run's own data
  expkit eval 3f2a --split test data.seed=7           the test split of data drawn anew
  expkit eval 3f2a data.n_test=100000 data.mean_norm=10
  expkit eval 3f2a data=two_moons                     another data set, if the model accepts it
Overrides may change the data and the task; the model and its weights are the run's.
"""


def add_eval_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("run", metavar="RUN", help="a run id, the beginning of one, or a run's folder")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE")
    parser.add_argument("--split", help="only this split (default: all)")
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")


def eval(options: argparse.Namespace) -> None:
    from expkit.records.store import Store

    record = Store(options.runs).find(options.run)
    if not record.checkpoint.exists():
        raise UserError(f"Run {record.run_id} has no checkpoint: it is {record.state}.", "Run it again to make one.")
    metrics = evaluate(record, options.overrides, options.split)
    if options.json:
        fields = {"run_id": record.run_id, "experiment": record.experiment, "overrides": options.overrides}
        print(json.dumps({**fields, "metrics": metrics}, indent=2))
    else:
        _print(record, options.overrides, metrics)


def evaluate(record: Record, overrides: list[str], split: str | None = None) -> dict[str, float]:
    """The task's metrics of a run's last checkpoint, by split, with overrides of its data and task."""
    from expkit.compose import check, compose

    config = record.config
    if overrides:
        # What the run was made of stands; the overrides are composed as if they had been given with the run's own.
        changed = compose([*record.status.get("overrides", []), *overrides])
        config = {**config, "data": changed.config["data"], "task": changed.config["task"]}
    check(config)  # a record may come from anybody
    from expkit.build import build
    from expkit.records.checkpoint import read_checkpoint
    from expkit.run import prepare_task

    data = build(config["data"], "data")
    data.setup()
    if split is not None and split not in data.splits:
        raise UserError(f"The data have no split '{split}'.", did_you_mean(split, data.splits))
    task = prepare_task(config)
    task.check(data.splits["test" if "test" in data.splits else "train"])
    checkpoint = read_checkpoint(record.checkpoint)
    try:
        task.load_state_dict(checkpoint["state_dict"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise UserError(
            f"{record.checkpoint} is not a checkpoint of this run's model: {str(error).splitlines()[0]}",
            "Another version of the code may have written it, or somebody else.",
        ) from error
    task.eval()
    return {
        f"{name}/{metric}": value
        for name, values in data.splits.items()
        if split in (None, name)
        for metric, value in task.evaluate(values).items()
    }


def _print(record: Record, overrides: list[str], metrics: dict[str, Any]) -> None:
    from rich.text import Text

    from expkit.views.console import new_console
    from expkit.views.terminal import metric_grid

    console = new_console()
    console.print(Text(f"{record.experiment} {record.run_id}  {' '.join(overrides)}".rstrip(), style="bold"))
    console.print(metric_grid({"step": record.summary.get("step", 0), **metrics}))
