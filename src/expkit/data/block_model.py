"""Edges of a stochastic block model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from expkit.data.graph_columns import both_ways


def block_model_edges(probability: Tensor, random: torch.Generator) -> Tensor:
    """Undirected edges without loops, in both directions, (e, 2), int64.

    Args:
        probability: of an edge between each two nodes, (n, n), symmetric.
    """
    drawn = torch.rand(probability.shape, generator=random) < probability
    return both_ways(drawn.triu(diagonal=1).nonzero())


def most_edges(expected: float) -> int:
    """Room for the directed edges of a graph, of which so many are expected, that next to no draw exceeds.

    The number of undirected edges is a sum of independent coin tosses; its standard deviation is below the root of its
    mean, and this is 6 of them above it.
    """
    undirected = expected / 2
    return 2 * math.ceil(undirected + 6 * math.sqrt(undirected) + 6)
