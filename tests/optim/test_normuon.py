"""NorMuon against torch's Muon, singular value decompositions and the steps of its paper by hand."""

import math

import pytest
import torch
from torch import nn

from expkit.optim.newton_schulz import orthogonalized
from expkit.optim.normuon import NorMuon


def matrix(rows=6, columns=4, seed=0):
    return nn.Parameter(torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)))


def updates(optimizer, weight, gradients):
    """What is added to the weight at every step, in units of the learning rate."""
    found = []
    for gradient in gradients:
        before = weight.detach().clone()
        weight.grad = gradient.clone()
        optimizer.step()
        found.append((weight.detach() - before) / optimizer.param_groups[0]["lr"])
    return found


def gradients(shape, steps):
    random = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=random) * torch.logspace(-2, 0, shape[0]).unsqueeze(1) for _ in range(steps)]


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_iterations_are_those_of_torchs_muon(shape):
    gradient = gradients(shape, 1)[0]
    weight = nn.Parameter(torch.zeros(shape))
    muon = torch.optim.Muon([weight], lr=1.0, weight_decay=0.0, momentum=0.0, nesterov=False)
    (update,) = updates(muon, weight, [gradient])
    scale = math.sqrt(max(1.0, shape[0] / shape[1]))
    difference = update + scale * orthogonalized(gradient)
    assert difference.norm() < 0.01 * update.norm()  # a few roundings of bfloat16


def test_iterations_approach_the_orthogonal_factor_of_every_matrix():
    stack = torch.stack(gradients((5, 8), 3))
    values = torch.linalg.svdvals(orthogonalized(stack).float())
    assert bool((values > 0.6).all())
    assert bool((values < 1.25).all())
    left, _, right = torch.linalg.svd(stack, full_matrices=False)
    found, exact = orthogonalized(stack).float(), left @ right
    cosines = (found * exact).sum((1, 2)) / (found.norm(dim=(1, 2)) * exact.norm(dim=(1, 2)))
    assert bool((cosines > 0.97).all())


def test_steps_of_the_paper_by_hand():
    weight, shape = matrix(), (6, 4)
    start = weight.detach().clone()
    optimizer = NorMuon([("w", weight)], lr=0.1, weight_decay=0.5, momentum=0.8, beta2=0.9)
    momentum, second, expected = torch.zeros(shape), torch.zeros(6), start
    for gradient in gradients(shape, 4):
        weight.grad = gradient.clone()
        optimizer.step()
        momentum = 0.8 * momentum + 0.2 * gradient
        update = orthogonalized(momentum).float()
        second = 0.9 * second + 0.1 * update.square().mean(1)
        rows = update / second.sqrt()[:, None]
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * 0.2 * math.sqrt(24) * rows / rows.norm()
    assert torch.allclose(weight, expected, rtol=1e-4, atol=1e-6)


def test_rows_of_an_update_are_equal_where_those_of_muon_are_not():
    """A tall matrix has rows of many lengths after orthogonalization; one neuron hardly has a gradient."""
    own, other = matrix(30, 5), matrix(30, 5)
    steps = gradients((30, 5), 5)
    normuon = updates(NorMuon([("w", own)], lr=0.1, weight_decay=0.0, beta2=0.0), own, steps)[-1]
    muon = updates(torch.optim.Muon([other], lr=0.1, weight_decay=0.0), other, steps)[-1]
    assert torch.allclose(normuon.norm(dim=1), torch.full((30,), 0.2 * math.sqrt(5)), rtol=1e-3)
    assert muon.norm(dim=1).std() / muon.norm(dim=1).mean() > 0.3


def test_entries_have_the_root_mean_square_of_adamw():
    weight = matrix(8, 20)
    for update in updates(NorMuon([("w", weight)], lr=0.1, weight_decay=0.0), weight, gradients((8, 20), 3)):
        assert float(update.square().mean().sqrt()) == pytest.approx(0.2, rel=1e-4)


def test_a_neuron_without_gradient_does_not_move():
    layer = nn.Linear(4, 3)
    layer.weight.grad = torch.tensor([[1.0, 2, 3, 4], [0, 0, 0, 0], [4, 3, 2, 2]])
    layer.bias.grad = torch.ones(3)
    before = layer.weight.detach().clone()
    NorMuon(layer.named_parameters(), lr=0.1, weight_decay=0.0).step()
    assert torch.equal(layer.weight[1], before[1])
    assert bool((layer.weight[[0, 2]] != before[[0, 2]]).any(1).all())


def test_refuses_a_beta2_of_one():
    with pytest.raises(ValueError, match="beta2"):
        NorMuon([("w", matrix())], beta2=1.0)
