"""Rows of unlike keys and types as columns of one type each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars

LARGEST_INTEGER = 2**63 - 1
TYPES = ("Null", "Boolean", "Int64", "Float64", "String")

Constants = dict[str, tuple[str, Any]]
"""What all rows have in common: the type (one of TYPES) and the value of a column, by name."""


def columns(rows: Sequence[Mapping[str, Any]]) -> polars.DataFrame:
    """One row for each mapping. Numbers of both kinds become Float64; numbers and words, text; metrics are Float64."""
    import polars

    names = dict.fromkeys(name for row in rows for name in row)
    return polars.DataFrame([_series(name, [row.get(name) for row in rows]) for name in names])


def stacked(frames: Iterable[polars.DataFrame]) -> polars.DataFrame:
    """Frames one below the other; what one lacks is null, and a column has the type that suits all."""
    import polars

    parts = list(frames)
    types: dict[str, set[polars.DataType]] = {}
    for frame in parts:
        for name, kind in frame.schema.items():
            types.setdefault(name, set()).add(kind)
    common = {name: _common(kinds) for name, kinds in types.items()}
    cast = [
        frame.with_columns(
            _cast(name, kind, common[name]) for name, kind in frame.schema.items() if kind != common[name]
        )
        for frame in parts
    ]
    return polars.concat(cast, how="diagonal") if cast else polars.DataFrame()


def split(frame: polars.DataFrame, always: Sequence[str]) -> tuple[polars.DataFrame, Constants]:
    """The columns that vary, and those named in `always`; and the values of all others."""
    rest = [name for name in frame.columns if name not in always]
    counts = frame.select(rest).select(_all().n_unique()).row(0) if rest and len(frame) else ()
    constant = [name for name, count in zip(rest, counts, strict=False) if count == 1]
    return frame.drop(constant), {name: (str(frame[name].dtype), frame[name][0]) for name in constant}


def joined(parts: Sequence[tuple[polars.DataFrame, Constants]]) -> polars.DataFrame:
    """Frames one below the other, each with what its rows have in common.

    What all rows of all parts have in common is kept as one value, which polars neither copies nor sorts: most of a
    configuration is such, and most of the time goes there otherwise.
    """
    if not parts:
        return stacked([])
    first = parts[0][1]
    shared = {name: own for name, own in first.items() if all(other.get(name) == own for _, other in parts)}
    frame = stacked(
        frame.with_columns(_literal(name, *own) for name, own in constants.items() if name not in shared)
        for frame, constants in parts
    )
    return frame.with_columns(_literal(name, *own) for name, own in shared.items())


def _literal(name: str, kind: str, value: Any) -> polars.Expr:
    import polars

    return polars.lit(value, dtype=getattr(polars, kind)).alias(name)


def _all() -> polars.Expr:
    import polars

    return polars.all()


def _series(name: str, values: list[Any]) -> polars.Series:
    import polars

    kinds = {type(value) for value in values if value is not None}
    if "/" in name and kinds <= {bool, int, float}:
        return polars.Series(name, [None if value is None else float(value) for value in values], polars.Float64)
    if not kinds:
        return polars.Series(name, values, polars.Null)
    if kinds == {bool}:
        return polars.Series(name, values, polars.Boolean)
    if kinds == {int} and all(value is None or abs(value) <= LARGEST_INTEGER for value in values):
        return polars.Series(name, values, polars.Int64)
    if kinds <= {int, float}:
        return polars.Series(name, [None if value is None else _float(value) for value in values], polars.Float64)
    return polars.Series(name, [_text(value) for value in values], polars.String)


def _common(kinds: set[polars.DataType]) -> polars.DataType:
    import polars

    known = kinds - {polars.Null()}
    if len(known) < 2:
        return next(iter(known), polars.Null())
    return polars.Float64() if all(kind.is_numeric() for kind in known) else polars.String()


def _cast(name: str, kind: polars.DataType, common: polars.DataType) -> polars.Expr:
    import polars

    column = polars.col(name)
    if common == polars.String and kind != polars.Null:
        # As Python writes them, so that 0.1 and true read the same wherever they were put together.
        return column.map_elements(_text, polars.String, skip_nulls=True)
    return column.cast(common)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
