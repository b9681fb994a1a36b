"""Tasks that are the same but for the order of the inputs' values, as in permuted MNIST (arXiv 1312.6211)."""

from __future__ import annotations

import torch

from expkit.data.base import Split
from expkit.data.task_sequence import TaskSequence


class PermutedTasks(TaskSequence):
    """Each task has all examples of a data set, their values in an order of its own; the first keeps theirs.

    To a network that does not know of neighbourhoods all tasks are as hard as each other, and share nothing but the
    labels. Args: see `TaskSequence`.
    """

    def tasks(self, splits: dict[str, Split]) -> list[dict[str, Split]]:
        size = splits["train"]["input"][0].numel()
        draw = self.generator("permutations")
        orders = [torch.arange(size), *(torch.randperm(size, generator=draw) for _ in range(self.n_tasks - 1))]
        return [
            {
                name: {**split, "input": split["input"].flatten(1)[:, order].view_as(split["input"])}
                for name, split in splits.items()
            }
            for order in orders
        ]
