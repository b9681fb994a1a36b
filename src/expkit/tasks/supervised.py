"""Supervised tasks: classification, regression, reconstruction, language modelling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from expkit.data.base import Split
from expkit.tasks.base import Task


class Classification(Task):
    """Cross-entropy over `n_outputs` classes. Metrics: `loss` (nats), `acc` (share of correct top-1 predictions)."""

    def __init__(
        self, model: nn.Module, n_outputs: int, label_smoothing: float = 0.0, per_position: bool = False
    ) -> None:
        super().__init__(model, n_outputs, per_position)
        self.label_smoothing = label_smoothing

    def objective(self, batch: Split) -> dict[str, Tensor]:
        logits, target = self.output(batch), batch["target"]
        return {
            "loss": F.cross_entropy(logits.flatten(0, -2), target.flatten(), label_smoothing=self.label_smoothing),
            "acc": (logits.argmax(-1) == target).to(logits.dtype).mean(),
        }


class BinaryClassification(Task):
    """Logistic loss on one logit, log(1 + exp(-y f(x))) with y = +-1 for targets 1 and 0.

    Metrics: `loss` (nats), `acc` (share of correct signs).
    """

    def objective(self, batch: Split) -> dict[str, Tensor]:
        logit, target = self.output(batch).squeeze(-1), batch["target"]
        return {
            "loss": F.binary_cross_entropy_with_logits(logit, target.to(logit.dtype)),
            "acc": ((logit > 0) == (target == 1)).to(logit.dtype).mean(),
        }


class Regression(Task):
    """A loss between outputs and real targets. Metrics: `loss`, `mse` and `mae` (means over examples and outputs)."""

    def __init__(
        self,
        model: nn.Module,
        n_outputs: int,
        loss: Literal["mse", "mae", "huber"] = "mse",
        per_position: bool = False,
    ) -> None:
        super().__init__(model, n_outputs, per_position)
        losses: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}
        self.loss = losses[loss]

    def objective(self, batch: Split) -> dict[str, Tensor]:
        output, target = self.output(batch), batch["target"]
        return {
            "loss": self.loss(output, target),
            "mse": F.mse_loss(output, target),
            "mae": F.l1_loss(output, target),
        }


class Reconstruction(Task):
    """Squared error between the model's outputs and its flattened inputs. Metrics: `loss` (mean over values)."""

    def objective(self, batch: Split) -> dict[str, Tensor]:
        return {"loss": F.mse_loss(self.output(batch), batch["input"].flatten(1))}


class LanguageModelling(Task):
    """Next-token cross-entropy. Metrics: `loss` (nats per token), `acc` (share of tokens predicted top-1).

    'target' holds the next token at each position; positions with target -100 do not count.
    """

    def __init__(self, model: nn.Module, n_outputs: int, per_position: bool = True) -> None:
        super().__init__(model, n_outputs, per_position)
        if not per_position:
            raise ValueError("language modelling predicts at every position; leave task.per_position true")

    def objective(self, batch: Split) -> dict[str, Tensor]:
        logits, target = self.output(batch), batch["target"]
        counted = target != -100
        correct = (logits.argmax(-1) == target) & counted
        return {
            "loss": F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100),
            "acc": correct.sum().to(logits.dtype) / counted.sum(),
        }
