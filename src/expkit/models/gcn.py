"""Graph convolutional network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv

from expkit.models.flat_graph import FlatGraph
from expkit.models.graph_network import GraphNetwork, OfNodes
from expkit.models.stackable_convolution import stackable


class GCN(GraphNetwork):
    r"""Layers h_i <- \sum_j (d_i d_j)^{-1/2} W h_j + b over the neighbours j of i and i itself (arXiv 1609.02907).

    d_i is the number of terms. All else and the arguments as in `GraphNetwork`.
    """

    def layer(self, number: int) -> nn.Module:
        return _Layer(self.width)


class _Layer(OfNodes):
    def __init__(self, width: int) -> None:
        super().__init__()
        # Its own normalization looks for loops among the edges, which takes shapes that depend on the data.
        self.convolution = stackable(GCNConv(width, width, add_self_loops=False, normalize=False))

    def nodes(self, h: Tensor, graph: FlatGraph) -> Tensor:
        edges = graph.with_loops()
        degree = torch.ones(graph.n_nodes, device=h.device).index_add(0, graph.edges[1], graph.edge_mask)
        scale = degree.rsqrt().to(h.dtype)
        return self.convolution(h, edges, scale[edges[0]] * scale[edges[1]])
