"""Where the modern Hopfield network ends up, for lower and lower temperatures (arXiv 2008.02217)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from expkit.analysis.fixed_point_type import effective_patterns, fixed_point_type, shares
from expkit.data.base import TensorData
from expkit.models.hopfield import association, retrieve
from expkit.tasks.computation import Computation


class FixedPoints(Computation):
    r"""Starts at each stored pattern and updates until nothing moves, for one beta after another.

    Metrics, one row for each beta: `fixed_points/beta`, in units of 1 / (largest |x|^2); `fixed_points/global`,
    `fixed_points/metastable`, `fixed_points/single`: shares of starts, see `fixed_point_type`;
    `fixed_points/size`: how many patterns have nine tenths of the softmax at the fixed point, mean.

    Array: `fixed_points/sizes` (betas, patterns), the same for each start.

    Args:
        betas: inverse temperatures, in units of 1 / (largest |x|^2), ascending.
        max_updates: for each beta.
        model: none; what every task is given.
    """

    def __init__(self, betas: Sequence[float], max_updates: int = 2000, model: nn.Module | None = None) -> None:
        super().__init__(model)
        self.betas = list(betas)
        self.rows = len(self.betas)
        self.max_updates = max_updates

    def compute(self, data: TensorData) -> Iterator[dict[str, float | Tensor]]:
        patterns = data.splits["train"]["input"].double()
        largest = float(patterns.square().sum(-1).max())
        sizes = []
        for beta in self.betas:
            state, _ = retrieve(patterns, patterns, beta / largest, self.max_updates, tolerance=1e-9 * largest**0.5)
            weights = association(state, patterns, beta / largest)
            sizes.append(effective_patterns(weights).double())
            row: dict[str, float | Tensor] = {"fixed_points/beta": beta, "fixed_points/size": float(sizes[-1].mean())}
            row |= {f"fixed_points/{name}": share for name, share in shares(fixed_point_type(weights)).items()}
            yield row | {"fixed_points/sizes": torch.stack(sizes)}
