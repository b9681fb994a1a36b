"""Controls for winning tickets: the same sparsity with other weights, or with another mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from expkit.compression.initial import kept, recall
from expkit.compression.lottery_ticket_rewind import LotteryTicketRewind
from expkit.compression.mask import masked

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class RandomReinit(LotteryTicketRewind):
    """Starts the ticket's structure from other weights: its initial values, in random order within each parameter.

    For weights that are drawn independently within a parameter this is a new draw of the same distribution, whatever
    the model and its initialization are. The mask is the one that pruning has decided on. Arguments as for rewinding.
    """

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        super().act(task, data, step)
        for tensor, initial in kept(task.model):
            if isinstance(tensor, nn.Parameter):
                tensor.copy_(_shuffled(initial))
        return {}


class RandomMask(LotteryTicketRewind):
    """Starts from the initial weights, but with a mask of as many random weights in each layer.

    Rewinding afterwards goes back to the mask that pruning has decided on. Arguments as for rewinding.
    """

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        recall(task.model)
        for one in masked(task.model):
            one.buffers.mask.copy_(_shuffled(one.buffers.decided))
        return {}


def _shuffled(values: Tensor) -> Tensor:
    """The same values in random order."""
    order = torch.randperm(values.numel()).to(values.device)
    return values.flatten()[order].reshape(values.shape)
