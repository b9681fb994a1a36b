"""Modular addition (arXiv 2201.02177, 2301.05217): all pairs of a group's elements, a part of them for training."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from expkit.data.base import Spec, Split, TensorData


class ModularAddition(TensorData):
    """The p^2 pairs (a, b), in a random order; the first `train_fraction` of them for training, the rest for testing.

    A larger share moves examples from the test split to the training split and none back. Columns: 'input',
    'target' (n,): (a + b) mod p.

    Args:
        p: the modulus.
        train_fraction: share of the pairs that is trained on, between 0 and 1.
        encoding: 'tokens': (n, 3), the tokens a, b and '=', which is number p; 'onehot': (n, 2p), both one-hot.
    """

    def __init__(
        self,
        p: int,
        train_fraction: float,
        spec: Spec,
        encoding: Literal["tokens", "onehot"] = "tokens",
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if p < 2:
            raise ValueError(f"p is at least 2, got {p}")
        if not 0 < round(train_fraction * p * p) < p * p:
            raise ValueError(f"train_fraction={train_fraction} of {p * p} pairs leaves a split empty")
        if ("vocab" in spec) != (encoding == "tokens"):
            raise ValueError("tokens are data=modular_addition, onehot is data=modular_addition_onehot")
        self.p = p
        self.train_fraction = train_fraction
        self.encoding = encoding

    def draw(self) -> dict[str, Split]:
        order = torch.randperm(self.p**2, generator=self.generator("split"))
        n_train = round(self.train_fraction * self.p**2)
        return {"train": self._pairs(order[:n_train]), "test": self._pairs(order[n_train:])}

    def _pairs(self, number: Tensor) -> Split:
        pair = torch.stack([number // self.p, number % self.p], dim=1)
        return {"input": self._encode(pair), "target": pair.sum(1) % self.p}

    def _encode(self, pair: Tensor) -> Tensor:
        if self.encoding == "tokens":
            return F.pad(pair, (0, 1), value=self.p)
        return F.one_hot(pair, self.p).flatten(1).float()
