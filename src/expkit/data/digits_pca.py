"""Handwritten digits as a few principal components, for analyses that need few inputs."""

from __future__ import annotations

from typing import Literal

import torch

from expkit.data.base import Spec, Split
from expkit.data.digits import Digits


class DigitsPCA(Digits):
    """The leading principal components of the digits' pixels, found on the training split.

    All components are divided by one number, so that their mean variance over the training split is 1: distances keep
    their proportions. Columns: 'input' (n, components), 'target' (n,), 'row' (in scikit-learn's table).

    Args:
        components: how many, at most 64.
        test_fraction: share of the digits that is held out, at random and stratified.
        n_train: how many of the others are used; None for all.
    """

    def __init__(
        self,
        components: int,
        test_fraction: float,
        spec: Spec,
        n_train: int | None = None,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(test_fraction, spec, n_train, batch_size, seed)
        if not 1 <= components <= 64:
            raise ValueError(f"digits have 64 pixels, so components is 1 to 64, got {components}")
        self.components = components

    def draw(self) -> dict[str, Split]:
        splits = super().draw()
        pixels = splits["train"]["input"].flatten(1).double()
        mean = pixels.mean(0)
        axes = torch.linalg.svd(pixels - mean, full_matrices=False).Vh[: self.components]
        # A singular vector's sign is arbitrary; with the largest entry positive it is the same on every machine.
        axes = axes * axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
        scale = ((pixels - mean) @ axes.T).var(0, correction=0).mean().sqrt()
        for split in splits.values():
            split["input"] = (((split["input"].flatten(1).double() - mean) @ axes.T) / scale).float()
        return splits
