"""Graphs of different sizes as dense columns, and the base of every data set that consists of graphs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from expkit.data.base import Spec, Split, TensorData
from expkit.data.graph_positions import graph_positions
from expkit.errors import UserError

IGNORED = -100  # the target of a node that is padding or does not count; torch's losses leave it out


class Graph(NamedTuple):
    """One graph.

    Args:
        features: of its nodes, (n, f).
        edges: (e, 2), int64: from, to. An undirected edge stands there in both directions.
        target: of the graph, or of its nodes, (n,).
        edge_features: (e, g), or None.
    """

    features: Tensor
    edges: Tensor
    target: Tensor
    edge_features: Tensor | None = None


class GraphData(TensorData):
    """Graphs, padded to the same size. A subclass implements `graphs`.

    Columns, for n graphs of at most N nodes and E directed edges:

    ===============  ==================  ==========================================================================
    'input'          (n, N, f)           node features, zero where there is no node
    'edges'          (n, E, 2)           int64: from, to; 0 where there is no edge
    'n_nodes'        (n,)                how many of the N are nodes
    'n_edges'        (n,)                how many of the E are edges
    'edge_features'  (n, E, g)           g may be 0
    'positions'      (n, N, k)           positional encoding of the nodes; k is 0 with positions 'none'
    'target'         (n, ...) or (n, N)  of the graph, or of its nodes, where -100 does not count
    ===============  ==================  ==========================================================================

    N and E are the same for every seed, so that runs that differ in their seeds can be stacked.

    Args:
        max_nodes, max_edges: N and E.
        positions: 'laplacian' or 'random_walk' (see `expkit.data.graph_positions`), or 'none'.
        n_positions: k, of 'laplacian' and 'random_walk'.
    """

    targets_of_nodes: ClassVar[bool] = False  # whether a graph's target is one of each node

    def __init__(
        self,
        max_nodes: int,
        max_edges: int,
        spec: Spec,
        positions: Literal["none", "laplacian", "random_walk"] = "none",
        n_positions: int = 0,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        self.max_nodes = max_nodes
        self.max_edges = max_edges
        self.positions = positions
        self.n_positions = n_positions

    @abstractmethod
    def graphs(self) -> dict[str, list[Graph]]:
        """The graphs of each split."""

    def draw(self) -> dict[str, Split]:
        return {name: self._columns(graphs) for name, graphs in self.graphs().items()}

    def _columns(self, graphs: Sequence[Graph]) -> Split:
        n_nodes = torch.tensor([len(graph.features) for graph in graphs])
        n_edges = torch.tensor([len(graph.edges) for graph in graphs])
        for what, most, limit in (("nodes", n_nodes, self.max_nodes), ("edges", n_edges, self.max_edges)):
            if int(most.max()) > limit:
                raise UserError(
                    f"{type(self).__name__}: a graph has {int(most.max())} {what}; there is room for {limit}."
                )
        none = torch.zeros(self.max_edges, 0)
        edge_features = [none[: len(g.edges)] if g.edge_features is None else g.edge_features for g in graphs]
        return {
            "input": _padded([graph.features for graph in graphs], self.max_nodes),
            "edges": _padded([graph.edges for graph in graphs], self.max_edges),
            "n_nodes": n_nodes,
            "n_edges": n_edges,
            "edge_features": _padded(edge_features, self.max_edges),
            "positions": self._positions(graphs),
            "target": _padded([g.target for g in graphs], self.max_nodes, IGNORED)
            if self.targets_of_nodes
            else torch.stack([graph.target for graph in graphs]),
        }

    def _positions(self, graphs: Sequence[Graph]) -> Tensor:
        if self.positions == "none":
            return torch.zeros(len(graphs), self.max_nodes, 0)
        encoded = [graph_positions(self.positions, g.edges, len(g.features), self.n_positions) for g in graphs]
        return _padded(encoded, self.max_nodes)


def both_ways(edges: Tensor) -> Tensor:
    """Undirected edges (e, 2), each given once, in both directions: (2e, 2)."""
    return torch.cat([edges, edges.flip(1)])


def _padded(parts: Sequence[Tensor], length: int, value: int = 0) -> Tensor:
    """Tensors with different first dimensions as one, (n, length, ...)."""
    padded = parts[0].new_full((len(parts), length, *parts[0].shape[1:]), value)
    for row, part in zip(padded, parts, strict=True):
        row[: len(part)] = part
    return padded
