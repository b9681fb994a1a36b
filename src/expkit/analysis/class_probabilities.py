"""What a classifier makes of the examples of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from expkit.errors import UserError

if TYPE_CHECKING:
    from expkit.data.base import Split, TensorData
    from expkit.tasks.base import Task


def class_logits(task: Task, split: Split, chunk: int = 4096) -> Tensor:
    """Numbers whose softmax are the probabilities of the classes, (n, classes), or (n, length, classes) per position.

    A single output is the logit of class 1: its classes have the logits 0 and it.

    Args:
        task: classification or binary classification, in the mode that it is to be evaluated in.
        split: the examples.
        chunk: examples at a time; limits memory, not the result.

    Raises:
        UserError: the targets are no classes.
    """
    if split["target"].is_floating_point():
        raise UserError(
            f"{type(task).__name__} has real-valued targets, not classes, and so no class probabilities.",
            "Use it with a task that classifies.",
        )
    n = len(split["input"])
    with torch.no_grad():
        outputs = [
            task.output({name: values[start : start + chunk] for name, values in split.items()})
            for start in range(0, n, chunk)
        ]
    output = torch.cat(outputs)
    return F.pad(output, (1, 0)) if output.shape[-1] == 1 else output


def split_of(data: TensorData, name: str, asked_by: str) -> Split:
    """A split by its name.

    Raises:
        UserError: there is none of that name.
    """
    if name not in data.splits:
        raise UserError(f"{asked_by}: the data have no split '{name}'.", f"They have: {', '.join(data.splits)}.")
    return data.splits[name]
