"""Classification that pulls weights to where earlier tasks left them, as elastic weight consolidation does."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from expkit.analysis.squared_gradients import squared_gradients
from expkit.data.base import Split
from expkit.tasks.supervised import Classification


class AnchoredClassification(Classification):
    """Cross-entropy + strength / 2 * sum_i F_i (theta_i - anchor_i)^2 over the parameters (arXiv 1612.00796, eq. 3).

    `consolidate` adds a task that has been learned: its importance F, and its weights as anchor. The penalties of
    several tasks, sum_k F_k (theta - theta_k)^2, are that of their sum F = sum_k F_k around their weighted mean
    sum_k F_k theta_k / F, but for a constant, so that memory does not grow with the number of tasks.

    Metrics: those of `Classification`, whose loss is without the penalty in evaluation, and `penalty`.

    Args:
        strength: lambda; 0 is plain training.
        importance: 'fisher', the diagonal of the Fisher information, E_x sum_c p_c(x) (d log p_c(x) / d theta)^2, or
            'identity', which pulls all weights alike.
        examples: the Fisher information is estimated on the first so many examples of the task.
    """

    def __init__(
        self,
        model: nn.Module,
        n_outputs: int,
        strength: float = 0.0,
        importance: Literal["fisher", "identity"] = "fisher",
        examples: int = 200,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(model, n_outputs, label_smoothing)
        self.strength, self.importance, self.examples = strength, importance, examples
        for name, parameter in model.named_parameters():
            self.register_buffer(_buffer("importance", name), torch.zeros_like(parameter))
            self.register_buffer(_buffer("anchor", name), parameter.detach().clone())

    def objective(self, batch: Split) -> dict[str, Tensor]:
        metrics = super().objective(batch)
        penalty = self.strength / 2 * self.distance()
        loss = metrics["loss"] + penalty if self.training else metrics["loss"]
        return {**metrics, "loss": loss, "penalty": penalty}

    def distance(self) -> Tensor:
        """sum_i F_i (theta_i - anchor_i)^2, of shape ()."""
        terms = [
            (
                getattr(self, _buffer("importance", name)) * (parameter - getattr(self, _buffer("anchor", name))) ** 2
            ).sum()
            for name, parameter in self.model.named_parameters()
        ]
        return torch.stack(terms).sum()

    @torch.no_grad()
    def consolidate(self, split: Split) -> None:
        """Anchors the weights, as what has been learned of these examples (the first `self.examples` of them)."""
        importance = self._importance({column: values[: self.examples] for column, values in split.items()})
        for name, parameter in self.model.named_parameters():
            before, anchor = getattr(self, _buffer("importance", name)), getattr(self, _buffer("anchor", name))
            total = before + importance[name]
            mean = (before * anchor + importance[name] * parameter) / total.clamp(min=torch.finfo(total.dtype).tiny)
            anchor.copy_(torch.where(total > 0, mean, parameter))
            before.copy_(total)

    def _importance(self, split: Split) -> dict[str, Tensor]:
        if self.importance == "fisher" and self.strength:
            return self.fisher(split)
        return {name: torch.ones_like(parameter) for name, parameter in self.model.named_parameters()}

    def fisher(self, split: Split, chunk: int = 32) -> dict[str, Tensor]:
        """The diagonal of the Fisher information, by parameter, exact in the expectation over classes.

        Costs as much as `n_outputs` gradients of all examples; where not all parameters are those of linear layers,
        of each example by itself, `chunk` at a time.
        """
        inputs = [split[column] for column in self.columns]
        squares = squared_gradients(self.model, inputs, _roots, chunk)
        return {name: square / len(split["input"]) for name, square in squares.items()}


def _roots(logits: Tensor) -> Tensor:
    """sqrt(p_c) log p_c of each class c, the roots as constants: squares of its gradients are what is to be summed."""
    log_probability = F.log_softmax(logits, dim=-1)
    return log_probability.detach().exp().sqrt() * log_probability


def _buffer(kind: str, name: str) -> str:
    return f"{kind}_{name.replace('.', '_')}"
