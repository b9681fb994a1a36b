"""Examples of which nothing is known but their number and their class, for models with a free vector per example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from expkit.data.base import Spec, Split, TensorData


class ExampleNumbers(TensorData):
    """Numbers 0 ... N - 1, the first counts[0] of class 0, the next counts[1] of class 1, and so on.

    What a model makes of them is its own choice: in the unconstrained features model (arXiv 2011.11619), a vector for
    each. There are no others to test on: both splits have all of them. Columns: 'input' (n, 1), 'target' (n,).

    Args:
        counts: examples of each class, at least one.
        classes: length of `counts`.
    """

    def __init__(
        self,
        counts: Sequence[int],
        classes: int,
        spec: Spec,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if len(counts) != classes or min(counts) < 1:
            raise ValueError(f"counts are {classes} numbers of examples, at least one each; got {list(counts)}")
        self.counts = counts

    def draw(self) -> dict[str, Split]:
        target = torch.arange(len(self.counts)).repeat_interleave(torch.tensor(self.counts))
        numbers = torch.arange(len(target)).unsqueeze(1)
        return {"train": {"input": numbers, "target": target}, "test": {"input": numbers, "target": target}}
