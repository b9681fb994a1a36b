"""Area under the ROC curve, over all examples and within groups of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class AUC(Probe):
    """`auc/<split>`: the probability that a positive example's logit is above a negative one's, ties counting half.

    With `group` also `gauc/<split>`: the mean over groups that have both kinds, each weighted by its number of examples
    (arXiv 1706.06978, eq. 7). With `reference` also `auc/<split>_reference`, of a column's values as scores.

    Args:
        split: whose examples.
        group: a column that tells groups apart, such as 'user'.
        reference: a column of scores, such as the true probabilities.
        chunk: examples at a time; limits memory, not the result.
    """

    def __init__(
        self, split: str = "test", group: str | None = None, reference: str | None = None, chunk: int = 4096
    ) -> None:
        super().__init__()
        self.split = split
        self.group = group
        self.reference = reference
        self.chunk = chunk

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        split = data.splits[self.split]
        n = len(split["target"])
        parts = [{k: v[start : start + self.chunk] for k, v in split.items()} for start in range(0, n, self.chunk)]
        logits = torch.cat([task.output(part).flatten() for part in parts]).double().cpu().numpy()
        target = split["target"].cpu().numpy() == 1
        everyone = np.zeros(n, dtype=np.int64)
        measured = {f"auc/{self.split}": grouped_auc(logits, target, everyone)}
        if self.group is not None:
            measured[f"gauc/{self.split}"] = grouped_auc(logits, target, split[self.group].cpu().numpy())
        if self.reference is not None:
            scores = split[self.reference].double().cpu().numpy()
            measured[f"auc/{self.split}_reference"] = grouped_auc(scores, target, everyone)
        return measured


def grouped_auc(scores: NDArray[np.float64], positive: NDArray[np.bool_], groups: NDArray[np.int64]) -> float:
    """The area under the ROC curve within each group, averaged with the groups' sizes as weights.

    With p positives of n examples in a group and R the sum of their ranks in it (ties have their mean rank), it is
    (R - p (p + 1) / 2) / (p (n - p)). Groups with examples of one kind only are left out; NaN if all are.
    """
    order = np.lexsort((scores, groups))
    scores, positive = scores[order], positive[order]
    _, group, sizes = np.unique(groups[order], return_inverse=True, return_counts=True)
    first = np.r_[True, (group[1:] != group[:-1]) | (scores[1:] != scores[:-1])]  # of examples that are tied
    tie = np.cumsum(first) - 1
    places = np.arange(len(scores)) - (np.cumsum(sizes) - sizes)[group] + 1
    rank = (np.bincount(tie, places) / np.bincount(tie))[tie]
    positives = np.bincount(group, positive)
    both = (positives > 0) & (positives < sizes)
    if not both.any():
        return float("nan")
    p, n = positives[both], sizes[both]
    area = (np.bincount(group, rank * positive)[both] - p * (p + 1) / 2) / (p * (n - p))
    return float(np.average(area, weights=n))
