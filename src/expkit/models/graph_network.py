"""What graph networks share: embedding, residual layers with batch normalization, and a readout of nodes or graphs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from expkit.models.flat_graph import FlatGraph, flat_graph, flat_nodes, padded_nodes
from expkit.models.masked_batch_norm import MaskedBatchNorm


class GraphNetwork(nn.Module):
    r"""h <- h + dropout(phi(BN(layer(h)))), `depth` times, over the nodes of a batch of graphs (arXiv 2003.00982).

    h begins as an affine map of a node's features, plus one of its positional encoding where there is one. The
    readout is an MLP with two hidden layers of width/2 and width/4: of each node, or of the mean over a graph's nodes.

    A subclass implements `layer`. It is a module that takes (h, e, graph), with h (nodes, width), e the edges' state
    (edges, width) or None, and a `FlatGraph`, and gives (h, e). Padded nodes have no edges to real ones and do not
    count in means, so that padding changes nothing.

    Args:
        input_shape: (nodes, features) of a graph, padded.
        n_outputs: per node or per graph.
        edge_features: per edge, for models whose layers use them.
        positions: what the positional encoding is; a column of 'laplacian' is as good as its negative, so that in
            training each graph's columns get random signs.
        n_positions: size of the positional encoding.
        width: of h.
        depth: number of layers.
        dropout: probability that an entry of a layer's output is set to zero in training.
        residual: whether a layer's output is added to its input.
        batch_norm: whether a layer's output is normalized over the nodes of the batch.
        per_position: whether outputs are per node.

    Shapes: the columns of `GraphData` for b graphs of at most N nodes -> (b, N, n_outputs) or (b, n_outputs).
    """

    columns: ClassVar[tuple[str, ...]] = ("input", "edges", "n_nodes", "n_edges", "edge_features", "positions")
    accepts = ("graph",)

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        edge_features: int = 0,
        positions: Literal["none", "laplacian", "random_walk"] = "none",
        n_positions: int = 0,
        width: int = 64,
        depth: int = 4,
        dropout: float = 0.0,
        residual: bool = True,
        batch_norm: bool = True,
        per_position: bool = False,
    ) -> None:
        super().__init__()
        self.width = width
        self.edge_features = edge_features
        self.random_signs = positions == "laplacian"
        self.residual = residual
        self.dropout = dropout
        self.per_position = per_position
        self.embedding = nn.Linear(input_shape[-1], width)
        self.position_embedding = None if positions == "none" else nn.Linear(n_positions, width)
        self.layers = nn.ModuleList([self.layer(number) for number in range(depth)])
        self.norms = nn.ModuleList([MaskedBatchNorm(width) if batch_norm else nn.Identity() for _ in range(depth)])
        self.batch_norm = batch_norm
        self.readout = nn.Sequential(
            nn.Linear(width, width // 2),
            nn.ReLU(),
            nn.Linear(width // 2, width // 4),
            nn.ReLU(),
            nn.Linear(width // 4, n_outputs),
        )

    @abstractmethod
    def layer(self, number: int) -> nn.Module:
        """The layer of this number, from 0: (h, e, graph) -> (h, e)."""

    def edge_state(self, edge_features: Tensor) -> Tensor | None:
        """The first state of edges, from their features (edges, edge_features); None for layers that need none."""
        return None

    def activation(self, x: Tensor) -> Tensor:
        """phi."""
        return F.relu(x)

    def forward(
        self, x: Tensor, edges: Tensor, n_nodes: Tensor, n_edges: Tensor, edge_features: Tensor, positions: Tensor
    ) -> Tensor:
        graph = flat_graph(edges, n_nodes, n_edges, max_nodes=x.shape[1])
        h = self.embedding(x)
        if self.position_embedding is not None:
            h = h + self.position_embedding(self._signed(positions))
        h, e = flat_nodes(h), self.edge_state(edge_features.flatten(0, 1))
        for layer, norm in zip(self.layers, self.norms, strict=True):
            new, e = layer(h, e, graph)
            new = self.activation(norm(new, graph.node_mask) if self.batch_norm else new)
            new = F.dropout(new, self.dropout, self.training)
            h = (h + new if self.residual else new) * graph.node_mask.unsqueeze(1)
        nodes = padded_nodes(h, x.shape[1])
        if self.per_position:
            return self.readout(nodes)
        mask = padded_nodes(graph.node_mask.unsqueeze(1), x.shape[1])
        return self.readout((nodes * mask).sum(1) / mask.sum(1).clamp(min=1))

    def _signed(self, positions: Tensor) -> Tensor:
        if not (self.random_signs and self.training):
            return positions
        # Dropout of ones gives 0 or 2, a coin toss of the kind that a stack of runs has a stream of for each.
        ones = torch.ones(positions.shape[0], 1, positions.shape[2], device=positions.device)
        return positions * (F.dropout(ones, 0.5, training=True) - 1)


class OfNodes(nn.Module):
    """A layer of nodes alone: leaves the edges' state as it is."""

    def forward(self, h: Tensor, e: Tensor | None, graph: FlatGraph) -> tuple[Tensor, Tensor | None]:
        return self.nodes(h, graph), e

    @abstractmethod
    def nodes(self, h: Tensor, graph: FlatGraph) -> Tensor:
        """h, (nodes, width), after this layer."""
