"""Spirals: the arms of a spiral in the plane, one per class (two of them: Lang and Witbrock, 1988)."""

from __future__ import annotations

from math import pi
from typing import Literal

import torch

from expkit.data.base import Spec, Split, TensorData


class Spirals(TensorData):
    """Arm k: radius r = sqrt(u), u uniform on [0, 1], at the angle 2 pi (turns r + k / classes); plus Gaussian noise.

    The square root spreads the examples evenly over the disk. Columns: 'input' (n, 2), 'target' (n,). All classes
    have equally many examples, up to one.

    Args:
        classes: number of arms.
        turns: how often an arm winds around the origin.
        n_train, n_test: numbers of examples.
        noise: standard deviation per coordinate; the outer radius is 1, neighbouring arms are 1 / (turns classes)
            apart along a ray.
    """

    def __init__(
        self,
        classes: int,
        turns: float,
        n_train: int,
        n_test: int,
        noise: float,
        spec: Spec,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if classes < 2:
            raise ValueError(f"classes is at least 2, got {classes}")
        self.classes = classes
        self.turns = turns
        self.n_examples = {"train": n_train, "test": n_test}
        self.noise = noise

    def draw(self) -> dict[str, Split]:
        return {name: self._arms(name) for name in self.n_examples}

    def _arms(self, name: str) -> Split:
        n, random = self.n_examples[name], self.generator(name)
        target = torch.randperm(n, generator=random) % self.classes
        radius = torch.rand(n, generator=random).sqrt()
        angle = 2 * pi * (self.turns * radius + target / self.classes)
        clean = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
        return {"input": clean + self.noise * torch.randn(n, 2, generator=random), "target": target}
