"""Circular skip links (arXiv 1903.02541): regular graphs that message passing alone cannot tell apart."""

from __future__ import annotations

from typing import Literal

import torch

from expkit.data.base import Spec
from expkit.data.graph_columns import Graph, GraphData, both_ways

SKIPS = (2, 3, 4, 5, 6, 9, 11, 12, 13, 16)
"""The skip lengths of the 10 classes on a ring of 41, no two of which give isomorphic graphs."""


class CslGraphs(GraphData):
    """Rings of 41 nodes, each joined with its neighbours and with the nodes at a distance of one of `SKIPS`.

    The skip length is the class. Nodes are numbered at random and all have the same feature, 1, and every node has 4
    neighbours. So a network whose nodes exchange messages sees the same in every graph, unless nodes are told apart.

    Args:
        n_train, n_test: numbers of graphs, the classes in equal shares; the data set of arXiv 2003.00982 has 150.
        positions, n_positions: see `GraphData`, where the columns are listed.

    Raises:
        ValueError: a number of graphs that is not a multiple of 10.
    """

    def __init__(
        self,
        n_train: int,
        n_test: int,
        spec: Spec,
        positions: Literal["none", "laplacian", "random_walk"] = "none",
        n_positions: int = 20,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(41, 4 * 41, spec, positions, n_positions, batch_size, seed)
        if n_train % len(SKIPS) or n_test % len(SKIPS):
            raise ValueError(f"numbers of graphs are multiples of {len(SKIPS)}, got {n_train} and {n_test}")
        self.n_examples = {"train": n_train, "test": n_test}

    def graphs(self) -> dict[str, list[Graph]]:
        return {
            name: [self._graph(number % len(SKIPS), random) for number in range(n)]
            for name, n in self.n_examples.items()
            for random in [self.generator(name)]
        }

    def _graph(self, label: int, random: torch.Generator) -> Graph:
        ring = torch.arange(self.max_nodes)
        links = [torch.stack([ring, (ring + skip) % self.max_nodes], dim=1) for skip in (1, SKIPS[label])]
        numbering = torch.randperm(self.max_nodes, generator=random)
        return Graph(torch.ones(self.max_nodes, 1), numbering[both_ways(torch.cat(links))], torch.tensor(label))
