"""Data sets of graphs: the laws they are drawn from."""

import pytest
import torch

from expkit.errors import UserError

NAMES = ["csl_graphs", "sbm_pattern", "sbm_cluster", "sbm_graph", "random_molecule_graphs"]


def adjacency(split, number):
    matrix = torch.zeros(split["input"].shape[1], split["input"].shape[1])
    first, second = split["edges"][number, : split["n_edges"][number]].T
    matrix[first, second] = 1
    return matrix


@pytest.mark.parametrize("name", NAMES)
def test_edges_are_undirected_without_loops_and_repetitions_and_padding_is_zero(build, name):
    split = build(name).splits["train"]
    for number in range(min(10, len(split["input"]))):
        matrix, n = adjacency(split, number), split["n_nodes"][number]
        assert torch.equal(matrix, matrix.T)
        assert matrix.trace() == 0
        assert matrix.sum() == split["n_edges"][number]
        assert matrix[n:].sum() == 0
        assert split["input"][number, n:].abs().sum() == 0
        assert split["edges"][number, split["n_edges"][number] :].abs().sum() == 0


@pytest.mark.parametrize("name", NAMES)
def test_shapes_do_not_depend_on_the_seed_and_contents_do(build, name):
    first, second = (build(name, seed=seed, positions="random_walk").splits["test"] for seed in (0, 1))
    assert {k: v.shape for k, v in first.items()} == {k: v.shape for k, v in second.items()}
    assert not torch.equal(first["edges"], second["edges"])


def test_skip_links_are_regular_and_classes_differ_in_their_spectra(build):
    data = build("csl_graphs")
    train = data.splits["train"]
    spectra = {}
    for number in range(len(train["input"])):
        matrix = adjacency(train, number)
        assert torch.equal(matrix.sum(0), torch.full((41,), 4.0))
        spectra.setdefault(int(train["target"][number]), []).append(torch.linalg.eigvalsh(matrix))
    assert len(spectra) == 10
    for own in spectra.values():
        torch.testing.assert_close(torch.stack(own), own[0].expand(len(own), -1), atol=1e-4, rtol=0)
    firsts = torch.stack([own[0] for own in spectra.values()])
    assert (torch.cdist(firsts, firsts) + 10 * torch.eye(10)).min() > 0.1


def densities(split, target_a, target_b):
    edges = pairs = 0.0
    for number in range(len(split["input"])):
        matrix, target = adjacency(split, number), split["target"][number]
        a, b = (target == target_a).float(), (target == target_b).float()
        edges += float(a @ matrix @ b)
        pairs += float(a.sum() * b.sum() - (a * b).sum())
    return edges / pairs


def test_densities_within_and_between_communities(build):
    train = build("sbm_cluster", n_train=200).splits["train"]
    assert densities(train, 1, 1) == pytest.approx(0.55, abs=0.02)
    assert densities(train, 0, 2) == pytest.approx(0.25, abs=0.02)


def test_in_every_cluster_one_node_tells_its_number(build):
    train = build("sbm_cluster").splits["train"]
    told = train["input"][..., 1:].argmax(-1)[train["input"][..., 1:].sum(-1) > 0]
    assert torch.equal(train["input"][..., 1:].sum(1), torch.ones(100, 4))
    assert torch.equal(told, train["target"][train["input"][..., 1:].sum(-1) > 0])


def test_a_pattern_has_its_own_density_and_comes_from_a_hundred(build):
    data = build("sbm_pattern", n_train=300, p_pattern=0.9)
    train = data.splits["train"]
    assert densities(train, 1, 0) == pytest.approx(0.9, abs=0.02)
    assert torch.equal((train["target"] == 1).sum(1), torch.full((300,), 10))
    own = {
        tuple(sorted((adjacency(train, n)[train["target"][n] == 1][:, train["target"][n] == 1]).sum(1).tolist()))
        for n in range(300)
    }
    assert len(own) <= 100


def test_one_graph_has_the_degree_and_homophily_asked_for(build):
    data = build("sbm_graph", n_nodes=1500, degree=12, homophily=0.7, signal=2.0)
    train, test = data.splits["train"], data.splits["test"]
    label = torch.where(train["target"] >= 0, train["target"], test["target"])[0]
    first, second = train["edges"][0, : train["n_edges"][0]].T
    assert len(first) / 1500 == pytest.approx(12, rel=0.05)
    assert float((label[first] == label[second]).float().mean()) == pytest.approx(0.7, abs=0.02)
    assert ((train["target"] >= 0) ^ (test["target"] >= 0)).all()
    assert torch.equal(train["target"][0][train["target"][0] >= 0].bincount(), torch.full((3,), 10))
    means = torch.stack([train["input"][0, label == c].mean(0) for c in range(3)])
    assert float(means.norm(dim=1).mean()) == pytest.approx(2.0, rel=0.1)


def test_molecules_are_connected_within_their_valences_and_have_small_rings(build):
    train = build("random_molecule_graphs", n_train=100, batch_size="full").splits["train"]
    valence = torch.tensor([4.0, 3.0, 2.0, 1.0])
    for number in range(100):
        n, matrix = int(train["n_nodes"][number]), adjacency(train, number)
        assert 9 <= n <= 20
        reached = torch.linalg.matrix_power(matrix[:n, :n] + torch.eye(n), n)
        assert (reached > 0).all()
        edges = train["edges"][number, : train["n_edges"][number]]
        order = train["edge_features"][number, : len(edges)] @ torch.tensor([1.0, 2.0])
        used = torch.zeros(n).index_add(0, edges[:, 0], order)
        assert (used <= valence[train["input"][number, :n].argmax(-1)]).all()


def test_a_molecules_property_is_the_sum_of_its_parts(build):
    data = build("random_molecule_graphs", n_train=60, batch_size="full", ring_weight=1.5)
    train = data.splits["train"]
    atoms, bonds = data.contributions
    assert torch.equal(bonds, bonds.mT)
    expected = []
    for number in range(60):
        types = train["input"][number].argmax(-1)
        edges = train["edges"][number, : train["n_edges"][number]].tolist()
        orders = train["edge_features"][number].argmax(-1).tolist()
        value = sum(float(atoms[types[node]]) for node in range(train["n_nodes"][number]))
        value += sum(float(bonds[o, types[a], types[b]]) for (a, b), o in zip(edges, orders, strict=False) if a < b)
        expected.append(value - 1.5 * (len(edges) / 2 - float(train["n_nodes"][number]) + 1))
    expected = torch.tensor(expected)
    torch.testing.assert_close(train["target"][:, 0], (expected - expected.mean()) / expected.std(), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("csl_graphs", {"n_train": 95}),
        ("sbm_graph", {"n_nodes": 301}),
        ("sbm_graph", {"degree": 200}),
        ("sbm_cluster", {"min_size": 20}),
        ("random_molecule_graphs", {"min_atoms": 1}),
    ],
)
def test_impossible_graphs_are_refused(build, name, wrong):
    with pytest.raises(ValueError, match=r"multiple|too much|nodes|atoms"):
        build(name, **wrong)


def test_too_many_labels_are_refused(build):
    with pytest.raises(UserError, match="train_per_class"):
        build("sbm_graph", train_per_class=100)
