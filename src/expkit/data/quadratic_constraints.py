"""Linear constraints on the entries of one vector: the toy problem whose intrinsic dimension is known (1804.08838)."""

from __future__ import annotations

from typing import Literal

import torch

from expkit.data.base import Spec, Split, TensorData


class QuadraticConstraints(TensorData):
    r"""theta in R^dim is cut into `constraints` pieces of equal length; the entries of piece k must sum to k.

    As data for a linear model without a bias, whose weights are theta: input k has ones at piece k and zeros elsewhere,
    its target is k = 1, 2, ... The mean squared error is zero on an affine space of dimension dim - constraints, so
    that a random affine subspace meets it, with probability 1, from dimension `constraints` on: the intrinsic dimension
    (arXiv 1804.08838, section 2, with dim = 1000 and 10 constraints). Both splits have all constraints.

    Columns: 'input' (constraints, dim), 'target' (constraints, 1).

    Args:
        dim: length of theta, a multiple of `constraints`.
        constraints: their number.
    """

    def __init__(
        self, dim: int, constraints: int, spec: Spec, batch_size: int | Literal["full"] = "full", seed: int = 0
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if constraints < 1 or dim % constraints:
            raise ValueError(f"dim is a multiple of constraints, got {dim} and {constraints}")
        self.dim = dim
        self.constraints = constraints

    def draw(self) -> dict[str, Split]:
        pieces = torch.eye(self.constraints).repeat_interleave(self.dim // self.constraints, dim=1)
        sums = torch.arange(1.0, self.constraints + 1).unsqueeze(1)
        return {name: {"input": pieces, "target": sums} for name in ("train", "test")}
