"""Embedding and MLP for click-through rates, the base that other models of user histories change."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from expkit.models.dice import Dice
from expkit.models.field_embedding import FieldEmbedding


class DnnCtr(nn.Module):
    """An MLP of the candidate's vectors and the sum of those of the history (arXiv 1706.06978, section 4.2).

    Candidate and history share their tables: one of items, one of categories. A subclass may sum otherwise (`interest`)
    and add something to the logit (`extra`).

    Args:
        input_shape: [2], item and category.
        n_items, n_categories: number of values of the two fields.
        n_outputs: 1, a logit.
        embed_dim: of an item's and of a category's vector.
        hidden: widths of the MLP's hidden layers.
        activation: of hidden layers; 'dice' adapts to the data.

    Shapes: 'input' (batch, 2), 'history' (batch, length, 2), int64 -> (batch, 1).
    """

    columns: ClassVar[tuple[str, ...]] = ("input", "history")
    accepts = ("fields",)

    def __init__(
        self,
        input_shape: Sequence[int],
        n_items: int,
        n_categories: int,
        n_outputs: int = 1,
        embed_dim: int = 8,
        hidden: Sequence[int] = (64, 32),
        activation: Literal["relu", "prelu", "dice"] = "prelu",
    ) -> None:
        super().__init__()
        if list(input_shape) != [2] or n_outputs != 1:
            raise ValueError(f"takes item and category and puts out 1 logit, got {list(input_shape)} and {n_outputs}")
        self.embedding = FieldEmbedding([n_items, n_categories], embed_dim)
        width = 2 * embed_dim
        self.hidden = dense([2 * width, *hidden], activation)
        self.readout = nn.Linear(hidden[-1], 1)

    def forward(self, candidate: Tensor, history: Tensor) -> Tensor:
        item, past = self.embedding(candidate), self.embedding(history)
        logit = self.readout(self.hidden(torch.cat([item, self.interest(item, past)], dim=1)))
        return logit + self.extra(candidate, history)

    def interest(self, item: Tensor, past: Tensor) -> Tensor:
        """What of the history the MLP sees: (batch, d) and (batch, length, d) -> (batch, d)."""
        return past.sum(1)

    def extra(self, candidate: Tensor, history: Tensor) -> Tensor | float:
        """What is added to the logit, (batch, 1)."""
        return 0.0


def dense(sizes: Sequence[int], activation: str) -> nn.Sequential:
    """Affine layers, each with an activation behind it."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), _activation(activation, fan_out)]
    return nn.Sequential(*layers)


def _activation(name: str, width: int) -> nn.Module:
    match name:
        case "relu":
            return nn.ReLU()
        case "prelu":
            return nn.PReLU()
        case "dice":
            return Dice(width)
    raise ValueError(f"activation is one of relu, prelu, dice; got '{name}'")
