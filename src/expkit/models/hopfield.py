"""The modern Hopfield network, its energy, and its layers (arXiv 2008.02217)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

Beta = float | Tensor


def hopfield_update(state: Tensor, patterns: Tensor, beta: Beta, values: Tensor | None = None) -> Tensor:
    r"""xi <- X softmax(beta X^T xi), the update whose fixed points are memories; it is one head of attention.

    With `values`, the result is made of these and not of the patterns, as attention does.

    Args:
        state: xi, (..., states, dim).
        patterns: X, (..., patterns, dim).
        beta: inverse temperature, above 0; torch's attention has 1 / sqrt(dim).
        values: (..., patterns, dim_v).

    Returns:
        (..., states, dim), or (..., states, dim_v) with values.
    """
    return association(state, patterns, beta) @ (patterns if values is None else values)


def association(state: Tensor, patterns: Tensor, beta: Beta) -> Tensor:
    """softmax(beta X^T xi): the weight of each pattern in the update, (..., states, patterns)."""
    return (beta * state @ patterns.transpose(-2, -1)).softmax(-1)


def hopfield_energy(state: Tensor, patterns: Tensor, beta: Beta) -> Tensor:
    r"""E(xi) = -log(sum_i exp(beta <x_i, xi>)) / beta + |xi|^2 / 2 + log(N) / beta + max_i |x_i|^2 / 2.

    It is never negative, and no update makes it larger.

    Args:
        state: (..., states, dim).
        patterns: (..., patterns, dim).
        beta: inverse temperature.

    Returns:
        (..., states).
    """
    overlap = (beta * state @ patterns.transpose(-2, -1)).logsumexp(-1)
    constant = math.log(patterns.shape[-2]) / beta + patterns.square().sum(-1).amax(-1)[..., None] / 2
    return -overlap / beta + state.square().sum(-1) / 2 + constant


def retrieve(
    state: Tensor, patterns: Tensor, beta: Beta, max_updates: int = 1, tolerance: float = 1e-6
) -> tuple[Tensor, int]:
    """Updates until no state moves by more than `tolerance` (Euclidean), `max_updates` times at most.

    Returns:
        The states, and how many updates were made.
    """
    updates, moved = 0, math.inf
    while updates < max_updates and moved > tolerance:
        new = hopfield_update(state, patterns, beta)
        moved = float((new - state).norm(dim=-1).amax())
        state, updates = new, updates + 1
    return state, updates


class Hopfield(nn.Module):
    r"""Association of state patterns R with stored patterns Y, in H heads that each see a part of the width.

    Q = R W_Q, K = Y W_K, V = Y W_V; then Q <- K softmax(beta K^T Q) for all updates but the last, and
    V softmax(beta K^T Q) as the last; the heads' results side by side, times W_O. With one update and
    beta = 1 / sqrt(width / H) it is multi-head attention.

    Args:
        state_size, stored_size: of a state pattern and of a stored one.
        width: of all heads together; the heads divide it.
        heads: H.
        beta: inverse temperature; None for 1 / sqrt(width / H).
        updates: of the state, at least 1.
        bias: whether the affine maps have biases.

    Shapes: (batch, states, state_size), (batch, patterns, stored_size) -> (batch, states, width).

    Raises:
        ValueError: the heads do not divide the width, or there is no update.
    """

    def __init__(
        self,
        state_size: int,
        stored_size: int,
        width: int,
        heads: int = 1,
        beta: float | None = None,
        updates: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"width {width} cannot be divided among {heads} heads")
        if updates < 1:
            raise ValueError(f"a Hopfield layer makes at least 1 update, got {updates}")
        self.heads = heads
        self.beta = (width // heads) ** -0.5 if beta is None else beta
        self.updates = updates
        self.query = nn.Linear(state_size, width, bias=bias)
        self.key = nn.Linear(stored_size, width, bias=bias)
        self.value = nn.Linear(stored_size, width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(self, state: Tensor, stored: Tensor) -> Tensor:
        query, key, value = (self._split(own) for own in (self.query(state), self.key(stored), self.value(stored)))
        for _ in range(self.updates - 1):
            query = hopfield_update(query, key, self.beta)
        mixed = hopfield_update(query, key, self.beta, value)
        return self.out(mixed.transpose(-3, -2).flatten(-2))

    def _split(self, x: Tensor) -> Tensor:
        """(batch, length, width) -> (batch, heads, length, width / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)


class HopfieldPooling(nn.Module):
    """One vector for a set: state patterns that are learned, and do not depend on the input, are associated with it.

    Args:
        size: of an element of the set.
        width: of all heads together.
        heads: how many; each has a state pattern of its own.
        quantity: state patterns of each head; their results stand side by side.
        beta: inverse temperature; None for 1 / sqrt(width / heads).
        updates: of the state.

    Shapes: (batch, elements, size) -> (batch, quantity * width).
    """

    def __init__(
        self,
        size: int,
        width: int,
        heads: int = 1,
        quantity: int = 1,
        beta: float | None = None,
        updates: int = 1,
    ) -> None:
        super().__init__()
        self.state = nn.Parameter(torch.randn(quantity, width) / width**0.5)
        self.associate = Hopfield(width, size, width, heads, beta, updates)

    def forward(self, x: Tensor) -> Tensor:
        return self.associate(self.state.expand(len(x), -1, -1), x).flatten(1)
