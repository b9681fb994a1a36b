"""`python -m expkit.rank RUN_FOLDER`: a further process of a distributed training, started by its first process."""

from __future__ import annotations

import sys
from pathlib import Path

from expkit.build import build
from expkit.engines.ranks import end_with_parent
from expkit.engines.stopping import StopRequest
from expkit.records.metrics import MetricLog
from expkit.records.record import Record
from expkit.run import prepare


def main(folder: str) -> None:
    """Trains along with the first process; only that one records anything."""
    end_with_parent()
    record = Record(Path(folder))
    training = prepare(record.config, record, MetricLog(record.metrics_file))
    training.log.path = None
    with StopRequest() as training.stop:
        build(record.config["trainer"], "trainer").fit(training)


if __name__ == "__main__":
    main(sys.argv[1])
