"""Whether a training converges, and how quickly it does or does not, from its losses alone."""

from __future__ import annotations

import torch
from torch import Tensor

from expkit.probes.base import StepStatistic


class Convergence(StepStatistic):
    r"""The convergence measure of arXiv 2402.06184, over the training losses l_0, l_1, ..., l_T.

    With v_t = min(l_t / l_0, limit), and v_t = limit where that is not a number or infinite:

        converged = 1 if the mean of the last `window` v_t is below 1, else 0
        value     = sum_t v_t if converged, else -sum_t 1 / max(v_t, 1 / limit)

    The value is positive where training converges, and the smaller the faster it does; it is negative where training
    diverges, and the closer to 0 the faster it does. So it is the larger in magnitude, the closer the boundary. The
    paper has the opposite sign and no lower bound on v_t, without which a loss of exactly 0 would count infinitely.

    The loss of a step is that of the batch it trains on, before its update. Metrics: `convergence/converged`,
    `convergence/value`.

    Args:
        window: over how many of the last losses oscillations are averaged; over all where there are fewer.
        limit: of a loss in units of the first one, above 1.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, window: int = 20, limit: float = 1e6) -> None:
        super().__init__()
        if window < 1:
            raise ValueError(f"window is a number of steps, got {window}")
        if limit <= 1:
            raise ValueError(f"limit is above 1, in units of the first loss; got {limit}")
        self.window = window
        self.limit = limit

    def begin(self, loss: Tensor) -> dict[str, Tensor]:
        zeros = torch.zeros_like(loss)
        nothing = {
            "steps": zeros,
            "first": loss,
            "sum": zeros,
            "sum_of_inverses": zeros,
            "last": zeros.unsqueeze(-1).expand(*loss.shape, self.window),
        }
        return self.step(nothing, loss)

    def step(self, state: dict[str, Tensor], loss: Tensor) -> dict[str, Tensor]:
        ratio = loss / state["first"]
        value = torch.where(ratio.isfinite(), ratio, self.limit).clamp(max=self.limit)
        return {
            "steps": state["steps"] + 1,
            "first": state["first"],
            "sum": state["sum"] + value,
            "sum_of_inverses": state["sum_of_inverses"] + 1 / value.clamp(min=1 / self.limit),
            "last": torch.cat([state["last"][..., 1:], value.unsqueeze(-1)], dim=-1),
        }

    def measure(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        mean = state["last"].sum(-1) / state["steps"].clamp(max=self.window)
        converged = mean < 1
        return {
            "convergence/converged": converged.to(mean.dtype),
            "convergence/value": torch.where(converged, state["sum"], -state["sum_of_inverses"]),
        }
