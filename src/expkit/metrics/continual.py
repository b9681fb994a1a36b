"""What is left of each task of a sequence: numbers made of a matrix of accuracies (arXiv 1706.08840, section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import NDArray


def average_accuracy(accuracies: NDArray) -> float:
    """Mean over tasks after the last one.

    Args:
        accuracies: [tasks, tasks], of task j after task i has been trained in row i, column j.
    """
    return float(accuracies[-1].mean())


def backward_transfer(accuracies: NDArray) -> float:
    """By how much a task's accuracy is another at the end than right after it was trained, as a mean over all tasks
    but the last; negative where tasks are forgotten. Args: as in `average_accuracy`.
    """
    return float((accuracies[-1] - accuracies.diagonal())[:-1].mean())


def forgetting(accuracies: NDArray) -> float:
    """By how much a task's accuracy at the end is below its best so far, as a mean over all tasks but the last
    (arXiv 1801.10112, eq. 3). Args: as in `average_accuracy`.
    """
    return float((accuracies[:-1].max(axis=0) - accuracies[-1])[:-1].mean())
