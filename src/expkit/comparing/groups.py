"""Runs that differ only by seed, as one group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expkit.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    import polars

FACTS = ("run_id", "experiment", "state", "started", "seconds", "path", "step")


@dataclass(frozen=True)
class Groups:
    """Runs, and what tells them apart.

    Attributes:
        frame: the runs, with a column '_group' (a number from 0 on, in order of appearance) and '_pair', what a run of
            one group shares with its counterpart of another: the seeds, and other keys that vary within groups.
        differing: keys that do not have the same value in all runs, without seeds.
        labels: as few of them as tell all groups apart.
        table: one row a group: '_group', and every key of `differing`.
        pairs: what pairs runs of two groups, in a word: 'seeds', or 'seeds and settings' where other keys do as well.
    """

    frame: polars.DataFrame
    differing: list[str]
    labels: list[str]
    table: polars.DataFrame
    pairs: str

    @property
    def count(self) -> int:
        return len(self.table)


def grouped(frame: polars.DataFrame, by: Sequence[str] = ()) -> Groups:
    """Divides runs into groups by all keys that differ but seeds, or by those that are named.

    Raises:
        ConfigError: there is no such key.
    """
    import polars

    keys = ["experiment", *(name for name in frame.columns if "/" not in name and name not in FACTS)]
    counts = frame.select(polars.col(keys).n_unique()).row(0, named=True)
    differing = [key for key in keys if counts[key] > 1]
    chosen = [_known(key, frame) for key in by] if by else [key for key in differing if not is_seed(key)]
    chosen = list(dict.fromkeys(chosen))
    if not chosen:
        frame = frame.with_columns(_group=polars.lit(0, polars.UInt32))
    else:
        number = polars.struct(chosen).rank("dense").cast(polars.UInt32)
        frame = frame.with_columns(_group=number)
        first = frame["_group"].unique(maintain_order=True)
        order = polars.DataFrame({"_group": first, "_place": polars.Series(range(len(first)), dtype=polars.UInt32)})
        frame = frame.join(order, on="_group", how="left").drop("_group").rename({"_place": "_group"})
    within = _varying_within(frame, [key for key in differing if key not in chosen])
    pair = polars.struct(within).hash() if within else polars.int_range(polars.len(), dtype=polars.UInt64)
    frame = frame.with_columns(_pair=pair)
    shown = chosen if by else [key for key in differing if not is_seed(key)]
    table = frame.group_by("_group", maintain_order=True).agg(polars.col(shown).first()).sort("_group")
    labels = chosen if by else smallest_set(table, shown)
    return Groups(frame, shown, labels, table, "seeds" if all(map(is_seed, within)) else "seeds and settings")


def is_seed(key: str) -> bool:
    return key == "seed" or key.endswith(".seed")


def named(key: str, names: Sequence[str]) -> str | None:
    """A key by its name, that of its group ('optimizer' for optimizer.name), or its last part where no other has it."""
    if exact := next((name for name in (key, f"{key}.name") if name in names), None):
        return exact
    ends = [name for name in names if name.endswith(f".{key}")]
    return ends[0] if len(ends) == 1 else None


def smallest_set(table: polars.DataFrame, keys: Sequence[str]) -> list[str]:
    """Keys that tell all rows apart, and of which none can be left out; names of chosen options come before others."""
    ordered = sorted(keys, key=_rank)
    kept: list[str] = []
    distinct = 1
    for key in ordered:
        if distinct == len(table):
            break
        count = table.select([*kept, key]).n_unique()
        if count > distinct:
            kept.append(key)
            distinct = count
    for key in list(reversed(kept)):
        others = [one for one in kept if one != key]
        if others and table.select(others).n_unique() == distinct:
            kept = others
    return [key for key in ordered if key in kept]


def _rank(key: str) -> int:
    if key.endswith("._target_") or ".spec." in key or key in ("tags", "model.input_shape", "trainer.name"):
        return 3
    return 0 if key == "experiment" or key.endswith(".name") else 1


def _varying_within(frame: polars.DataFrame, keys: Sequence[str]) -> list[str]:
    import polars

    if not keys:
        return []
    most = frame.group_by("_group").agg(polars.col(keys).n_unique()).select(polars.col(keys).max())
    return [key for key in keys if (most[key][0] or 0) > 1]


def _known(key: str, frame: polars.DataFrame) -> str:
    names = [name for name in frame.columns if "/" not in name]
    found = named(key, names)
    if found is None:
        raise ConfigError(f"No run has a key '{key}'.", did_you_mean(key, names))
    return found
