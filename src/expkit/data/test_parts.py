"""Several disjoint test sets of one distribution, out of the test set of any data set."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from expkit.data.base import Spec, Split, TensorData
from expkit.data.wrapper import Wrapper


class TestParts(Wrapper):
    """Cuts 'test' into `parts` test sets of like size: 'test', 'test2', 'test3', ...

    Integer targets are classes, and each part gets every `parts`-th example of each class, in the order drawn. So the
    parts are independent samples wherever the examples of a class are, also where the test set is balanced by class.

    Args:
        of: whose test set is cut.
        parts: how many, at least 2.
    """

    __test__ = False  # no test, whatever its name is to pytest

    def __init__(
        self, of: TensorData, spec: Spec, parts: int = 2, batch_size: int | Literal["full"] = "full", seed: int = 0
    ) -> None:
        super().__init__(of=of, spec=spec, batch_size=batch_size, seed=seed)
        if parts < 2:
            raise ValueError(f"a test set is cut into at least 2 parts, got {parts}")
        self.parts = parts

    def change(self, splits: dict[str, Split]) -> dict[str, Split]:
        whole = splits["test"]
        part = _rank_within_class(whole["target"]) % self.parts
        cut = {
            f"test{number + 1}" if number else "test": {name: values[part == number] for name, values in whole.items()}
            for number in range(self.parts)
        }
        return {**splits, **cut}


def _rank_within_class(target: Tensor) -> Tensor:
    """How many examples of its class stand before each example, (n,)."""
    if target.is_floating_point() or target.dim() > 1:
        return torch.arange(len(target))
    order = target.argsort(stable=True)
    counts = torch.bincount(target)
    starts = counts.cumsum(0) - counts
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(target)) - starts.repeat_interleave(counts)
    return rank
