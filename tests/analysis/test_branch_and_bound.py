"""Proofs by branch and bound: never against a counterexample, and more of them the more domains there are."""

import itertools

import pytest
import torch

from expkit.analysis.affine_network import AffineNetwork
from expkit.analysis.branch_and_bound import BranchAndBound
from expkit.analysis.crown_bounds import crown_bound, enclose
from expkit.analysis.pgd_attack import pgd_attack

HEURISTICS, POINTS = ("random", "widest", "shortcut"), ("midpoint", "optimized")


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def problem(name, n=10, inputs=2, side=0.5):
    """A network, boxes, and specifications that all hold at the boxes' centres."""
    torch.manual_seed(1)
    weights = [draw(8, inputs), draw(8, 8) / 2, draw(2, 8) / 2]
    net = AffineNetwork(weights, [draw(8) / 3, draw(8) / 3, draw(2)], [name, name])
    centre = draw(n, inputs)
    value = net(centre)[:, 0] - net(centre)[:, 1]
    specification = value.sign()[:, None] * torch.tensor([1.0, -1.0], dtype=torch.float64)
    return net, centre - side, centre + side, specification


def smallest(net, low, high, specification, count=101):
    """The least margin on a fine grid of each box, in two dimensions."""
    share = torch.linspace(0, 1, count, dtype=torch.float64)
    grid = low[:, None] + torch.cartesian_prod(share, share) * (high - low)[:, None]
    return (net(grid) * specification[:, None]).sum(-1).amin(1)


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "sine", "gelu"])
def test_no_proof_is_against_a_counterexample(name):
    net, low, high, specification = problem(name)
    met = smallest(net, low, high, specification)
    for heuristic, points in itertools.product(HEURISTICS, POINTS):
        verdicts = BranchAndBound(heuristic, points, max_domains=16).verify(net, low, high, specification)
        assert not (verdicts.verified & (met <= 0)).any()
        assert (verdicts.bound <= met.clamp_min(0) + 1e-9).all()
        assert (verdicts.domains <= 16).all()


def test_it_begins_with_the_bound_of_the_box_and_only_gains():
    net, low, high, specification = problem("tanh", n=24, side=0.15)
    root = crown_bound(net, enclose(net, low, high), specification).value
    bounds = [BranchAndBound(max_domains=n).verify(net, low, high, specification) for n in (1, 9, 33)]
    for verdicts in bounds:
        torch.testing.assert_close(verdicts.root, root)
    assert (bounds[0].verified == (root > 0)).all()
    open_ = ~bounds[2].verified
    for fewer, more in itertools.pairwise(bounds):
        assert (fewer.verified <= more.verified).all()
        assert (more.bound[open_] >= fewer.bound[open_] - 1e-9).all()
    assert bounds[2].verified.sum() > bounds[0].verified.sum()


def test_a_relu_network_is_decided_completely():
    """With a sign for each unit the network is affine, so that what holds with room to spare is proved in the end."""
    net, low, high, specification = problem("relu", side=0.4)
    met = smallest(net, low, high, specification)
    clear = met > 0.15
    assert clear.sum() >= 4
    verdicts = BranchAndBound(max_domains=400, ascent_steps=20).verify(net, low, high, specification)
    assert verdicts.verified[clear].all()
    assert (verdicts.root[clear] <= 0).any()


def test_the_attack_finds_nothing_where_there_is_a_proof():
    net, low, high, specification = problem("sine", n=30, inputs=4, side=0.15)

    def loss(x):
        return -(net(x) * specification).sum(-1)

    centre = (low + high) / 2
    attacked = pgd_attack(loss, centre, 0.15, steps=50, restarts=5)
    verdicts = BranchAndBound(max_domains=30).verify(net, low, high, specification)
    assert verdicts.verified.any()
    assert (loss(attacked) > 0).any()
    assert (loss(attacked)[verdicts.verified] < 0).all()
