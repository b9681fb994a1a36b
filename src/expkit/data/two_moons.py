"""Two moons: interleaving half circles in the plane."""

from __future__ import annotations

from math import pi
from typing import Literal

import torch

from expkit.data.base import Spec, Split, TensorData


class TwoMoons(TensorData):
    """Class 0: (cos t, sin t); class 1: (1 - cos t, 1/2 - sin t); t uniform on [0, pi]; plus Gaussian noise.

    Columns: 'input' (n, 2), 'target' (n,). Both classes have equally many examples, up to one.

    Args:
        n_train, n_test: numbers of examples.
        noise: standard deviation per coordinate; the moons have radius 1 and, without noise, do not touch.
    """

    def __init__(
        self,
        n_train: int,
        n_test: int,
        noise: float,
        spec: Spec,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        self.n_examples = {"train": n_train, "test": n_test}
        self.noise = noise

    def draw(self) -> dict[str, Split]:
        return {name: self._moons(name) for name in self.n_examples}

    def _moons(self, name: str) -> Split:
        n, random = self.n_examples[name], self.generator(name)
        target = torch.randperm(n, generator=random) % 2
        angle = pi * torch.rand(n, generator=random)
        upper = torch.stack([angle.cos(), angle.sin()], dim=1)
        lower = torch.tensor([1.0, 0.5]) - upper
        clean = torch.where(target.unsqueeze(1) == 1, lower, upper)
        return {"input": clean + self.noise * torch.randn(n, 2, generator=random), "target": target}
