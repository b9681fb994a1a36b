"""Attacks: in the ball, and as strong as a closed form says."""

import pytest
import torch

from expkit.analysis.pgd_attack import margin_loss, pgd_attack


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2)])
def test_the_best_attack_on_a_linear_loss_is_found(norm, dual):
    """max <w, d> over |d| <= eps is eps times the dual norm of w."""
    x, w, eps = torch.randn(20, 2, 3), torch.randn(2, 3), torch.rand(20) + 0.1
    attacked = pgd_attack(lambda z: (z * w).sum((1, 2)), x, eps, norm=norm, steps=100, step_size=0.2)
    gained = ((attacked - x) * w).sum((1, 2))
    torch.testing.assert_close(gained, eps * w.norm(p=dual), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_stays_in_the_ball_and_in_the_range(norm):
    x, model = torch.rand(50, 10), torch.nn.Sequential(torch.nn.Linear(10, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))
    attacked = pgd_attack(margin_loss(model, torch.arange(50) % 3), x, 0.3, norm=norm, restarts=3, low=0, high=1)
    offset = attacked - x
    size = offset.abs().amax(1) if norm == "linf" else offset.norm(dim=1)
    assert (size <= 0.3 + 1e-5).all()
    assert (size > 0.1).any()
    assert attacked.min() >= 0
    assert attacked.max() <= 1


def test_one_step_of_full_size_is_the_fast_gradient_sign_method():
    model, x, target = torch.nn.Linear(5, 3), torch.randn(8, 5), torch.arange(8) % 3
    loss = margin_loss(model, target)
    tracked = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(tracked).sum(), tracked)
    attacked = pgd_attack(loss, x, 0.1, steps=1, step_size=0.1, random_start=False)
    wanted = x + 0.1 * gradient.sign()
    kept = loss(wanted) > loss(x)
    torch.testing.assert_close(attacked[kept], wanted[kept])
    assert kept.sum() > 4


def test_the_loss_never_falls_below_that_of_the_input():
    x = torch.randn(30, 2)
    bowl = lambda z: -z.square().sum(1) * 100  # noqa: E731
    attacked = pgd_attack(bowl, torch.zeros_like(x), 0.5, steps=3)
    assert (bowl(attacked) >= 0).all()


def test_the_margin_is_positive_where_the_model_is_wrong():
    logits, target = torch.randn(100, 4), torch.randint(4, (100,))
    assert ((margin_loss(torch.nn.Identity(), target)(logits) > 0) == (logits.argmax(1) != target)).all()
