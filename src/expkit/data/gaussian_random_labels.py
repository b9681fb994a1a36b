"""Gaussian inputs with Gaussian targets that have nothing to do with them: all a network can do is memorize."""

from __future__ import annotations

from typing import Literal

import torch

from expkit.data.base import Spec, Split, TensorData


class GaussianRandomLabels(TensorData):
    """x ~ N(0, I_dim) and y ~ N(0, I_targets), independent of each other (arXiv 2402.06184).

    The best prediction for a new input is 0, with a mean squared error of 1.

    Columns: 'input' (n, dim), 'target' (n, targets).

    Args:
        dim: number of input dimensions.
        targets: numbers to predict per example.
        n_train: number of training examples.
        n_test: number of test examples; 0 leaves the split out.

    Raises:
        ValueError: no training example, or no dimension or target.
    """

    def __init__(
        self,
        dim: int,
        targets: int,
        n_train: int,
        n_test: int,
        spec: Spec,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        for name, number in {"dim": dim, "targets": targets, "n_train": n_train}.items():
            if number < 1:
                raise ValueError(f"{name} is at least 1, got {number}")
        if n_test < 0:
            raise ValueError(f"n_test is at least 0, got {n_test}")
        self.dim = dim
        self.targets = targets
        self.n_examples = {"train": n_train, "test": n_test}

    def draw(self) -> dict[str, Split]:
        return {name: self._examples(name, n) for name, n in self.n_examples.items() if n}

    def _examples(self, name: str, n: int) -> Split:
        return {
            "input": torch.randn(n, self.dim, generator=self.generator(f"{name}/input")),
            "target": torch.randn(n, self.targets, generator=self.generator(f"{name}/target")),
        }
