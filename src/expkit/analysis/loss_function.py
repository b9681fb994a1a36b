"""The loss of a task as a function of one vector, the form in which landscapes are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call

from expkit.errors import UserError

if TYPE_CHECKING:
    from expkit.data.base import Split
    from expkit.tasks.base import Task


class LossFunction:
    r"""L(w) = 1/n \sum_i loss_i(w), where w, shape (size,), holds all trainable parameters of a task's model.

    Parameters stand in w in the order of `task.model.named_parameters()`, each flattened. The model is evaluated in the
    mode that it is in. What is computed can be differentiated and vectorized by torch.func; the model stays as it is.

    Args:
        task: whose `objective` is a mean over examples.
        split: the examples.
        chunk: examples at a time; limits memory, not the result.
    """

    def __init__(self, task: Task, split: Split, chunk: int = 4096) -> None:
        if chunk < 1:
            raise ValueError(f"chunk is at least 1, got {chunk}")
        self.task = task
        self._call = _Objective(task)
        own = {f"task.model.{name}": p for name, p in task.model.named_parameters() if p.requires_grad}
        if not own:
            raise UserError(f"{type(task.model).__name__} has no trainable parameters, and so no loss landscape.")
        self.shapes = {name: p.shape for name, p in own.items()}
        n = len(split["input"])
        starts = range(0, n, chunk)
        parts = [{column: values[start : start + chunk] for column, values in split.items()} for start in starts]
        self.parts = [(len(part["input"]) / n, part) for part in parts]

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(shape.numel() for shape in self.shapes.values())

    @property
    def point(self) -> Tensor:
        """The parameters that the model has now, shape (size,)."""
        own = dict(self._call.named_parameters())
        return torch.cat([own[name].detach().flatten() for name in self.shapes])

    def __call__(self, point: Tensor) -> Tensor:
        """L(point), a scalar."""
        return sum((weight * self.of_part(point, part) for weight, part in self.parts), point.new_zeros(()))

    def of_part(self, point: Tensor, part: Split) -> Tensor:
        """The mean loss over some examples."""
        return functional_call(self._call, self._tensors(point), (part,))

    def output(self, point: Tensor, part: Split) -> Tensor:
        """What the model makes of some examples."""
        return functional_call(self._call, self._tensors(point), (part,), {"only_output": True})

    def of_output(self, output: Tensor, part: Split) -> Tensor:
        """The mean loss over some examples, if this were what the model makes of them.

        Raises:
            UserError: the objective does not look at the model's output exactly once.
        """
        return self._call(part, output)

    def _tensors(self, point: Tensor) -> dict[str, Tensor]:
        pieces = point.split([shape.numel() for shape in self.shapes.values()])
        return {name: piece.view(shape) for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)}


class _Objective(nn.Module):
    """A task whose call is its loss, its output, or its loss for a given output, as `functional_call` wants it."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def forward(self, batch: Split, output: Tensor | None = None, only_output: bool = False) -> Tensor:
        if only_output:
            return self.task.output(batch)
        if output is None:
            return self.task.objective(batch)["loss"]
        with _given(self.task, output):
            return self.task.objective(batch)["loss"]


@contextmanager
def _given(task: Task, output: Tensor) -> Iterator[None]:
    """Whatever the task asks its model, this is the answer."""
    asked = 0

    def answer(batch: Split) -> Tensor:
        nonlocal asked
        asked += 1
        return output

    task.__dict__["output"] = answer
    try:
        yield
    finally:
        del task.__dict__["output"]
    if asked != 1:
        raise UserError(
            f"{type(task).__name__} looks at the model's output {asked} times in one objective, "
            "so its loss is not a function of that output.",
            "The Gauss-Newton matrix needs it to be one; the Hessian does not.",
        )
