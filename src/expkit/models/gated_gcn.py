"""Gated graph convolutional network, with a state of its edges."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.utils import scatter

from expkit.models.flat_graph import FlatGraph
from expkit.models.graph_network import GraphNetwork
from expkit.models.masked_batch_norm import MaskedBatchNorm

SMALL = 1e-6


class GatedGCN(GraphNetwork):
    r"""Layers h_i <- A h_i + \sum_j g_ij * B h_j over the neighbours j of i, with gates from a state e of the edges
    (arXiv 1711.07553, as in arXiv 2003.00982):

        f_ij = C e_ij + D h_i + E h_j,   g_ij = sigmoid(f_ij) / (\sum_k sigmoid(f_ik) + 1e-6),
        e_ij <- e_ij + relu(BN(f_ij))

    e begins as an affine map of the edges' features, or of 1 where they have none. All else and the arguments as in
    `GraphNetwork`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.edge_embedding = nn.Linear(max(self.edge_features, 1), self.width)

    def layer(self, number: int) -> nn.Module:
        return _Layer(self.width)

    def edge_state(self, edge_features: Tensor) -> Tensor:
        known = edge_features if self.edge_features else edge_features.new_ones(len(edge_features), 1)
        return self.edge_embedding(known)


class _Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.own, self.neighbour = nn.Linear(width, width), nn.Linear(width, width)
        self.edge, self.source, self.target = (nn.Linear(width, width) for _ in range(3))
        self.norm = MaskedBatchNorm(width)

    def forward(self, h: Tensor, e: Tensor, graph: FlatGraph) -> tuple[Tensor, Tensor]:
        source, target = graph.edges
        state = self.edge(e) + self.target(h)[target] + self.source(h)[source]
        gate = state.sigmoid()
        messages = scatter(gate * self.neighbour(h)[source], target, dim=0, dim_size=graph.n_nodes)
        total = scatter(gate, target, dim=0, dim_size=graph.n_nodes)
        return self.own(h) + messages / (total + SMALL), e + F.relu(self.norm(state, graph.edge_mask))
