"""A network of nodes that hear nothing of each other, the baseline of graph networks."""

from __future__ import annotations

from torch import Tensor, nn

from expkit.models.flat_graph import FlatGraph
from expkit.models.graph_network import GraphNetwork, OfNodes


class NodeMLP(GraphNetwork):
    r"""Layers h_i <- W h_i + b, without edges; all else and the arguments as in `GraphNetwork` (arXiv 2003.00982)."""

    def layer(self, number: int) -> nn.Module:
        return _Layer(self.width)


class _Layer(OfNodes):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def nodes(self, h: Tensor, graph: FlatGraph) -> Tensor:
        return self.linear(h)
