"""How well an associative memory retrieves patterns from noisy queries, for more and more patterns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from expkit.data.base import TensorData
from expkit.models.classical_hopfield import classical_retrieve
from expkit.models.hopfield import retrieve
from expkit.tasks.computation import Computation


class PatternRetrieval(Computation):
    r"""Stores the data's first N patterns, for each N, and retrieves some of them from noisy copies.

    memory 'modern': the update of arXiv 2008.02217, `updates` times. 'classical': Hebb's rule and sign updates until
    nothing changes; patterns are +-1 then. Of a pattern x the query is x + noise |x| u with a random unit vector u;
    for 'classical', a share `noise` of the signs is flipped.

    Metrics, one row for each N: `retrieval/n` (N); `retrieval/error`, the mean of |result - x| / |x|, and
    `retrieval/log10_error`, its logarithm to base 10; `retrieval/success`, the share of queries with an error of at
    most `tolerance`. For 'modern' also `attention/difference`: the largest difference from torch's
    scaled_dot_product_attention on the same queries, relative to |x|.

    Args:
        counts: N, ascending; those above the number of patterns are left out.
        memory: see above.
        beta: inverse temperature of 'modern'.
        noise: see above.
        queries: how many patterns are asked for, at most; the first ones.
        updates: of 'modern'.
        tolerance: largest relative error of a success.
        model: none; what every task is given.
    """

    def __init__(
        self,
        counts: Sequence[int],
        memory: Literal["modern", "classical"] = "modern",
        beta: float = 1.0,
        noise: float = 0.1,
        queries: int = 256,
        updates: int = 1,
        tolerance: float = 0.1,
        model: nn.Module | None = None,
    ) -> None:
        super().__init__(model)
        self.counts = list(counts)
        self.rows = len(self.counts)
        self.memory = memory
        self.beta = beta
        self.noise = noise
        self.queries = queries
        self.updates = updates
        self.tolerance = tolerance

    def compute(self, data: TensorData) -> Iterator[dict[str, float | Tensor]]:
        patterns = data.splits["train"]["input"]
        for count in self.counts:
            if count > len(patterns):
                return
            stored = patterns[:count]
            asked = stored[: self.queries]
            query = self._disturbed(asked)
            row: dict[str, float | Tensor] = {"retrieval/n": float(count)}
            if self.memory == "modern":
                result, _ = retrieve(query, stored, self.beta, self.updates)
                row["attention/difference"] = self._difference(query, stored)
            else:
                result = classical_retrieve(query, stored)
            error = (result - asked).norm(dim=-1) / asked.norm(dim=-1)
            mean = float(error.double().mean())
            yield row | {
                "retrieval/error": mean,
                "retrieval/log10_error": float(torch.tensor(mean, dtype=torch.float64).clamp_min(1e-12).log10()),
                "retrieval/success": float((error <= self.tolerance).double().mean()),
            }

    def _disturbed(self, patterns: Tensor) -> Tensor:
        if self.memory == "classical":
            return torch.where(torch.rand_like(patterns) < self.noise, -patterns, patterns)
        return patterns + self.noise * patterns.norm(dim=-1, keepdim=True) * F.normalize(torch.randn_like(patterns))

    def _difference(self, query: Tensor, stored: Tensor) -> float:
        own, _ = retrieve(query, stored, self.beta, 1)
        torchs = F.scaled_dot_product_attention(query[None], stored[None], stored[None], scale=self.beta)[0]
        return float((own - torchs).abs().max() / stored.norm(dim=-1).max())
