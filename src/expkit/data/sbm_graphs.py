"""Many small graphs of a stochastic block model, whose nodes are to be classified: PATTERN and CLUSTER."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from expkit.data.base import Spec
from expkit.data.block_model import block_model_edges, most_edges
from expkit.data.graph_columns import Graph, GraphData

SIGNALS = 3  # values of a node's feature in 'pattern'


class SbmGraphs(GraphData):
    """Graphs of several communities (arXiv 2003.00982, appendix A): two nodes of one are joined with probability
    `p_in`, of two with `p_out`; the size of a community is uniform from `min_size` to `max_size`.

    pattern: one of 100 patterns, drawn once, is hidden in every graph: `pattern_size` nodes with features and edges of
    their own (density `p_pattern`), which are joined with each other node with probability `p_pattern`. Features of all
    nodes are uniform on 3 values. A node's class says whether it belongs to the pattern.

    cluster: a node's class is its community. One node of each community carries its number as feature, all others 0.

    Features are one-hot. Nodes are numbered at random. Columns: see `GraphData`.

    Args:
        kind: 'pattern' or 'cluster'.
        n_train, n_test: numbers of graphs.
        communities: number of them.
        min_size, max_size: of a community, in nodes.
        p_in, p_out: probability of an edge within and between communities.
        pattern_size: nodes of a pattern.
        p_pattern: probability of an edge of which at least one node belongs to the pattern.
        positions, n_positions: see `GraphData`.
    """

    targets_of_nodes = True

    def __init__(
        self,
        kind: Literal["pattern", "cluster"],
        n_train: int,
        n_test: int,
        communities: int,
        min_size: int,
        max_size: int,
        p_in: float,
        p_out: float,
        spec: Spec,
        pattern_size: int = 0,
        p_pattern: float = 0.5,
        positions: Literal["none", "laplacian", "random_walk"] = "none",
        n_positions: int = 10,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        if not 1 <= min_size <= max_size:
            raise ValueError(f"communities have from min_size to max_size nodes, got {min_size} to {max_size}")
        self.kind = kind
        self.communities = communities
        self.sizes = (min_size, max_size)
        self.p_in, self.p_out, self.p_pattern = p_in, p_out, p_pattern
        self.pattern_size = pattern_size if kind == "pattern" else 0
        expected = self._probabilities(torch.tensor([max_size] * communities)).fill_diagonal_(0).sum()
        max_nodes = communities * max_size + self.pattern_size
        super().__init__(max_nodes, most_edges(float(expected)), spec, positions, n_positions, batch_size, seed)
        self.n_examples = {"train": n_train, "test": n_test}

    def graphs(self) -> dict[str, list[Graph]]:
        patterns = self._patterns(self.generator("patterns"))
        return {
            name: [self._graph(patterns, random) for _ in range(n)]
            for name, n in self.n_examples.items()
            for random in [self.generator(name)]
        }

    def _graph(self, patterns: list[tuple[Tensor, Tensor]], random: torch.Generator) -> Graph:
        low, high = self.sizes
        sizes = torch.randint(low, high + 1, (self.communities,), generator=random)
        probability = self._probabilities(sizes)
        community = torch.repeat_interleave(torch.arange(self.communities), sizes)
        if self.kind == "pattern":
            edges, signal = patterns[int(torch.randint(len(patterns), (), generator=random))]
            first = len(community)
            probability[first:, first:] = edges
            background = torch.randint(SIGNALS, (first,), generator=random)
            features = F.one_hot(torch.cat([background, signal]), SIGNALS)
            target = (torch.arange(len(probability)) >= first).long()
        else:
            # nodes of a community are alike, so that its first may be the one that is marked
            starts = sizes.cumsum(0) - sizes
            marks = torch.zeros(len(community), dtype=torch.long).index_fill(0, starts, 1) * (community + 1)
            features, target = F.one_hot(marks, self.communities + 1), community
        edges = block_model_edges(probability, random)
        numbering = torch.randperm(len(target), generator=random)
        order = numbering.argsort()
        return Graph(features[order].float(), numbering[edges], target[order])

    def _probabilities(self, sizes: Tensor) -> Tensor:
        """Of an edge between each two nodes, those of the pattern last."""
        community = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        within = torch.where(community.unsqueeze(1) == community, self.p_in, self.p_out)
        return F.pad(within, (0, self.pattern_size, 0, self.pattern_size), value=self.p_pattern)

    def _patterns(self, random: torch.Generator, n: int = 100) -> list[tuple[Tensor, Tensor]]:
        """Adjacency matrix and node features of each."""
        size = self.pattern_size
        patterns = []
        for _ in range(n):
            upper = (torch.rand(size, size, generator=random) < self.p_pattern).triu(1)
            patterns.append(((upper | upper.T).float(), torch.randint(SIGNALS, (size,), generator=random)))
        return patterns
