"""Wrong labels in any classification data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from expkit.data.base import Spec, Split, TensorData
from expkit.data.wrapper import Wrapper


class LabelNoise(Wrapper):
    """Gives each example another label with probability `rate`.

    ============  =========================================================================
    kind          the label that an example gets instead
    ============  =========================================================================
    `symmetric`   uniform over all classes, so that some stay as they are: rate 1 = random labels
    `flip`        uniform over the other classes: a share of `rate` is wrong
    `asymmetric`  the next class, y + 1 modulo the number of classes
    ============  =========================================================================

    Further columns: 'clean' (the label before) and 'flipped' (bool, whether the label is wrong now). The labels that a
    smaller rate changes are among those that a larger one does, and change alike.

    Args:
        of: the data set.
        rate: probability, from 0 to 1.
        kind: see above.
        splits: whose labels; the others stay clean, without the further columns.

    Raises:
        ValueError: a rate that is no probability, or an unknown kind.
    """

    def __init__(
        self,
        of: TensorData,
        rate: float,
        spec: Spec,
        kind: Literal["symmetric", "flip", "asymmetric"] = "symmetric",
        splits: Sequence[str] = ("train",),
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(of=of, spec=spec, batch_size=batch_size, seed=seed)
        if not 0 <= rate <= 1:
            raise ValueError(f"rate is a probability, got {rate}")
        if kind not in ("symmetric", "flip", "asymmetric"):
            raise ValueError(f"kind is symmetric, flip or asymmetric; got '{kind}'")
        self.rate = rate
        self.kind = kind
        self.noisy = tuple(splits)

    def change(self, splits: dict[str, Split]) -> dict[str, Split]:
        return {name: self._noisy(name, split) if name in self.noisy else split for name, split in splits.items()}

    def _noisy(self, name: str, split: Split) -> Split:
        clean = split["target"]
        chosen = torch.rand(clean.shape, generator=self.generator(f"noise/{name}/chosen")) < self.rate
        target = torch.where(chosen, self._instead(name, clean), clean)
        return {**split, "target": target, "clean": clean, "flipped": target != clean}

    def _instead(self, name: str, clean: Tensor) -> Tensor:
        classes = self.spec["classes"]
        if self.kind == "asymmetric":
            return (clean + 1) % classes
        low = 0 if self.kind == "symmetric" else 1
        random = self.generator(f"noise/{name}/labels")
        drawn = torch.randint(low, classes, clean.shape, generator=random)
        return drawn if self.kind == "symmetric" else (clean + drawn) % classes
