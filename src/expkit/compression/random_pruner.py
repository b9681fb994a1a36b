"""Pruning weights at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from expkit.compression.mask import Masked
from expkit.compression.pruner import Pruner

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class RandomPruner(Pruner):
    """Prunes weights at random, uniformly within their layer or over all; for when and how many see `Pruner`."""

    def scores(self, weights: Sequence[Masked], task: Task, data: TensorData) -> Mapping[str, Tensor]:
        return {one.name: torch.rand(one.weight.shape).to(one.weight) for one in weights}
