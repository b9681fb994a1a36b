"""The data sets of a sweep, drawn once for all stacks of runs that need them."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expkit.data.base import TensorData

KEPT = 256 * 2**20
"""Bytes of data sets that are kept for later stacks."""


class DataSets:
    """Data sets by name, kept from one stack to the next: those used last, as many as fit into `KEPT` bytes.

    A stack is given a copy that has its own `splits`, and must not write into their tensors. In another process it
    begins empty.
    """

    def __init__(self) -> None:
        self._kept: dict[str, TensorData] = {}  # those used last are last
        self._bytes = 0

    def get(self, name: str, draw: Callable[[], TensorData]) -> TensorData:
        """The data set of this name; `draw` makes it, where it is not there."""
        from expkit.engines.fused.memory import bytes_of

        found = self._kept.pop(name, None)
        if found is None:
            found = draw()
            self._bytes += bytes_of(found.splits)
        self._kept[name] = found
        while self._bytes > KEPT:
            self._bytes -= bytes_of(self._kept.pop(next(iter(self._kept))).splits)
        own = copy(found)
        own.splits = {split: dict(columns) for split, columns in found.splits.items()}
        return own

    def __reduce__(self) -> tuple[Any, ...]:
        return DataSets, ()
