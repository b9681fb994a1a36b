"""A padded batch of graphs as one graph without connections between its parts, as torch_geometric wants it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class FlatGraph(NamedTuple):
    """A batch of b graphs of at most N nodes and E edges as one of b N + 1 nodes and b E edges.

    All nodes are kept, also where there is none, so that shapes do not depend on the data. Edges that are not there
    lead from the last node to itself, a node that no edge connects with others. So what a real node receives is what
    it would receive without padding.

    Args:
        edges: (2, b E), int64: from, to.
        node_mask: (b N + 1,), 1 for real nodes, else 0.
        edge_mask: (b E,), 1 for real edges, else 0.
    """

    edges: Tensor
    node_mask: Tensor
    edge_mask: Tensor

    @property
    def n_nodes(self) -> int:
        return len(self.node_mask)

    def with_loops(self) -> Tensor:
        """The edges, and one from every node to itself, (2, b E + b N + 1)."""
        loops = torch.arange(self.n_nodes, device=self.edges.device)
        return torch.cat([self.edges, loops.expand(2, -1)], dim=1)


def flat_graph(edges: Tensor, n_nodes: Tensor, n_edges: Tensor, max_nodes: int) -> FlatGraph:
    """The columns 'edges' (b, E, 2), 'n_nodes' (b,) and 'n_edges' (b,) of `GraphData` as one graph."""
    graphs, most, device = edges.shape[0], edges.shape[1], edges.device
    node_mask = torch.arange(max_nodes, device=device) < n_nodes.unsqueeze(1)
    edge_mask = torch.arange(most, device=device) < n_edges.unsqueeze(1)
    first = torch.arange(graphs, device=device).view(-1, 1, 1) * max_nodes
    numbered = torch.where(edge_mask.unsqueeze(2), edges + first, graphs * max_nodes)
    sink = node_mask.new_zeros(1)
    return FlatGraph(
        edges=numbered.flatten(0, 1).T,
        node_mask=torch.cat([node_mask.flatten(), sink]).float(),
        edge_mask=edge_mask.flatten().float(),
    )


def flat_nodes(values: Tensor) -> Tensor:
    """Values of nodes (b, N, d) as those of the flat graph's, (b N + 1, d)."""
    return torch.nn.functional.pad(values.flatten(0, 1), (0, 0, 0, 1))


def padded_nodes(values: Tensor, max_nodes: int) -> Tensor:
    """The reverse of `flat_nodes`."""
    return values[:-1].unflatten(0, (-1, max_nodes))
