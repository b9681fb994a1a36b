"""Pruning the smallest weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from expkit.compression.mask import Masked
from expkit.compression.pruner import Pruner

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class MagnitudePruner(Pruner):
    """Prunes weights by |w|, the smallest first (arXiv 1506.02626); for when and how many see `Pruner`."""

    def scores(self, weights: Sequence[Masked], task: Task, data: TensorData) -> Mapping[str, Tensor]:
        return {one.name: one.weight.detach().abs() for one in weights}
