"""A mixture of spherical Gaussians, one per class, of which the best possible classifier is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from expkit.data.base import Spec, Split, TensorData


class GaussianMixture(TensorData):
    r"""Class k with probability weights_k; then x ~ N(mu_k, I_dim).

    With means on a simplex any two are `separation` apart; for two classes of equal weight the best possible accuracy
    is Phi(separation / 2). Columns: 'input' (n, dim), 'target' (n,).

    Args:
        classes: number of classes, at least 2.
        dim: number of input dimensions.
        separation: distance between means, in standard deviations of a class.
        means: 'simplex' (a regular simplex in the first classes - 1 dimensions, centred at 0; needs as many) or
            'random' (each ~ N(0, separation^2 / (2 dim) I): `separation` is then the root mean square distance).
        n_train, n_test: numbers of examples.
        weights: relative frequencies of the classes; None for equal ones.
    """

    def __init__(
        self,
        classes: int,
        dim: int,
        separation: float,
        n_train: int,
        n_test: int,
        spec: Spec,
        means: Literal["simplex", "random"] = "simplex",
        weights: Sequence[float] | None = None,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if classes < 2:
            raise ValueError(f"classes is at least 2, got {classes}")
        if means == "simplex" and dim < classes - 1:
            raise ValueError(
                f"{classes} means at equal distances need dim >= {classes - 1}, got {dim}; or means=random"
            )
        if weights is not None and (len(weights) != classes or min(weights) <= 0):
            raise ValueError(f"weights are {classes} positive numbers, one for each class, got {list(weights)}")
        self.classes = classes
        self.dim = dim
        self.separation = separation
        self.n_examples = {"train": n_train, "test": n_test}
        self.placement = means
        self.weights = weights

    @property
    def means(self) -> Tensor:
        """mu, shape (classes, dim)."""
        if self.placement == "random":
            directions = torch.randn(self.classes, self.dim, generator=self.generator("means"))
            return directions * self.separation / (2 * self.dim) ** 0.5
        simplex = self.separation / 2**0.5 * _unit_simplex(self.classes)
        return torch.nn.functional.pad(simplex, (0, self.dim - self.classes + 1))

    @property
    def probabilities(self) -> Tensor:
        """Of the classes, shape (classes,)."""
        weights = torch.ones(self.classes) if self.weights is None else torch.tensor(list(self.weights))
        return weights / weights.sum()

    def posterior(self, inputs: Tensor) -> Tensor:
        """P(class | x), shape (n, classes), of inputs (n, dim): its argmax is the Bayes classifier."""
        means = self.means.to(inputs)
        log_joint = inputs @ means.T - means.square().sum(1) / 2 + self.probabilities.to(inputs).log()
        return log_joint.softmax(1)

    def draw(self) -> dict[str, Split]:
        return {name: self._examples(name) for name in self.n_examples}

    def _examples(self, name: str) -> Split:
        n, random = self.n_examples[name], self.generator(name)
        target = torch.multinomial(self.probabilities, n, replacement=True, generator=random)
        return {"input": self.means[target] + torch.randn(n, self.dim, generator=random), "target": target}


def _unit_simplex(vertices: int) -> Tensor:
    """The standard basis of `vertices` dimensions, seen within the hyperplane that holds it: (vertices, vertices - 1).

    The columns are Helmert's contrasts, which are orthonormal and orthogonal to (1, ..., 1).
    """
    order = torch.arange(1, vertices)
    contrasts = torch.ones(vertices - 1, vertices).tril()
    contrasts[order - 1, order] = -order.float()
    return (contrasts / (order * (order + 1)).sqrt().unsqueeze(1)).T
