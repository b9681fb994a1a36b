"""The further processes of a distributed training: all but the first, which alone records and shows anything.

On one machine the first process starts them itself, as `python -m expkit.rank RUN_FOLDER`. Where something else has
started all of them with the same command line (torchrun, Slurm), each follows the first one's record.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from expkit.build import build
from expkit.compose import Composed
from expkit.engines.stopping import StopRequest
from expkit.identity import run_id
from expkit.records.metrics import MetricLog
from expkit.records.record import FINISHED, Record
from expkit.records.store import Store
from expkit.run import prepare


def number() -> int:
    """Which of the processes that a launcher has started this is; 0 without one."""
    return int(os.environ.get("RANK") or os.environ.get("SLURM_PROCID") or 0)


def follow(composed: Composed, force: bool) -> Record:
    """Trains along with the first process, once that has begun the run, unless the run is done already."""
    record = Store(composed.config["paths"]["runs"]).record(composed.name, run_id(composed.config))
    while record.state != "running":
        if record.state in FINISHED and not force:
            return record
        time.sleep(0.1)
    train_along(record)
    return record


def train_along(record: Record) -> None:
    """Takes part in the training of a run that another process records."""
    config = record.config
    training = prepare(config, record, MetricLog(record.metrics_file))
    training.log.path = None
    with StopRequest() as training.stop:
        build(config["trainer"], "trainer").fit(training)


if __name__ == "__main__":
    from expkit.engines.ranks import end_with_parent

    end_with_parent()
    train_along(Record(Path(sys.argv[1])))
