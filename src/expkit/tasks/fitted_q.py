"""Values of actions, learned from transitions and from what another network thinks of the next state."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from expkit.data.base import Split
from expkit.losses.value_distribution import expected_value, hl_gauss, two_hot
from expkit.tasks.base import Task


class FittedQ(Task):
    r"""Learns Q(s, a) from y = r + discount max_a' Q^-(s', a'), with Q^- of a network that stays until it is updated.

    The callback `update_target` gives it the weights that have been learned. What is compared with y:

        `mse`       (Q(s, a) - y)^2
        `two_hot`   cross-entropy of the bins next to y and the softmax of the logits of (s, a)
        `hl_gauss`  cross-entropy of a Gaussian histogram around y and that softmax (arXiv 2403.03950)

    where with bins Q(s, a) is the mean of the softmax. Metrics: `loss`; `q_error`, mean |Q - Q*| over states and
    actions.

    Args:
        n_outputs: actions times bins; for `mse`, actions.
        bins: m; 1 for `mse`.
        low, high: of the range that bins divide.
        smoothing: width of the Gaussian over that of a bin.
        discount: of the data's decision process.
    """

    def __init__(
        self,
        model: nn.Module,
        n_outputs: int,
        loss: Literal["mse", "two_hot", "hl_gauss"] = "mse",
        bins: int = 1,
        low: float = -10.0,
        high: float = 10.0,
        smoothing: float = 0.75,
        discount: float = 0.95,
    ) -> None:
        super().__init__(model, n_outputs)
        if (bins == 1) != (loss == "mse"):
            raise ValueError(
                f"loss {loss} needs {'one bin' if loss == 'mse' else 'more than one bin'}, got bins={bins}"
            )
        self.loss, self.bins = loss, bins
        self.low, self.high, self.smoothing, self.discount = low, high, smoothing, discount
        self.target = copy.deepcopy(model).requires_grad_(False)

    def objective(self, batch: Split) -> dict[str, Tensor]:
        logits = self._logits(self.model, batch["input"])
        with torch.no_grad():
            following = self.values(self._logits(self.target, batch["next"])).max(dim=-1).values
            target = batch["reward"] + self.discount * (1 - batch["ends"]) * following
        action = batch["action"].view(-1, 1, 1).expand(-1, 1, self.bins)
        chosen = logits.gather(1, action).squeeze(1)
        return {
            "loss": self._compared(chosen, target),
            "q_error": (self.values(logits) - batch["target"]).abs().mean(),
        }

    def values(self, logits: Tensor) -> Tensor:
        """Q of every action: (n, actions, bins) -> (n, actions)."""
        return logits.squeeze(-1) if self.bins == 1 else expected_value(logits, self.low, self.high)

    def q(self, inputs: Tensor) -> Tensor:
        """Q of every action in some states, (n, actions)."""
        return self.values(self._logits(self.model, inputs))

    @torch.no_grad()
    def update_target(self) -> None:
        """The network of the targets gets the weights that have been learned."""
        for own, learned in zip(self.target.state_dict().values(), self.model.state_dict().values(), strict=True):
            own.copy_(learned)

    def _logits(self, model: nn.Module, inputs: Tensor) -> Tensor:
        return model(inputs).unflatten(1, (-1, self.bins))

    def _compared(self, logits: Tensor, target: Tensor) -> Tensor:
        if self.loss == "mse":
            return F.mse_loss(logits.squeeze(-1), target)
        if self.loss == "two_hot":
            wanted = two_hot(target, self.low, self.high, self.bins)
        else:
            wanted = hl_gauss(target, self.low, self.high, self.bins, self.smoothing)
        return -(wanted * F.log_softmax(logits, dim=-1)).sum(-1).mean()
