"""The further processes of a distributed training: all but the first, which alone records and shows anything.

On one machine the first process starts them itself, as `python -m expkit.rank RUN_FOLDER`. Where something else has
started all of them with the same command line (torchrun, Slurm), each follows the first one's record.
"""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path

from expkit import launch
from expkit.build import build
from expkit.compose import Composed
from expkit.engines.observer import Observer
from expkit.engines.parent import end_with_parent, tell_parent
from expkit.engines.stopping import StopRequest
from expkit.errors import UserError
from expkit.identity import run_id
from expkit.outcome import Failure
from expkit.records.files import read_json
from expkit.records.metrics import MetricLog
from expkit.records.record import FINISHED, Record
from expkit.records.store import Store
from expkit.run import load_torch, prepare

PATIENCE = 60.0
"""Seconds that the first process may take to begin a run again whose last attempt failed."""


def follow(composed: Composed, force: bool) -> None:
    """Trains along with the first process, once that has begun the run, unless the run is done already.

    Raises:
        UserError: the first process failed before the training began, or one is lost on the way.
    """
    record = Store(composed.config["paths"]["runs"]).record(composed.name, run_id(composed.config))
    if _is_begun(record, force):
        train_along(record)


def train_along(record: Record) -> None:
    """Takes part in the training of a run that another process records."""
    with StopRequest() as stop:
        load_torch()
        config = record.config
        observer = _Silent()
        training = prepare(config, record, MetricLog(record.metrics_file), observer.warn)
        training.log.path = None
        training.observer, training.stop = observer, stop
        build(config["trainer"], "trainer").fit(training)


class _Silent(Observer):
    """The first process says everything."""

    def warn(self, message: str) -> None:
        pass


def _is_begun(record: Record, force: bool) -> bool:
    """Waits for the first process; whether there is something to do."""
    failed_since = None
    while True:
        status = read_json(record.folder / "status.json") or {}
        state, ours = status.get("status"), status.get("launch") == launch.name()
        if state == "running" and ours:
            return True
        if state in FINISHED and record.is_finished and not force:  # which a damaged record is not
            return False
        if not (ours and state in ("failed", "interrupted")):
            failed_since = None
        elif failed_since is None:
            failed_since = time.monotonic()
        elif time.monotonic() - failed_since > PATIENCE:
            raise UserError(f"The first process did not come to train: {record.as_json().get('error') or state}")
        time.sleep(0.1)


def _main(folder: Path) -> int:
    end_with_parent()
    try:
        train_along(Record(folder))
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        message = " ".join(Failure.of(error).message.split())
        tell_parent(f"{message}\n{traceback.format_exc()}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
