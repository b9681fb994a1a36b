"""One graph of a stochastic block model, with noisy node features and few labels."""

from __future__ import annotations

from typing import Literal

import torch

from expkit.data.base import Spec
from expkit.data.block_model import block_model_edges, most_edges
from expkit.data.graph_columns import IGNORED, Graph, GraphData
from expkit.errors import UserError


class SbmGraph(GraphData):
    r"""A graph of `classes` equal communities; a node's class is its community (the contextual block model of
    arXiv 1807.09596).

    A node has `degree` neighbours in expectation, a share `homophily` of them of its own class. Its features are
    x = signal m_c + z with z ~ N(0, I) and one random unit vector m_c for each class.

    Every split is the whole graph, one example, with the targets of its own nodes; those of all others are -100. So
    training is transductive: features and edges of test nodes are known, their classes are not. Columns: see
    `GraphData`.

    Args:
        n_nodes: of the graph, a multiple of `classes`.
        classes: number of communities.
        n_features: dimensions of a node's features.
        degree: expected neighbours of a node.
        homophily: share of them of the node's own class; 1 / classes leaves the edges without information.
        signal: distance of a class's mean from the origin, in standard deviations of the noise.
        train_per_class: nodes of each class whose label is known; all others are for testing.
        positions, n_positions: see `GraphData`.

    Raises:
        ValueError: the classes are not of equal size, or the edges would need probabilities above 1.
    """

    targets_of_nodes = True

    def __init__(
        self,
        n_nodes: int,
        classes: int,
        n_features: int,
        degree: float,
        homophily: float,
        signal: float,
        train_per_class: int,
        spec: Spec,
        positions: Literal["none", "laplacian", "random_walk"] = "none",
        n_positions: int = 10,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        if n_nodes % classes:
            raise ValueError(f"classes are of equal size; n_nodes={n_nodes} is not a multiple of {classes}")
        super().__init__(n_nodes, most_edges(n_nodes * degree), spec, positions, n_positions, batch_size, seed)
        own = n_nodes // classes
        self.p_in = homophily * degree / max(own - 1, 1)
        self.p_out = (1 - homophily) * degree / max(n_nodes - own, 1)
        if not (0 <= self.p_in <= 1 and 0 <= self.p_out <= 1):
            raise ValueError(f"degree={degree} with homophily={homophily} is too much for {own} nodes per class")
        if not 1 <= train_per_class < own:
            raise UserError(
                f"data.train_per_class={train_per_class}, but there are {own} nodes of a class.",
                f"Choose a number from 1 to {own - 1}.",
            )
        self.classes = classes
        self.n_features = n_features
        self.signal = signal
        self.train_per_class = train_per_class

    def graphs(self) -> dict[str, list[Graph]]:
        label = torch.arange(self.max_nodes) % self.classes  # nodes have no order that edges or features would tell
        edges = block_model_edges(
            torch.where(label.unsqueeze(1) == label, self.p_in, self.p_out), self.generator("edges")
        )
        means = torch.randn(self.classes, self.n_features, generator=self.generator("means"))
        noise = torch.randn(self.max_nodes, self.n_features, generator=self.generator("noise"))
        features = self.signal * torch.nn.functional.normalize(means)[label] + noise
        known = torch.arange(self.max_nodes) < self.train_per_class * self.classes
        return {
            name: [Graph(features, edges, torch.where(members, label, IGNORED))]
            for name, members in (("train", known), ("test", ~known))
        }
