r"""The global minima that free features and linear layers have (arXiv 2301.00437), from minimizing over one number.

Of all factors W_{m} ... W_1 H with a given product Z (m = depth + 1 weights, and the features), the penalties
l_W / 2 \sum |W_i|^2 + l_H / 2 |H|^2 are least where all are balanced, l_W W_i^T W_i = l_W W_{i-1} W_{i-1}^T = ..., and
are then (m + 1) / 2 (l_W^m l_H)^{1/(m+1)} \sum_j s_j^{2/(m+1)} with s_j the singular values of Z.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize_scalar


def squared_lengths(counts: Sequence[int], depth: int, weight_penalty: float, feature_penalty: float) -> np.ndarray:
    r"""|w_k|^2 of the classifier's rows under squared error.

    Z is then orthogonal, one singular value for each class: the one that minimizes (s - \sqrt{n_k})^2 / 2N plus its
    penalty. Without further layers it is \sqrt{l_H/l_W} max(0, \sqrt{n_k} - N \sqrt{l_W l_H}).
    """
    n = sum(counts)
    per_factor = _per_factor(depth, weight_penalty, feature_penalty)
    found = []
    for count in counts:

        def objective(s: float, count: int = count) -> float:
            return (s - count**0.5) ** 2 / (2 * n) + (depth + 2) / 2 * per_factor(s)

        found.append(per_factor(_minimum(objective, count**0.5)) / weight_penalty)
    return np.array(found)


def least_loss(counts: Sequence[int], depth: int, weight_penalty: float, feature_penalty: float) -> float:
    """The objective at the global minimum under squared error."""
    n = sum(counts)
    per_factor = _per_factor(depth, weight_penalty, feature_penalty)
    total = 0.0
    for count in counts:

        def objective(s: float, count: int = count) -> float:
            return (s - count**0.5) ** 2 / (2 * n) + (depth + 2) / 2 * per_factor(s)

        total += objective(_minimum(objective, count**0.5))
    return total


def frame_loss(logits: np.ndarray, per_class: int, depth: int, weight_penalty: float, feature_penalty: float) -> float:
    """The least objective under cross-entropy, with classes of one size, where logits are a multiple of those given.

    Args:
        logits: (K, K), of each class's mean feature (columns), up to a factor.
        per_class: examples of each class.
    """
    per_factor = _per_factor(depth, weight_penalty, feature_penalty)
    singular = np.linalg.svd(logits, compute_uv=False) * per_class**0.5

    def objective(factor: float) -> float:
        own = factor * logits
        fit = np.mean(np.log(np.exp(own).sum(0)) - np.diag(own))
        return float(fit + (depth + 2) / 2 * sum(per_factor(factor * s) for s in singular if s > 1e-9))

    return objective(_minimum(objective, 60.0))


def simplex(classes: int) -> np.ndarray:
    """Logits of a simplex ETF, up to a factor."""
    return np.eye(classes) - 1 / classes


def polygon(classes: int) -> np.ndarray:
    """Logits where classes are the corners of a regular polygon in a plane, up to a factor."""
    angle = 2 * np.pi * np.arange(classes) / classes
    return np.cos(angle[:, None] - angle)


def _per_factor(depth: int, weight_penalty: float, feature_penalty: float) -> Callable[[float], float]:
    """What each of the factors of a singular value contributes to the penalties, twice: l |factor|^2."""
    factors = depth + 2
    return lambda s: (weight_penalty ** (depth + 1) * feature_penalty) ** (1 / factors) * abs(s) ** (2 / factors)


def _minimum(objective: Callable[[float], float], upper: float) -> float:
    """Where an objective is least between 0 and `upper`: on a grid, then within its cell; 0 where that is no worse."""
    grid = np.linspace(0, upper, 2001)
    best = int(np.argmin([objective(s) for s in grid]))
    if best == 0:
        return 0.0
    cell = grid[best - 1], grid[min(best + 1, len(grid) - 1)]
    return float(minimize_scalar(objective, bounds=cell, method="bounded", options={"xatol": 1e-12}).x)
