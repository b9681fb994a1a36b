"""Tasks on the nodes of graphs."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from expkit.data.base import Split
from expkit.tasks.base import Task

IGNORED = -100


class NodeClassification(Task):
    r"""Cross-entropy over the classes of nodes; nodes with target -100 (padding, or unlabelled) do not count.

    With `class_weights` 'balanced' a node of class c weighs 1 - n_c / n, with n_c of the n nodes of the batch in class
    c, and the loss is the weighted mean (arXiv 2003.00982, section 5).

    Metrics: `loss` (nats), `acc` (share of correct top-1 predictions), `balanced_acc` (mean over classes of the share
    of their nodes that are predicted right; classes without nodes are left out).

    Args:
        model: puts out (n, nodes, n_outputs) for inputs of shape (n, nodes, features).
        n_outputs: number of classes.
        class_weights: 'none' or 'balanced'.
        per_position: true; models with another output for graphs than for nodes read it: `${task.per_position}`.
    """

    def __init__(
        self,
        model: nn.Module,
        n_outputs: int,
        class_weights: Literal["none", "balanced"] = "none",
        per_position: bool = True,
    ) -> None:
        super().__init__(model, n_outputs, per_position)
        if not per_position:
            raise ValueError("node classification predicts for every node; leave task.per_position true")
        self.class_weights = class_weights

    def output_shape(self, batch: Split) -> tuple[int, ...]:
        return (*batch["input"].shape[:2], self.n_outputs)

    def objective(self, batch: Split) -> dict[str, Tensor]:
        logits, target = self.output(batch).flatten(0, 1), batch["target"].flatten()
        counted = (target != IGNORED).to(logits.dtype)
        one_hot = torch.eye(self.n_outputs, dtype=logits.dtype, device=logits.device)  # unlike torch's, for vmap, too
        members = one_hot[target.clamp(min=0)] * counted.unsqueeze(1)
        sizes = members.sum(0)
        weight = members @ (1 - sizes / sizes.sum()) if self.class_weights == "balanced" else counted
        losses = F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="none")
        correct = (logits.argmax(-1) == target).to(logits.dtype)
        recall = (correct @ members) / sizes.clamp(min=1)
        return {
            "loss": (losses * weight).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny),
            "acc": correct.sum() / counted.sum(),
            "balanced_acc": recall.sum() / (sizes > 0).sum(),
        }
