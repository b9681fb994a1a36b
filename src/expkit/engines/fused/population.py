"""Runs of a stack that learn from each other: what a population may do between evaluation points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from expkit.engines.fused.stacked_training import StackedTraining, mapped


class Population(Protocol):
    """Acts on the runs of a stack after each evaluation, as population-based training does (arXiv 1711.09846)."""

    def between(self, step: int, view: StackView, metrics: list[dict[str, float]]) -> None:
        """Called after an evaluation point, before runs that end there leave the stack.

        Args:
            step: optimizer steps made.
            view: the stack, to read and to change.
            metrics: of each run in `view.runs`, in that order.
        """

    def facts(self, run: int, hyper: Mapping[str, float]) -> dict[str, float]:
        """What is recorded of a run among its metrics, before `between` is called.

        Args:
            run: its number.
            hyper: the optimizer's numbers that it has trained with.
        """

    def state_dict(self) -> dict[str, Any]:
        """What it has to remember when the stack is taken up again: numbers and text, in mappings and lists."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state_dict`."""


class StackView:
    """The runs of a stack by their numbers in the sweep, as long as they are in.

    Args:
        training: the stack.
        runs: the number of the run at each place.

    Attributes:
        runs: numbers of the runs that are still in.
    """

    def __init__(self, training: StackedTraining, runs: Sequence[int]) -> None:
        self._training = training
        self.runs = list(runs)

    @property
    def hyper(self) -> dict[str, Tensor]:
        """The optimizer's numbers, such as 'lr' before any schedule: (len(runs),) each, in the order of `runs`."""
        return {name: values.clone() for name, values in self._training.hyper.items()}

    def set_hyper(self, run: int, name: str, value: float) -> None:
        """Gives a run another number in its optimizer from the next step on.

        Raises:
            ValueError: the optimizer has no such number, or one that is 0 in all runs, whose work it leaves out.
        """
        hyper, place = self._training.hyper, self.runs.index(run)
        if name not in hyper:
            raise ValueError(f"the optimizer has no '{name}'; it has {', '.join(hyper)}")
        if value and name not in self._training.optimizer.active:
            raise ValueError(f"'{name}' is 0 in all runs of the stack, and has to stay so")
        hyper[name] = _with(hyper[name], place, torch.tensor(value))

    def copy(self, source: int, target: int) -> None:
        """Gives run `target` the weights, buffers and optimizer state of run `source`; its numbers stay its own."""
        training, a, b = self._training, self.runs.index(source), self.runs.index(target)
        stack = training.stack

        def copied(values: Tensor) -> Tensor:
            return _with(values, b, values[a]) if values.ndim else values

        tensors: list[Any] = [stack.parameters, stack.frozen, stack.buffers, training.state]
        stack.parameters, stack.frozen, stack.buffers, training.state = mapped(copied, tensors)


def _with(values: Tensor, place: int, value: Tensor) -> Tensor:
    changed = values.clone()  # tensors of a stack may share memory, and compiled steps keep theirs
    changed[place] = value
    return changed
