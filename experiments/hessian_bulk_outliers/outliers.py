"""How many eigenvalues stand out from a spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEAR_ZERO = 0.01


def outliers(eigenvalues: NDArray) -> int:
    """The number of eigenvalues above the widest gap, where what is below the gap or above it is not near zero.

    A gap is the ratio of one eigenvalue to the next; those that begin at an eigenvalue below a hundredth of the largest
    one lie in the bulk, and are not looked at.

    Args:
        eigenvalues: all, in descending order, the largest above 0.
    """
    considered = int((eigenvalues >= NEAR_ZERO * eigenvalues[0]).sum())
    return int(np.argmax(ratios(eigenvalues, considered))) + 1


def ratios(eigenvalues: NDArray, count: int) -> NDArray:
    """lambda_j / lambda_(j+1) for j = 1 ... count; infinite where the next one is not above 0."""
    upper, lower = eigenvalues[:count], eigenvalues[1 : count + 1]
    upper = upper[: len(lower)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(lower > 0, upper / lower, np.inf)
