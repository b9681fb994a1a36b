"""Positional encodings against torch_geometric's, against closed forms, and under renumbering."""

import math

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.transforms import AddRandomWalkPE

from expkit.data.graph_columns import both_ways
from expkit.data.graph_positions import graph_positions


def ring(n):
    node = torch.arange(n)
    return both_ways(torch.stack([node, (node + 1) % n], dim=1))


def some_graph(n=12):
    return both_ways((torch.rand(n, n) < 0.35).triu(1).nonzero())


def test_random_walk_returns_are_those_of_torch_geometric():
    edges = some_graph()
    reference = AddRandomWalkPE(walk_length=6, attr_name="pe")(Data(edge_index=edges.T, num_nodes=12)).pe
    torch.testing.assert_close(graph_positions("random_walk", edges, 12, 6), reference)


def test_a_walk_on_a_ring_returns_as_a_binomial_says():
    returns = graph_positions("random_walk", ring(9), 9, 6)
    expected = torch.tensor([math.comb(i, i // 2) / 2**i if i % 2 == 0 else 0.0 for i in range(1, 7)])
    torch.testing.assert_close(returns, expected.expand(9, -1))


def test_columns_are_orthonormal_eigenvectors_of_the_smallest_eigenvalues():
    edges = some_graph()
    vectors = graph_positions("laplacian", edges, 12, 5).double()
    adjacency = torch.zeros(12, 12, dtype=torch.float64)
    adjacency[edges[:, 0], edges[:, 1]] = 1
    scale = adjacency.sum(1).rsqrt()
    laplacian = torch.eye(12) - scale.unsqueeze(1) * adjacency * scale
    values = (vectors * (laplacian @ vectors)).sum(0)
    torch.testing.assert_close(laplacian @ vectors, vectors * values, atol=1e-5, rtol=0)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(5, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(values, torch.linalg.eigvalsh(laplacian)[1:6], atol=1e-5, rtol=0)


def test_the_spectrum_of_a_ring_is_that_of_its_fourier_modes():
    vectors = graph_positions("laplacian", ring(8), 8, 2)
    # two columns span the cosine and the sine of one turn: squared, they add up to a constant
    torch.testing.assert_close(vectors.square().sum(1), torch.full((8,), 2 / 8))


def test_a_graph_that_is_smaller_than_the_encoding_has_zeros_in_the_rest():
    vectors = graph_positions("laplacian", ring(4), 4, 6)
    assert vectors.shape == (4, 6)
    assert torch.equal(vectors[:, 3:], torch.zeros(4, 3))


@pytest.mark.parametrize("kind", ["laplacian", "random_walk"])
def test_renumbered_nodes_keep_their_positions(kind):
    edges, order = some_graph(), torch.randperm(12)
    before, after = graph_positions(kind, edges, 12, 4), graph_positions(kind, order[edges], 12, 4)
    torch.testing.assert_close(after[order].abs(), before.abs(), atol=1e-4, rtol=0)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="laplacian or random_walk"):
        graph_positions("spiral", ring(4), 4, 2)
