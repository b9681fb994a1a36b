"""The Hessian of a task's loss, by its products with vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import grad, vjp, vmap

from expkit.analysis.linear_layers_hessian import linear_layers_hessian
from expkit.analysis.loss_function import LossFunction

if TYPE_CHECKING:
    from expkit.data.base import Split
    from expkit.tasks.base import Task


TOLERANCE = 1e-3
"""Of a product by one route, relative to that by another: rounding makes 1e-6, a term that is missing far more."""


class Curvature(ABC):
    """A symmetric matrix (size, size) at a point of a loss landscape, known by its products with vectors.

    Args:
        task: at the point that is looked at; its loss is a mean over examples.
        split: the examples.
        chunk: of them at a time; limits memory, not the result.
    """

    def __init__(self, task: Task, split: Split, chunk: int = 4096) -> None:
        self.loss = LossFunction(task, split, chunk)
        self.point = self.loss.point

    @property
    def size(self) -> int:
        """The number of trainable parameters."""
        return self.loss.size

    def product(self, vector: Tensor) -> Tensor:
        """The matrix times a vector, (size,) -> (size,)."""
        return sum((w * self.product_of_part(vector, part) for w, part in self.loss.parts), torch.zeros_like(vector))

    @abstractmethod
    def product_of_part(self, vector: Tensor, part: Split) -> Tensor:
        """The same for the mean loss over some examples."""

    def products(self, vectors: Tensor, at_once: int = 64) -> Tensor:
        """The matrix times each of many vectors, (m, size) -> (m, size).

        Args:
            vectors: one a row.
            at_once: vectors at a time; limits memory, not the result.
        """
        return vmap(self.product, chunk_size=at_once)(vectors)

    def matrix(self, at_once: int = 64) -> Tensor:
        """All of it, (size, size): `size` products, and size^2 numbers."""
        columns = torch.cat([self.products(part) for part in torch.eye(self.size).to(self.point).split(at_once)])
        return (columns + columns.T) / 2


class Hessian(Curvature):
    """H = d^2 L / dw^2 of the mean loss over a split, at the task's own weights w.

    A product is the gradient of <gradient, vector>: reverse mode over reverse mode, for which torch has rules for more
    operations than for forward mode (which lacks the squared error and the Huber loss). It takes the time of about
    four gradients and the memory of two, whatever the number of parameters.
    """

    def product_of_part(self, vector: Tensor, part: Split) -> Tensor:
        def loss(point: Tensor) -> Tensor:
            return self.loss.of_part(point, part)

        _, back = pullback(grad(loss), self.point)
        return back(vector)  # the vector from the left, which is the same: the matrix is symmetric

    def matrix(self, at_once: int = 64) -> Tensor:
        """All of it, (size, size): put together layer by layer where that is the same, else by `size` products."""
        found = linear_layers_hessian(self.loss)
        return super().matrix(at_once) if found is None or not self._has_product_of(found) else found

    def _has_product_of(self, matrix: Tensor) -> bool:
        """Whether a matrix is this one, by its product with a random vector."""
        vector = torch.randn(self.size, generator=torch.Generator().manual_seed(0)).to(self.point)
        product = self.product(vector)
        return bool((matrix @ vector - product).norm() <= TOLERANCE * product.norm())


def pullback(function: Callable[[Tensor], Tensor], point: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The value of a function at a point, and u -> J^T u with its Jacobian J there."""
    value, back = vjp(function, point)[:2]
    return value, lambda vector: back(vector)[0]
