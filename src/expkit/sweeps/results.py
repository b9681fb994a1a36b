"""What came of a sweep, as one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from expkit.sweeps.sweep import Sweep, varied

if TYPE_CHECKING:
    import polars


def results(sweep: Sweep) -> polars.DataFrame:
    """One row a run: 'number', the keys that the runs differ in, 'state', 'run', 'error', and the last metrics.

    Sweeps whose runs are rows of one table (see `expkit.sweeps.dense`) and those with a record for each look alike.
    """
    import polars

    from expkit.sweeps.dense import rows

    dense = rows(sweep)
    if dense is not None:
        return dense
    entries = [sweep.entries[number] for number in sorted(sweep.entries)]
    differing = varied(entry.overrides for entry in entries)
    found = []
    for entry in entries:
        record = sweep.record(entry)
        status: Mapping[str, Any] = record.status if record and (record.folder / "status.json").exists() else {}
        swept = dict(_setting(o) for o in entry.overrides if o in differing and not o.startswith("sweep.trial."))
        state = status.get("status") or ("failed" if record is None else "waiting")
        error = (status.get("error") or {}).get("message")
        summary = record.summary if record and status else {}
        found.append({"number": entry.number, **swept, "state": state, "run": entry.run, "error": error, **summary})
    frame = polars.from_dicts(found, infer_schema_length=None) if found else polars.DataFrame({"number": []})
    first = [name for name in frame.columns if "/" not in name and name != "step"]
    return frame.select(*first, *(name for name in frame.columns if name not in first))


def counts(sweep: Sweep) -> dict[str, int]:
    """How many runs are in which state."""
    from expkit.sweeps.dense import rows

    dense = rows(sweep)
    states = sweep.states().values() if dense is None else dense["state"].to_list()
    return dict(Counter(states).most_common())


def _setting(override: str) -> tuple[str, Any]:
    """The key and the value of an override; text where the value is more than a number or a word."""
    key, _, value = override.lstrip("+~").partition("=")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        parsed = value
    if isinstance(parsed, str):
        try:
            return key, float(parsed)  # 1e-3, which YAML 1.1 takes for text
        except ValueError:
            return key, parsed
    return key, parsed if isinstance(parsed, bool | int | float) or parsed is None else value
