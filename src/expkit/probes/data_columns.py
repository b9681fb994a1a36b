"""What is known of the examples, kept with a run: scores, flags, places in a larger set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from expkit.analysis.class_probabilities import split_of
from expkit.errors import UserError, did_you_mean
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class DataColumns(Probe):
    """Keeps columns of a split as arrays of the record, `data/<split>_<column>`, in the order of the split.

    Args:
        columns: their names; one that the split does not have is an error, unless `optional`.
        split: whose columns.
        optional: whether columns that the split does not have are passed over.
    """

    def __init__(self, columns: Sequence[str], split: str = "train", optional: bool = False) -> None:
        super().__init__()
        self.names = tuple(columns)
        self.split = split
        self.optional = optional

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        split = split_of(data, self.split, "probes.data_columns")
        for name in self.names:
            if name not in split and not self.optional:
                raise UserError(
                    f"probes.data_columns: the split '{self.split}' has no column '{name}'.", did_you_mean(name, split)
                )
        return {f"data/{self.split}_{name}": split[name] for name in self.names if name in split}
