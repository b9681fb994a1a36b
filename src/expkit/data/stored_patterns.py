"""Patterns for an associative memory: random directions, clusters of directions, or random signs."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from expkit.data.base import Spec, Split, TensorData


class StoredPatterns(TensorData):
    r"""Patterns of one length each; a smaller number of them is a part of a larger one.

    kind 'sphere': uniform on the sphere of radius `radius` sqrt(dim - 1), the setting of arXiv 2008.02217, theorem 3.
    'clusters': `clusters` random directions, each the middle of equally many patterns, which are the direction plus
    `spread` times another random direction, brought to the same radius. 'signs': each entry +-`radius`, with equal
    probability.

    Both splits are the same patterns. Columns: 'input' (n, dim), 'target' (n,), the pattern's cluster.

    Args:
        dim: of a pattern, at least 2.
        n: number of patterns.
        kind: see above.
        radius: see above.
        clusters: for kind 'clusters'.
        spread: for kind 'clusters', relative to the distance of the middle from 0.
    """

    def __init__(
        self,
        dim: int,
        n: int,
        spec: Spec,
        kind: Literal["sphere", "clusters", "signs"] = "sphere",
        radius: float = 1.0,
        clusters: int = 8,
        spread: float = 0.5,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if dim < 2:
            raise ValueError(f"a pattern has at least 2 dimensions, got {dim}")
        self.dim = dim
        self.n = n
        self.kind = kind
        self.radius = radius
        self.clusters = clusters
        self.spread = spread

    def draw(self) -> dict[str, Split]:
        random = self.generator("patterns")
        cluster = torch.arange(self.n) % self.clusters if self.kind == "clusters" else torch.zeros(self.n).long()
        match self.kind:
            case "signs":
                patterns = self.radius * (2.0 * torch.randint(2, (self.n, self.dim), generator=random) - 1)
            case "sphere":
                patterns = self._on_sphere(torch.randn(self.n, self.dim, generator=random))
            case "clusters":
                middles = F.normalize(torch.randn(self.clusters, self.dim, generator=self.generator("middles")))
                offsets = F.normalize(torch.randn(self.n, self.dim, generator=random))
                patterns = self._on_sphere(middles[cluster] + self.spread * offsets)
        split = {"input": patterns, "target": cluster}
        return {"train": split, "test": split}

    def _on_sphere(self, directions: Tensor) -> Tensor:
        return self.radius * (self.dim - 1) ** 0.5 * F.normalize(directions)
