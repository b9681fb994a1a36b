"""How well a binary classifier's output ranks positives above negatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class AUROC(Probe):
    """The area under the receiver operating characteristic: the probability that a positive is above a negative.

    Metrics: `auroc/<split>`, from 0 to 1; 0.5 where outputs say nothing. NaN where a class is missing.

    Args:
        split: whose examples.
    """

    def __init__(self, split: str = "test") -> None:
        super().__init__()
        self.split = split

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        batch = data.splits[self.split]
        return {f"auroc/{self.split}": float(auroc(task.output(batch).squeeze(-1), batch["target"]))}


def auroc(score: Tensor, target: Tensor) -> Tensor:
    """P(score of a positive > score of a negative), equal scores counting half: the Mann-Whitney statistic.

    Args:
        score: (n,).
        target: (n,), positive where it is 1.
    """
    positive = target == 1
    ordered = score.double().sort().values
    own = score[positive].double().contiguous()
    below = torch.searchsorted(ordered, own), torch.searchsorted(ordered, own, right=True)
    rank = (below[0] + below[1] + 1).double() / 2  # from 1 on, mean over equal scores
    n_positive, n_negative = positive.sum(), (~positive).sum()
    return (rank.sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)
