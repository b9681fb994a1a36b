"""Shampoo against matrix powers of scipy, AdamW, and what its preconditioners leave unchanged."""

import numpy as np
import pytest
import torch
from scipy.linalg import fractional_matrix_power
from torch import nn

from expkit.optim.shampoo import Shampoo

BETAS = (0.8, 0.9)


def gradients(shape, steps=4):
    random = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=random, dtype=torch.float64) for _ in range(steps)]


def trained(steps, **options):
    weight = nn.Parameter(torch.zeros(steps[0].shape, dtype=torch.float64))
    optimizer = Shampoo([weight], betas=BETAS, weight_decay=0.0, **options)
    for gradient in steps:
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach()


def by_hand(steps, lr, left=True, right=True, ridge=1e-6):
    """With numpy and scipy's fractional powers, all averages spelled out as sums."""
    weight = np.zeros(steps[0].shape)
    for t in range(1, len(steps) + 1):
        seen = [gradient.numpy() for gradient in steps[:t]]

        def average(values, beta, t=t):
            shares = [(1 - beta) * beta ** (t - 1 - i) for i in range(t)]
            return sum(share * value for share, value in zip(shares, values, strict=True)) / sum(shares)

        momentum = average(seen, BETAS[0])
        adam = momentum / (np.sqrt(average([g * g for g in seen], BETAS[1])) + 1e-8)
        power, direction = -0.5 / (left + right), momentum
        if left:
            direction = _power(average([g @ g.T for g in seen], BETAS[1]), power, ridge) @ direction
        if right:
            direction = direction @ _power(average([g.T @ g for g in seen], BETAS[1]), power, ridge)
        weight = weight - lr * direction * np.linalg.norm(adam) / np.linalg.norm(direction)
    return torch.from_numpy(weight)


def _power(matrix, power, ridge):
    shift = ridge * np.linalg.eigvalsh(matrix)[-1]
    return fractional_matrix_power(matrix + shift * np.eye(len(matrix)), power).real


def test_equals_scipys_matrix_powers():
    steps = gradients((5, 3))
    assert torch.allclose(trained(steps, lr=0.1), by_hand(steps, 0.1), rtol=1e-8)


@pytest.mark.parametrize(("shape", "left"), [((5, 3), False), ((3, 5), True)])
def test_a_long_side_has_no_preconditioner(shape, left):
    steps = gradients(shape)
    expected = by_hand(steps, 0.1, left=left, right=not left)
    assert torch.allclose(trained(steps, lr=0.1, largest_side=4), expected, rtol=1e-8)


def test_a_kernel_is_the_matrix_of_its_flattened_filters():
    steps = gradients((4, 3, 2))
    flat = trained([gradient.flatten(1) for gradient in steps], lr=0.1)
    assert torch.allclose(trained(steps, lr=0.1).flatten(1), flat, rtol=1e-10)


@pytest.mark.parametrize("options", [{}, {"largest_side": 1}])
def test_vectors_and_what_has_no_preconditioner_move_as_by_adamw(options):
    steps = gradients((6,) if not options else (6, 2))
    weight = nn.Parameter(torch.zeros_like(steps[0]))
    reference = torch.optim.AdamW([weight], lr=0.1, betas=BETAS, weight_decay=0.0)
    for gradient in steps:
        weight.grad = gradient.clone()
        reference.step()
    assert torch.allclose(trained(steps, lr=0.1, **options), weight.detach(), rtol=1e-7)


def test_its_first_direction_is_that_of_orthogonalized_gradients():
    """After one step L = G G^T and R = G^T G, so that P is U V^T."""
    (gradient,) = gradients((4, 4), steps=1)
    left, _, right = torch.linalg.svd(gradient)
    update = -trained([gradient], lr=1.0, ridge=0.0)
    assert torch.allclose(update / update.norm(), left @ right / 2, atol=1e-8)


def test_a_gradient_of_zero_changes_nothing_and_one_that_is_not_finite_raises_no_error():
    assert torch.equal(trained([torch.zeros(3, 2, dtype=torch.float64)]), torch.zeros(3, 2, dtype=torch.float64))
    assert bool(trained([torch.full((3, 2), torch.nan, dtype=torch.float64)]).isnan().all())


def test_decay_is_apart_from_the_gradient():
    weight = nn.Parameter(torch.ones(3, 2))
    weight.grad = torch.zeros(3, 2)
    Shampoo([weight], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(weight, torch.full((3, 2), 0.95))


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"betas": (0.9, 1.0)}, {"largest_side": 0}, {"ridge": -1e-6}])
def test_refuses_what_is_out_of_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Shampoo([nn.Parameter(torch.ones(2, 2))], **wrong)
