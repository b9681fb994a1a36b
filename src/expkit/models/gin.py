"""Graph isomorphism network."""

from __future__ import annotations

from torch import Tensor, nn
from torch_geometric.nn import GINConv

from expkit.models.flat_graph import FlatGraph
from expkit.models.graph_network import GraphNetwork, OfNodes
from expkit.models.stackable_convolution import stackable


class GIN(GraphNetwork):
    r"""Layers h_i <- MLP((1 + eps) h_i + \sum_j h_j) over the neighbours j of i (arXiv 1810.00826).

    The MLP has one hidden layer of ReLUs, as wide as h; eps is learned and begins at 0. All else and the arguments as
    in `GraphNetwork`.
    """

    def layer(self, number: int) -> nn.Module:
        return _Layer(self.width)


class _Layer(OfNodes):
    def __init__(self, width: int) -> None:
        super().__init__()
        network = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.convolution = stackable(GINConv(network, train_eps=True))

    def nodes(self, h: Tensor, graph: FlatGraph) -> Tensor:
        return self.convolution(h, graph.edges)
