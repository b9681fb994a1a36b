"""Vectors for the values of categorical fields."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FieldEmbedding(nn.Module):
    """One table for each field, joined: a value's vectors stand one after another.

    Args:
        sizes: number of values of each field.
        dim: of a vector.
        scale: standard deviation of a weight at initialization.

    Attributes: `weight`, (sum of sizes, dim), the tables one below the other.

    Shapes: (..., fields), int64 -> (..., fields * dim).
    """

    first: Tensor

    def __init__(self, sizes: Sequence[int], dim: int, scale: float = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(scale * torch.randn(sum(sizes), dim))
        self.register_buffer("first", torch.tensor([0, *sizes[:-1]]).cumsum(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.embedding(self.rows(x), self.weight).flatten(-2)

    def rows(self, x: Tensor) -> Tensor:
        """Where in `weight` each value's vector is, (..., fields)."""
        return x + self.first
