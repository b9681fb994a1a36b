"""The two things that a fused training does again and again, each for all runs at once: a step, and an evaluation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from expkit.data.base import Split
from expkit.engines.fused.dropout import OwnDropout
from expkit.engines.fused.stack import Stack, Tensors
from expkit.tasks.base import Task

EVALUATED_AT_ONCE = 4096  # examples


class Program:
    """The objective of one task, and its gradient, over a stack of weights.

    Args:
        task: one of the runs' tasks; its own weights are not used.
        stack: what the runs differ in.
    """

    def __init__(self, task: Task, stack: Stack) -> None:
        self.task = task
        self.objective = _Objective(task)
        self.lifted = [(number.module, number.attribute) for number in stack.lifted]
        self.changing = frozenset(stack.buffers)
        """The buffers that a step may change: a copy of each is made in every one."""

    def gradients(
        self,
        parameters: Tensors,
        frozen: Tensors,
        buffers: Tensors,
        numbers: list[Tensor],
        batch: Split,
        shared: frozenset[str],
        noise: Tensor | None = None,
    ) -> tuple[Tensors, Tensor, Tensors]:
        """Of the loss on a batch; the loss itself, (R,); and the buffers that may change, after it.

        Args:
            parameters, frozen, buffers, numbers: of the stack.
            batch: columns in `shared` have no leading axis.
            shared: see `batch`.
            noise: where each run's dropout draws from (see `dropout.streams`); without it, dropout is an error.
        """
        transformed = vmap(
            # Any other draw inside a step would depend on which other runs are in the stack: refused.
            grad(self._loss, has_aux=True),
            in_dims=(0, 0, 0, 0, _axes(batch, shared), None if noise is None else 0),
            randomness="error",
        )
        gradients, (loss, changed) = transformed(parameters, frozen, buffers, numbers, batch, noise)
        return gradients, loss, changed

    def evaluate(
        self,
        stack: Stack,
        split: Split,
        shared: frozenset[str],
        chunk: int = EVALUATED_AT_ONCE,
        examples: int | None = None,
        runs: int | None = None,
    ) -> Tensors:
        """The objective's metrics over a whole split, float64 of shape (R,) each; means over its examples.

        Args:
            stack: the runs.
            split: columns in `shared` have no leading axis.
            shared: see `split`.
            chunk: examples at a time; limits memory, not the result.
            examples: only so many of the first ones.
            runs: so many at a time; limits memory, not the result.
        """
        axis = {name: 0 if name in shared else 1 for name in split}
        n = min(length(split, shared), examples or sys.maxsize)
        totals: Tensors = {}
        for start in range(0, n, chunk):
            size = min(chunk, n - start)
            part = {name: values.narrow(axis[name], start, size) for name, values in split.items()}
            with OwnDropout(None):  # takes a probability that runs differ in, unlike torch's
                values = vmap(
                    self._values, in_dims=(0, 0, 0, 0, _axes(part, shared)), randomness="error", chunk_size=runs
                )(stack.parameters, stack.frozen, stack.buffers, [number.values for number in stack.lifted], part)
            for name, value in values.items():
                totals[name] = totals.get(name, 0.0) + value.double() * (size / n)
        return totals

    def _values(
        self, parameters: Tensors, frozen: Tensors, buffers: Tensors, numbers: list[Tensor], batch: Split
    ) -> Tensors:
        tensors = {f"task.{name}": value for name, value in (parameters | frozen | buffers).items()}
        with self._with_numbers(numbers):
            return functional_call(self.objective, tensors, (batch,))

    def _loss(
        self,
        parameters: Tensors,
        frozen: Tensors,
        buffers: Tensors,
        numbers: list[Tensor],
        batch: Split,
        noise: Tensor | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensors]]:
        # In the order of the buffers, as in every process: what is compiled is found again by its text. Modules change
        # theirs in place.
        changed = {name: value.clone() for name, value in buffers.items() if name in self.changing}
        with nullcontext() if noise is None else OwnDropout(noise):
            loss = self._values(parameters, frozen, buffers | changed, numbers, batch)["loss"]
        return loss, (loss, changed)

    @contextmanager
    def _with_numbers(self, numbers: list[Tensor]) -> Iterator[None]:
        """The plain numbers of the task's modules that runs differ in are a run's own inside."""
        places = [(self.task.get_submodule(path), attribute) for path, attribute in self.lifted]
        before = [getattr(module, attribute) for module, attribute in places]
        for (module, attribute), number in zip(places, numbers, strict=True):
            module.__dict__[attribute] = number
        try:
            yield
        finally:
            for (module, attribute), number in zip(places, before, strict=True):
                module.__dict__[attribute] = number


class _Objective(nn.Module):
    """A task whose call is its objective, as `functional_call` wants it."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def forward(self, batch: Split) -> Tensors:
        return self.task.objective(batch)


def length(split: Split, shared: frozenset[str]) -> int:
    """Examples of each run; columns in `shared` have no leading axis of runs."""
    return len(split["input"]) if "input" in shared else split["input"].shape[1]


def _axes(batch: Split, shared: frozenset[str]) -> dict[str, int | None]:
    return {name: None if name in shared else 0 for name in batch}
