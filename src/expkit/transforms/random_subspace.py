"""Any model, trained in a random subspace of its parameters (arXiv 1804.08838)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call


class RandomSubspace(nn.Module):
    r"""theta = theta_0 + P d: the model's D parameters move along d random directions only (arXiv 1804.08838).

    theta_0 is the model at initialization and stays; P is drawn once, from torch's global generator; `coordinates`, the
    d numbers that start at zero, is the only parameter that is trained. Parameters of the model that are not trained
    anyway stay out. Every kind of P has columns of length 1 that are orthogonal, or nearly so:

    ==========  ============================================  ================================  ====================
    projection  P                                             memory                            a step costs
    ==========  ============================================  ================================  ====================
    `dense`     orthonormal, uniform over subspaces           d D numbers                       d D
    `sparse`    +-1/sqrt(s) in s = round(sqrt(D)) places      2 d sqrt(D) numbers               d sqrt(D) + D
    `fastfood`  blocks of H G Pi H B (Le et al. 2013)         3 D numbers                       D log d
    ==========  ============================================  ================================  ====================

    Args:
        model: at initialization; its parameters are frozen here.
        dimension: d, at least 1; at most D if dense.
        projection: the kind of P.

    Attributes:
        n_parameters: D.
        coordinates: (d,).

    Raises:
        ValueError: the dimension does not fit, or the model has nothing to train.
    """

    def __init__(
        self, model: nn.Module, dimension: int = 100, projection: Literal["dense", "sparse", "fastfood"] = "sparse"
    ) -> None:
        super().__init__()
        self.moved = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        self.shapes = [model.get_parameter(name).shape for name in self.moved]
        self.n_parameters = sum(shape.numel() for shape in self.shapes)
        if not self.n_parameters:
            raise ValueError("the model has no parameters to train")
        if dimension < 1:
            raise ValueError(f"dimension is at least 1, got {dimension}")
        if projection not in PROJECTIONS:
            raise ValueError(f"projection is one of {', '.join(PROJECTIONS)}; got '{projection}'")
        self.columns = getattr(model, "columns", ("input",))
        self.model = model.requires_grad_(False)
        self.coordinates = nn.Parameter(torch.zeros(dimension))
        self.projection = PROJECTIONS[projection](self.n_parameters, dimension)

    def forward(self, *inputs: Tensor) -> Tensor:
        return functional_call(self.model, self.parameters_at(self.coordinates), inputs)

    def parameters_at(self, coordinates: Tensor) -> dict[str, Tensor]:
        """The model's parameters at a point of the subspace, (d,), by name."""
        pieces = self.projection(coordinates).split([shape.numel() for shape in self.shapes])
        start = dict(self.model.named_parameters())
        return {
            name: start[name] + piece.view(shape)
            for name, piece, shape in zip(self.moved, pieces, self.shapes, strict=True)
        }


class Dense(nn.Module):
    """P with orthonormal columns, uniform over all such: the orthogonal factor of a Gaussian matrix."""

    matrix: Tensor  # (rows, columns)

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        if columns > rows:
            raise ValueError(f"there are no {columns} orthogonal directions among {rows} parameters")
        q, r = torch.linalg.qr(torch.randn(rows, columns))
        self.register_buffer("matrix", q * r.diagonal().sign())

    def forward(self, coordinates: Tensor) -> Tensor:
        return self.matrix @ coordinates


class Sparse(nn.Module):
    """P with s = round(sqrt(rows)) entries +-1/sqrt(s) in each column, one in each of s stretches of equal length.

    As sparse as the very sparse random projections of Li, Hastie and Church (2006), whose entries are not zero with
    probability 1/sqrt(rows). Here the number in a column is fixed, so that runs can be stacked, and they are spread, so
    that no two are in one place. Two columns share about one place: their product is of the order of 1/s.
    """

    places: Tensor  # (columns, s), of the entries that are not zero
    signs: Tensor  # (columns, s), theirs

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.rows = rows
        self.count = round(rows**0.5)
        edges = torch.arange(self.count + 1) * rows // self.count
        within = torch.rand(columns, self.count) * edges.diff()
        self.register_buffer("places", edges[:-1] + within.long())
        self.register_buffer("signs", torch.randint(2, (columns, self.count), dtype=torch.int8) * 2 - 1)

    def forward(self, coordinates: Tensor) -> Tensor:
        values = self.signs * (coordinates.unsqueeze(1) / self.count**0.5)
        zero = torch.zeros(self.rows, dtype=values.dtype, device=values.device)
        return zero.index_add(0, self.places.flatten(), values.flatten())


class Fastfood(nn.Module):
    """P made of blocks H G Pi H B of side l, the power of 2 from `columns` on (Le, Sarlos and Smola 2013).

    H is the Hadamard matrix, B random signs, Pi a permutation, G Gaussian, all but H drawn for each block. Before the
    last block is cut to `rows`, columns have length exactly 1: those of H G Pi H B have sqrt(l) |G|.
    """

    signs: Tensor  # (blocks, l), B
    order: Tensor  # (blocks, l), Pi
    gaussian: Tensor  # (blocks, l), G with the factor that makes columns of length 1

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.rows = rows
        self.side = 1 << (columns - 1).bit_length()
        blocks = -(-rows // self.side)
        self.register_buffer("signs", torch.randint(2, (blocks, self.side), dtype=torch.int8) * 2 - 1)
        self.register_buffer("order", torch.rand(blocks, self.side).argsort(1))
        gaussian = torch.randn(blocks, self.side)
        self.register_buffer("gaussian", gaussian / (gaussian.norm() * self.side**0.5))

    def forward(self, coordinates: Tensor) -> Tensor:
        padded = nn.functional.pad(coordinates, (0, self.side - len(coordinates)))
        mixed = walsh_hadamard(self.signs * padded).gather(1, self.order)
        return walsh_hadamard(self.gaussian * mixed).flatten()[: self.rows]


def walsh_hadamard(x: Tensor) -> Tensor:
    """H x along the last axis, in Sylvester's order, without a factor; its length is a power of 2."""
    n, half = x.shape[-1], 1
    while half < n:
        pairs = x.unflatten(-1, (n // (2 * half), 2, half))
        first, second = pairs.select(-2, 0), pairs.select(-2, 1)
        x = torch.stack([first + second, first - second], -2).flatten(-3)
        half *= 2
    return x


PROJECTIONS: dict[str, type[nn.Module]] = {"dense": Dense, "sparse": Sparse, "fastfood": Fastfood}
