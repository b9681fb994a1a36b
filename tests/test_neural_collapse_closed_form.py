"""The minima that the study of neural_collapse_deep_linear compares with: against a formula and optimization."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from experiments.neural_collapse_deep_linear import closed_form
from torch.nn import functional as F

COUNTS = (4, 3, 1)


def test_without_layers_lengths_are_the_formula() -> None:
    l_w, l_h, n = 0.07, 0.05, 8
    expected = (l_h / l_w) ** 0.5 * np.maximum(0, np.sqrt(COUNTS) - n * (l_w * l_h) ** 0.5)
    np.testing.assert_allclose(closed_form.squared_lengths(COUNTS, 0, l_w, l_h), expected, atol=1e-6)
    assert closed_form.squared_lengths(COUNTS, 0, 0.2, 0.2)[2] == 0  # 1 < 8 * 0.2


def optimized(counts, depth: int, loss: str, l_w: float, l_h: float, start: list[torch.Tensor]):
    """The least objective that L-BFGS finds from a start, and the factors there."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    factors = [tensor.double().requires_grad_() for tensor in start]
    optimizer = torch.optim.LBFGS(
        factors, max_iter=300, tolerance_grad=1e-11, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )

    def objective() -> torch.Tensor:
        optimizer.zero_grad()
        logits = torch.linalg.multi_dot(factors) if len(factors) > 1 else factors[0]
        if loss == "mse":
            fit = (logits - F.one_hot(labels).T).square().sum() / (2 * len(labels))
        else:
            fit = F.cross_entropy(logits.T, labels)
        *weights, features = factors
        value = fit + l_w / 2 * sum(w.square().sum() for w in weights) + l_h / 2 * features.square().sum()
        value.backward()
        return value

    optimizer.step(objective)
    return objective().item(), factors


def random_start(width: int, depth: int, n: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    shapes = [(3, width), *[(width, width)] * depth, (width, n)]
    return [torch.randn(shape) / width**0.5 for shape in shapes]


@pytest.mark.parametrize("depth", [0, 1])
def test_squared_error(depth) -> None:
    l_w, l_h = 0.01, 0.02
    least, factors = optimized(COUNTS, depth, "mse", l_w, l_h, random_start(6, depth, sum(COUNTS)))
    assert least == pytest.approx(closed_form.least_loss(COUNTS, depth, l_w, l_h), rel=1e-6)
    expected = closed_form.squared_lengths(COUNTS, depth, l_w, l_h)
    np.testing.assert_allclose(factors[0].detach().square().sum(1).numpy(), expected, rtol=1e-4)


def test_cross_entropy_without_layers_has_the_simplex_etf() -> None:
    least, _ = optimized((2, 2, 2), 0, "cross_entropy", 0.01, 0.02, random_start(5, 0, 6))
    assert least == pytest.approx(closed_form.frame_loss(closed_form.simplex(3), 2, 0, 0.01, 0.02), rel=1e-6)


def test_a_square_costs_less_than_the_simplex_where_there_are_many_layers() -> None:
    # Its balanced factors are a point like any other: the objective there, computed from them, is below every ETF.
    depth, penalty, per_class = 3, 5e-4, 100
    etf, square = (
        closed_form.frame_loss(frame(4), per_class, depth, penalty, penalty)
        for frame in (closed_form.simplex, closed_form.polygon)
    )
    u, s, vh = torch.linalg.svd(torch.from_numpy(np.repeat(closed_form.polygon(4), per_class, 1)))
    u, s, vh = u[:, :2], s[:2], vh[:2]

    def objective(factor: float) -> float:
        root = (factor * s) ** (1 / (depth + 2))
        weights = [u * root, *[torch.diag(root)] * depth]
        features = root[:, None] * vh
        labels = torch.arange(4).repeat_interleave(per_class)
        fit = F.cross_entropy(torch.linalg.multi_dot([*weights, features]).T, labels)
        return (fit + penalty / 2 * sum(part.square().sum() for part in [*weights, features])).item()

    least = min(objective(factor) for factor in np.linspace(1, 20, 400))
    assert least == pytest.approx(square, rel=1e-3)
    assert square < 0.9 * etf
