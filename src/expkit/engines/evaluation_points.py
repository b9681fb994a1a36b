"""The steps at which a run is evaluated, independent of epochs, and what on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from expkit.data.base import Split, TensorData


def evaluation_points(eval_at: Literal["log"] | int | Sequence[int], max_steps: int) -> frozenset[int]:
    """Steps 0 and `max_steps`, and in between: every n-th, the given ones, or for 'log' 1, 2, 3, 5, 8, 13, ...

    Raises:
        ValueError: a schedule that is none of these.
    """
    if eval_at == "log":
        between = fibonacci(max_steps)
    elif isinstance(eval_at, int) and eval_at > 0:
        between = list(range(0, max_steps, eval_at))
    elif not isinstance(eval_at, int | str) and all(isinstance(step, int) and step >= 0 for step in eval_at):
        between = [step for step in eval_at if step < max_steps]
    else:
        raise ValueError(f"eval_at is 'log', a number of steps, or a list of steps; got {eval_at!r}")
    return frozenset({0, max_steps, *between})


def evaluated_splits(data: TensorData) -> dict[str, Split]:
    """The splits that a run is evaluated on: all but those that the data name as `not_evaluated`."""
    left_out = getattr(data, "not_evaluated", ())
    return {name: split for name, split in data.splits.items() if name not in left_out}


def fibonacci(limit: int) -> list[int]:
    """1, 2, 3, 5, 8, ... up to a limit: evenly spaced on a logarithmic axis."""
    numbers = [1, 2]
    while numbers[-1] < limit:
        numbers.append(numbers[-1] + numbers[-2])
    return [number for number in numbers if number <= limit]
