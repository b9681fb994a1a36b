"""Click-through rates, with a penalty on those embeddings alone that a batch uses."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from expkit.data.base import Split
from expkit.models.field_embedding import FieldEmbedding
from expkit.tasks.base import Task


class ClickThrough(Task):
    r"""Logistic loss on one logit, and the mini-batch aware regularization of arXiv 1706.06978 (section 5.1).

    loss = nll + (penalty / 2) \sum_j |w_j|^2 / n_j over the vectors w_j of the values that occur in the batch, with n_j
    how often value j occurs in training. So frequent values are regularized less, and those that are not in the batch
    are not touched.

    Metrics: `loss`, `nll` (nats per impression), `acc` (share of correct signs).

    Args:
        model: puts out a logit; with a penalty it has a `FieldEmbedding` named `embedding`.
        n_outputs: 1.
        penalty: lambda of the regularization; its data have the columns 'input_count' and 'history_count'.
        per_position: false.
    """

    def __init__(self, model: nn.Module, n_outputs: int = 1, penalty: float = 0.0, per_position: bool = False) -> None:
        super().__init__(model, n_outputs, per_position)
        self.penalty = penalty

    def objective(self, batch: Split) -> dict[str, Tensor]:
        logit = self.output(batch).squeeze(-1)
        target = batch["target"].to(logit.dtype)
        nll = F.binary_cross_entropy_with_logits(logit, target)
        loss = nll
        if "input_count" in batch and hasattr(self.model, "embedding"):
            loss = nll + self.penalty / 2 * _of_the_batch(cast(FieldEmbedding, self.model.embedding), batch)
        return {"loss": loss, "nll": nll, "acc": ((logit > 0) == (target == 1)).to(logit.dtype).mean()}


def _of_the_batch(embedding: FieldEmbedding, batch: Split) -> Tensor:
    """The sum of |w_j|^2 / n_j over the values j that occur in the batch."""
    rows = torch.cat([embedding.rows(batch[name]).flatten() for name in ("input", "history")])
    counts = torch.cat([batch[f"{name}_count"].flatten() for name in ("input", "history")])
    # Each value has one count, so that it does not matter which of its occurrences is written last.
    weight = counts.new_zeros(len(embedding.weight)).scatter(0, rows, 1 / counts)
    return weight @ embedding.weight.square().sum(1)
