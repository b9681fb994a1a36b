"""All records under one folder."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from expkit.errors import UserError, did_you_mean
from expkit.records.record import Record


class Store:
    """`runs/<experiment>/<run id>/`, one folder per run."""

    def __init__(self, root: Path | str | None = None) -> None:
        """Opens `root`, or what the variable EXPKIT_RUNS names, or ./runs. Nothing is created."""
        self.root = Path(root or os.environ.get("EXPKIT_RUNS") or "runs")

    def record(self, experiment: str, run_id: str) -> Record:
        return Record((self.root / experiment / run_id).absolute())

    def __iter__(self) -> Iterator[Record]:
        """Every run, most recently started first."""
        files = self.root.glob("*/*/status.json")
        folders = sorted((path.parent for path in files), key=lambda folder: _age(folder / "config.yaml"), reverse=True)
        return (Record(folder.absolute()) for folder in folders)

    def find(self, which: str) -> Record:
        """A run by its folder, its id, or the beginning of its id.

        Raises:
            UserError: there is none, or more than one.
        """
        folder = Path(which)
        if (folder / "status.json").exists():
            return Record(folder.absolute())
        found = [Record(path.parent.absolute()) for path in self.root.glob(f"*/{glob.escape(which)}*/status.json")]
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(
                f"'{which}' is the beginning of {len(found)} runs.", did_you_mean("", (r.run_id for r in found))
            )
        raise UserError(
            f"There is no run '{which}' in {self.root}.",
            did_you_mean(which, (record.run_id for record in self))
            or "`expkit runs` lists runs; --runs DIR looks elsewhere.",
        )


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
