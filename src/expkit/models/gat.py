"""Graph attention network."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import GATConv

from expkit.models.flat_graph import FlatGraph
from expkit.models.graph_network import GraphNetwork, OfNodes
from expkit.models.stackable_convolution import stackable


class GAT(GraphNetwork):
    r"""Layers h_i <- \sum_j a_ij W h_j + b over the neighbours j of i and i itself (arXiv 1710.10903).

    a_ij is the softmax over j of leaky_relu(<u, W h_i> + <v, W h_j>), for each of `heads` parts of W h, which are
    joined again. The activation is an ELU. All else as in `GraphNetwork`.

    Args:
        heads: a divisor of the width.
        **kwargs: those of `GraphNetwork`.

    Raises:
        ValueError: the heads do not divide the width.
    """

    def __init__(self, heads: int = 8, **kwargs: Any) -> None:
        self.heads = heads
        super().__init__(**kwargs)

    def layer(self, number: int) -> nn.Module:
        if self.width % self.heads:
            raise ValueError(f"heads={self.heads} does not divide width={self.width}")
        return _Layer(self.width, self.heads)

    def activation(self, x: Tensor) -> Tensor:
        return F.elu(x)


class _Layer(OfNodes):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.convolution = stackable(GATConv(width, width // heads, heads=heads, add_self_loops=False))

    def nodes(self, h: Tensor, graph: FlatGraph) -> Tensor:
        return self.convolution(h, graph.with_loops())
