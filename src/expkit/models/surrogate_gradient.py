"""The spike as a function of the membrane potential, and what stands in for its derivative."""

from __future__ import annotations

import math

from torch import Tensor


def arctan_slope(distance: Tensor, alpha: float = 2.0) -> Tensor:
    r"""alpha / 2 / (1 + (pi / 2 * alpha * u)^2), the derivative of arctan(pi / 2 * alpha * u) / pi.

    A spike is a step of the membrane's distance u to the threshold, whose derivative is zero or does not exist; in
    training this bump of area 1 takes its place (arXiv 2007.05785). The larger alpha, the narrower it is.

    Args:
        distance: u, potential minus threshold, any shape.
        alpha: in units of one over the potential.
    """
    return alpha / 2 / (1 + (math.pi / 2 * alpha * distance) ** 2)
