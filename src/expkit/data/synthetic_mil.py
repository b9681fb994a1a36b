"""Multiple-instance bags: a bag is positive if it holds a witness among many instances that say nothing."""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn import functional as F

from expkit.data.base import Spec, Split, TensorData


class SyntheticMIL(TensorData):
    r"""Bags of instances x ~ N(0, I_dim); in a positive bag, `witnesses` of them have a motif added.

    Motifs are `motifs` random directions of length `signal`, the same for all bags; a witness has one of them, drawn
    anew. Positions are random. Half of the bags are positive, up to one. Columns: 'input' (n, instances, dim),
    'target' (n,), 'witness' (n, instances), bool.

    Args:
        instances: in a bag.
        dim: of an instance.
        n_train, n_test: numbers of bags.
        witnesses: in a positive bag.
        motifs: how many.
        signal: their length, in standard deviations of an instance's coordinate.
    """

    def __init__(
        self,
        instances: int,
        dim: int,
        n_train: int,
        n_test: int,
        spec: Spec,
        witnesses: int = 1,
        motifs: int = 4,
        signal: float = 4.0,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if not 1 <= witnesses <= instances:
            raise ValueError(f"a positive bag has 1 to {instances} witnesses, got {witnesses}")
        self.instances = instances
        self.dim = dim
        self.n_examples = {"train": n_train, "test": n_test}
        self.witnesses = witnesses
        self.n_motifs = motifs
        self.signal = signal

    @property
    def motifs(self) -> torch.Tensor:
        """(motifs, dim)."""
        directions = torch.randn(self.n_motifs, self.dim, generator=self.generator("motifs"))
        return self.signal * F.normalize(directions)

    def draw(self) -> dict[str, Split]:
        return {name: self._bags(name) for name in self.n_examples}

    def _bags(self, name: str) -> Split:
        n, random = self.n_examples[name], self.generator(name)
        target = torch.randperm(n, generator=random) % 2
        place = torch.rand(n, self.instances, generator=random).argsort(1)
        witness = (place < self.witnesses) & (target == 1)[:, None]
        motif = self.motifs[torch.randint(self.n_motifs, (n, self.instances), generator=random)]
        noise = torch.randn(n, self.instances, self.dim, generator=random)
        return {"input": noise + motif * witness[..., None], "target": target, "witness": witness}
