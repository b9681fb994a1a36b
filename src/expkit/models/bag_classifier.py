"""A classifier of sets: every element embedded alike, then pooled, then read out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from expkit.models.activation import activation as activation_named
from expkit.models.hopfield import HopfieldPooling


class BagClassifier(nn.Module):
    """Embeds each instance by one hidden layer, pools over instances, and reads out.

    pooling 'mean' and 'max' are over instances, unit by unit. 'hopfield' is `HopfieldPooling` (arXiv 2008.02217), of
    which attention pooling is the case of one update. So that no pooling has fewer layers than another,
    'mean' and 'max' have an affine map of the width behind them, where 'hopfield' has one of its own.

    Args:
        input_shape: (instances, features); instances have no order.
        n_outputs: of the readout.
        width: units of the embedding, and of the pooled vector.
        pooling: see above.
        activation: of the embedding.
        heads: of 'hopfield'; each has a state pattern of its own.
        beta: of 'hopfield'; None for 1 / sqrt(width / heads).
        updates: of 'hopfield'.

    Shapes: (batch, instances, features) -> (batch, n_outputs).
    """

    accepts = ("signal",)

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        width: int = 32,
        pooling: Literal["hopfield", "mean", "max"] = "hopfield",
        activation: str = "relu",
        heads: int = 4,
        beta: float | None = None,
        updates: int = 1,
    ) -> None:
        super().__init__()
        self.embedding = nn.Sequential(nn.Linear(input_shape[-1], width), activation_named(activation))
        self.pooling = pooling
        if pooling == "hopfield":
            self.pool: nn.Module = HopfieldPooling(width, width, heads, beta=beta, updates=updates)
        elif pooling in ("mean", "max"):
            self.pool = nn.Linear(width, width)
        else:
            raise ValueError(f"pooling is one of hopfield, mean, max; got '{pooling}'")
        self.readout = nn.Linear(width, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        embedded = self.embedding(x)
        if self.pooling == "hopfield":
            return self.readout(self.pool(embedded))
        pooled = embedded.mean(1) if self.pooling == "mean" else embedded.amax(1)
        return self.readout(self.pool(pooled))
