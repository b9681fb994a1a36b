"""How solvers compare over many problems: performance profiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def performance_ratios(costs: ArrayLike) -> NDArray:
    """What each solver needs on each problem, over what the best solver of that problem needs.

    Args:
        costs: (solvers, problems), positive, such as steps to a target; infinite where a solver fails.

    Returns:
        (solvers, problems): 1 for the best, infinite for one that fails, also where all do.

    Raises:
        ValueError: costs are not such a table.
    """
    table = np.asarray(costs, dtype=float)
    if table.ndim != 2 or not table.size or np.isnan(table).any() or (table <= 0).any():
        raise ValueError("costs are a table (solvers, problems) of positive numbers, infinite where a solver fails")
    best = table.min(axis=0)
    return np.divide(table, best, out=np.full_like(table, np.inf), where=np.isfinite(table))


def performance_profile(costs: ArrayLike, factors: ArrayLike) -> NDArray:
    """Share of the problems that each solver solves within a factor of the best solver (Dolan and More 2002).

    rho_s(t) = share of the problems p with r_{s,p} <= t, with the ratios r of `performance_ratios`.

    Args:
        costs: (solvers, problems), positive; infinite where a solver fails.
        factors: t, (n,), at least 1.

    Returns:
        (solvers, n), from 0 to 1.

    Raises:
        ValueError: costs are not such a table.
    """
    ratios = performance_ratios(costs)
    return (ratios[:, :, None] <= np.asarray(factors, dtype=float)).mean(axis=1)


def profile_score(costs: ArrayLike, largest: float = 4.0) -> NDArray:
    """Area under the performance profile between factors 1 and `largest`, over largest - 1 (arXiv 2306.07179).

    It is exact: a problem that is solved within a factor r adds (largest - r) / (largest - 1), none beyond.

    Args:
        costs: (solvers, problems), positive; infinite where a solver fails.
        largest: factor, above 1; 4 in the benchmark.

    Returns:
        (solvers,): 1 for a solver that is best on every problem, 0 for one that never comes within `largest`.

    Raises:
        ValueError: costs are not such a table, or `largest` is not above 1.
    """
    if largest <= 1:
        raise ValueError(f"largest is above 1, got {largest}")
    ratios = np.minimum(performance_ratios(costs), largest)
    return ((largest - ratios) / (largest - 1)).mean(axis=1)
