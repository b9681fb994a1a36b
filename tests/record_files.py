"""Records written as files, for tests of what reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def write_record(
    root: Path,
    run: str,
    state: str = "complete",
    config: Mapping[str, Any] | None = None,
    summary: Mapping[str, Any] | None = None,
    started: str = "2026-01-01T00:00:00+00:00",
) -> Path:
    """A record named as `<experiment>/<run id>`; one that is there already is replaced, file by file, as runs do."""
    folder = root / run
    folder.mkdir(parents=True, exist_ok=True)
    status = {"run_id": folder.name, "status": state, "overrides": [], "started": started, "seconds": 1.5}
    _replace(folder / "config.yaml", yaml.safe_dump(dict(config or {"seed": 0}), sort_keys=False))
    _replace(folder / "summary.json", json.dumps(summary if summary is not None else {"step": 1, "test/acc": 0.5}))
    _replace(folder / "status.json", json.dumps(status))
    return folder


def write_curve(folder: Path, **metrics: list[float | None]) -> None:
    """metrics.parquet; a metric `test_acc` is 'test/acc', and `step` has the steps."""
    import polars

    columns = {name.replace("_", "/", 1): values for name, values in metrics.items()}
    polars.DataFrame(columns).write_parquet(folder / "metrics.parquet")


def _replace(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.tmp")
    aside.write_text(text)
    aside.replace(path)
