"""Positional encodings of the nodes of a graph, from its edges alone."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def graph_positions(kind: Literal["laplacian", "random_walk"], edges: Tensor, n_nodes: int, size: int) -> Tensor:
    r"""What tells a node where in the graph it is.

    laplacian (arXiv 2003.00982): the eigenvectors of I - D^{-1/2} A D^{-1/2} that belong to the smallest eigenvalues,
    that of the smallest one left out; a column each, of length 1. An eigenvector is as good as its negative, and
    within an eigenspace of several dimensions any basis is: a model that learns from them has to be told so, by signs
    that are drawn anew in training.

    random_walk (arXiv 2110.07875): the probabilities that a random walk is back at the node where it began after
    1, 2, ..., `size` steps: the diagonals of (D^{-1} A)^i. They depend on the graph alone.

    Args:
        kind: which of them.
        edges: (e, 2), int64, undirected edges in both directions, none twice.
        n_nodes: of the graph; a node without edges counts as degree 1.
        size: number of columns. A graph with fewer eigenvectors has zeros in the columns that are left.

    Returns:
        (n_nodes, size), float32.

    Raises:
        ValueError: there is no such kind.
    """
    adjacency = torch.zeros(n_nodes, n_nodes, dtype=torch.float64)
    adjacency[edges[:, 0], edges[:, 1]] = 1
    if kind == "laplacian":
        return _laplacian(adjacency, size).float()
    if kind == "random_walk":
        return _random_walk(adjacency, size).float()
    raise ValueError(f"positions are laplacian or random_walk, got '{kind}'")


def _laplacian(adjacency: Tensor, size: int) -> Tensor:
    scale = adjacency.sum(1).clamp(min=1).rsqrt()
    laplacian = torch.eye(len(adjacency), dtype=adjacency.dtype) - scale.unsqueeze(1) * adjacency * scale
    vectors = torch.linalg.eigh(laplacian).eigenvectors[:, 1 : size + 1]
    return torch.nn.functional.pad(vectors, (0, size - vectors.shape[1]))


def _random_walk(adjacency: Tensor, size: int) -> Tensor:
    step = adjacency / adjacency.sum(1, keepdim=True).clamp(min=1)
    power, returns = torch.eye(len(adjacency), dtype=adjacency.dtype), []
    for _ in range(size):
        power = power @ step
        returns.append(power.diagonal())
    return torch.stack(returns, dim=1)
