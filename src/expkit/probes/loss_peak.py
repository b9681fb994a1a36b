"""How far the training loss rises above where it was."""

from __future__ import annotations

import torch
from torch import Tensor

from expkit.probes.base import StepStatistic


class LossPeak(StepStatistic):
    r"""The largest loss so far over the first, and the largest rise over the lowest loss before.

    The loss of step t is that of the weights after t updates, on the batch of the next. A loss that is not a number
    counts as infinite. A spike, such as the catapult of arXiv 2003.02218, is a rise well above 1; it need not reach the
    loss that training began with.

    Metrics:
        `loss_peak/ratio`: max_t l_t / l_0, at least 1.
        `loss_peak/rise`: max_t l_t / min_{s <= t} l_s, at least the ratio; 1 where the loss never rises.
        `loss_peak/step`: the first t at which the largest loss was reached.
    """

    def begin(self, loss: Tensor) -> dict[str, Tensor]:
        loss, zeros = _finite_or_infinite(loss), torch.zeros_like(loss)
        ones = torch.ones_like(loss)
        return {"first": loss, "largest": loss, "lowest": loss, "rise": ones, "at": zeros, "steps": zeros}

    def step(self, state: dict[str, Tensor], loss: Tensor) -> dict[str, Tensor]:
        loss, steps = _finite_or_infinite(loss), state["steps"] + 1
        lowest = torch.minimum(state["lowest"], loss)
        return {
            "first": state["first"],
            "largest": torch.maximum(state["largest"], loss),
            "lowest": lowest,
            "rise": torch.maximum(state["rise"], loss / lowest.clamp(min=torch.finfo(loss.dtype).tiny)),
            "at": torch.where(loss > state["largest"], steps, state["at"]),
            "steps": steps,
        }

    def measure(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        ratio = state["largest"] / state["first"]
        return {"loss_peak/ratio": ratio, "loss_peak/rise": state["rise"], "loss_peak/step": state["at"]}


def _finite_or_infinite(loss: Tensor) -> Tensor:
    return torch.where(loss.isnan(), torch.inf, loss)
