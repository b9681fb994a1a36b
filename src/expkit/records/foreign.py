"""Records that were imported: whether one is of the run whose id it bears."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expkit.errors import UserError
from expkit.identity import NOT_HASHED
from expkit.records.record import Record

FORGED = "an imported record bears this run's id, and has another configuration; the run is done here instead"


def is_forged(record: Record, config: Mapping[str, Any]) -> bool:
    """Whether a record came from elsewhere and is not of the run with this configuration, whose id it has.

    An id is a hash of configuration and code. Of a record whose code was another when it was imported nobody could tell
    whether its id is right.
    """
    imported = record.status.get("imported")
    if not isinstance(imported, dict) or imported.get("same_code"):
        return False
    try:
        return _computed(record.config) != _computed(config)
    except UserError:
        return True


def _computed(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in NOT_HASHED}
