"""The base of data sets whose training examples come task after task, as in continual learning."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor

from expkit.data.base import Spec, Split, TensorData
from expkit.data.wrapper import Wrapper
from expkit.errors import UserError
from expkit.seeding import generator


class TaskSequence(Wrapper):
    """Tasks that are made of another data set, trained one after another, `epochs_per_task` epochs each.

    Every split has the examples of all tasks, and a column 'task' with the number of the task. Which of the training
    examples are visited in an epoch is its order: those of the epoch's task, and, with `replay` above 0, a share of
    earlier ones. The last task goes on for as long as the training does.

    A subclass implements `tasks`.

    Args:
        of: the data set that tasks are made of; its batch size does not matter.
        n_tasks: how many there are.
        epochs_per_task: after which the next one begins.
        replay: share of the examples of an epoch that are drawn from earlier tasks instead, all alike.
        evaluate_train: whether runs are evaluated on the training examples, which are those of all tasks, too.
    """

    def __init__(
        self,
        of: TensorData,
        spec: Spec,
        n_tasks: int = 5,
        epochs_per_task: int = 10,
        replay: float = 0.0,
        evaluate_train: bool = True,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(of=of, spec=spec, batch_size=batch_size, seed=seed)
        if batch_size == "full":
            raise UserError(
                "data.batch_size=full: a batch of all training examples would be of all tasks at once.",
                "Give a number; up to the examples of a task.",
            )
        if not 0 <= replay < 1:
            raise ValueError(f"replay is a share from 0 to below 1, got {replay}")
        self.n_tasks, self.epochs_per_task, self.replay = n_tasks, epochs_per_task, replay
        self.not_evaluated = () if evaluate_train else ("train",)

    @abstractmethod
    def tasks(self, splits: dict[str, Split]) -> list[dict[str, Split]]:
        """The splits of each task, of the same shapes, given those of the other data set."""

    def change(self, splits: dict[str, Split]) -> dict[str, Split]:
        tasks = self.tasks(splits)
        found: dict[str, Split] = {}
        for name in splits:
            parts = [{**task[name], "task": _numbers(task[name], index)} for index, task in enumerate(tasks)]
            if len({len(part["input"]) for part in parts}) > 1:
                raise ValueError(f"tasks differ in their number of examples in split '{name}'")
            found[name] = {column: torch.cat([part[column] for part in parts]) for column in parts[0]}
        return found

    @property
    def n_of_task(self) -> int:
        """Training examples of one task."""
        return self.n_train // self.n_tasks

    @property
    def batches_per_epoch(self) -> int:
        assert isinstance(self.batch_size, int)
        return self.n_of_task // self.batch_size

    @property
    def steps_per_task(self) -> int:
        return self.epochs_per_task * self.batches_per_epoch

    def epoch_order(self, epoch: int, seed: int) -> Tensor:
        """The training examples that are visited in an epoch, (n_of_task,): a task's own, and replayed ones."""
        n, task = self.n_of_task, min(epoch // self.epochs_per_task, self.n_tasks - 1)
        draw = generator(seed, f"order/{epoch}")
        order = task * n + torch.randperm(n, generator=draw)
        if self.replay and task:
            replayed = torch.rand(n, generator=draw) < self.replay
            order = torch.where(replayed, torch.randint(task * n, (n,), generator=draw), order)
        return order.to(self.splits["train"]["input"].device)


def _numbers(split: Split, index: int) -> Tensor:
    return torch.full((len(split["input"]),), index)
