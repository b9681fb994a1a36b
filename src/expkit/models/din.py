"""Deep interest network."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from expkit.models.dnn_ctr import DnnCtr, dense


class DIN(DnnCtr):
    """`DnnCtr` whose sum over the history is weighted by a local activation unit (arXiv 1706.06978, section 4.3).

    Args:
        unit: width of the unit's hidden layer.
        embed_dim, activation: see `DnnCtr`; the unit has the same activation.
        **kwargs: the others of `DnnCtr`.
    """

    def __init__(
        self, unit: int = 36, embed_dim: int = 8, activation: Literal["relu", "prelu", "dice"] = "prelu", **kwargs: Any
    ) -> None:
        super().__init__(embed_dim=embed_dim, activation=activation, **kwargs)
        self.unit = LocalActivationUnit(2 * embed_dim, unit, activation)

    def interest(self, item: Tensor, past: Tensor) -> Tensor:
        return (self.unit(item, past).unsqueeze(-1) * past).sum(1)


class LocalActivationUnit(nn.Module):
    """How much each item of a history matters for a candidate: an MLP of both vectors and their products.

    The weights are not normalized: their sum tells how much of the history matches. (The paper has the outer product of
    the two vectors as input; here it is the elementwise one, which is its diagonal.)

    Args:
        dim: of the vectors.
        width: of the hidden layer.
        activation: 'relu', 'prelu' or 'dice'.

    Shapes: item (batch, dim), past (batch, length, dim) -> (batch, length).
    """

    def __init__(self, dim: int, width: int, activation: str) -> None:
        super().__init__()
        self.hidden = dense([3 * dim, width], activation)
        self.readout = nn.Linear(width, 1)

    def forward(self, item: Tensor, past: Tensor) -> Tensor:
        beside = item.unsqueeze(1).expand_as(past)
        return self.readout(self.hidden(torch.cat([beside, past, beside * past], dim=2))).squeeze(2)
