"""The solution of the linear system against gradient descent on models that are linear in their parameters."""

import pytest
import torch

from expkit.analysis.linearized_dynamics import linearized_dynamics

N, D, K, M = 6, 9, 2, 4


@pytest.fixture
def problem():
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=draw, dtype=torch.float64) for shape in ((N, D), (M, D), (N, K), (D, K))]


def descend(x, other, y, w, lr, steps):
    """Outputs on both sets after every step of gradient descent on torch's mse_loss."""
    w = w.clone().requires_grad_()
    found = [(x @ w, other @ w)]
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(torch.nn.functional.mse_loss(x @ w, y), w)
        w = (w - lr * gradient).detach().requires_grad_()
        found.append((x @ w, other @ w))
    return [torch.stack(own).detach() for own in zip(*found, strict=True)]


@pytest.mark.parametrize("copies", [1, 2])  # with examples twice the kernel is singular
def test_is_gradient_descent_of_a_linear_model(problem, copies):
    x, other, y, w = problem
    x, y = x.repeat(copies, 1), torch.cat([y, y + 1])[: copies * N]
    train, outside = descend(x, other, y, w, lr=0.1, steps=12)
    rate = 0.1 * 2 / y.numel()
    residual = train[0] - y
    torch.testing.assert_close(linearized_dynamics(x @ x.T, residual, rate, 12), train - y)
    change = linearized_dynamics(x @ x.T, residual, rate, 12, cross=other @ x.T)
    torch.testing.assert_close(change, outside - outside[0])


def test_of_one_output_has_no_axis_for_it(problem):
    x, other, y, _ = problem
    both = linearized_dynamics(x @ x.T, y, 0.01, 5, cross=other @ x.T)
    torch.testing.assert_close(linearized_dynamics(x @ x.T, y[:, 0], 0.01, 5, cross=other @ x.T), both[..., 0])


def test_small_steps_approach_the_flow(problem):
    x, other, y, _ = problem
    for cross in (None, other @ x.T):
        flow = linearized_dynamics(x @ x.T, y, 0.1, 3, cross=cross, flow=True)
        fine = linearized_dynamics(x @ x.T, y, 1e-4, 3000, cross=cross)[::1000]
        torch.testing.assert_close(fine, flow, atol=2e-3, rtol=0)
