"""XOR clusters (arXiv 2310.02541, section 2): four Gaussian clusters whose labels form an exclusive or."""

from __future__ import annotations

from typing import Literal

import torch

from expkit.data.base import Spec, Split, TensorData


class XorClusters(TensorData):
    r"""Inputs x = m + z with z ~ N(0, I_dim) and m uniform on {+mu_1, -mu_1, +mu_2, -mu_2}.

    The means are orthogonal, |mu_1| = |mu_2| = `mean_norm`: mu_1 along the first coordinate, mu_2 along the second.
    The clean label is 1 for +-mu_1 and 0 for +-mu_2. A training label is flipped with probability `noise_rate`; test
    labels are clean. Columns: 'input' (n, dim), 'target', and for training 'clean' (the label before flipping) and
    'flipped' (bool).

    Args:
        dim: number of input dimensions (p in the paper), at least 2.
        n_train, n_test: numbers of examples.
        mean_norm: |mu|, in units of the noise's standard deviation per coordinate.
        noise_rate: probability that a training label is flipped (eta), below 0.5.
    """

    def __init__(
        self,
        dim: int,
        n_train: int,
        n_test: int,
        mean_norm: float,
        noise_rate: float,
        spec: Spec,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if dim < 2:
            raise ValueError(f"two orthogonal means need dim >= 2, got {dim}")
        if not 0 <= noise_rate < 0.5:
            raise ValueError(f"noise_rate is a share below 0.5, got {noise_rate}")
        self.dim = dim
        self.n_examples = {"train": n_train, "test": n_test}
        self.mean_norm = mean_norm
        self.noise_rate = noise_rate

    @property
    def means(self) -> torch.Tensor:
        """mu_1 and mu_2, shape (2, dim)."""
        return self.mean_norm * torch.eye(2, self.dim)

    def draw(self) -> dict[str, Split]:
        train, test = self._clusters("train"), self._clusters("test")
        flipped = torch.rand(len(train["target"]), generator=self.generator("flips")) < self.noise_rate
        clean = train["target"]
        return {"train": {**train, "target": clean ^ flipped.long(), "clean": clean, "flipped": flipped}, "test": test}

    def _clusters(self, name: str) -> Split:
        n, random = self.n_examples[name], self.generator(name)
        axis = torch.randint(2, (n,), generator=random)
        sign = 2 * torch.randint(2, (n,), generator=random) - 1
        inputs = torch.randn(n, self.dim, generator=random)
        inputs[torch.arange(n), axis] += sign * self.mean_norm
        return {"input": inputs, "target": 1 - axis}
