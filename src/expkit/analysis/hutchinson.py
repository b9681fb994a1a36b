"""The trace of a curvature matrix that is known by its products with vectors."""

from __future__ import annotations

import torch

from expkit.analysis.hessian import Curvature


def trace(matrix: Curvature, samples: int = 32) -> tuple[float, float]:
    r"""Hutchinson's estimate of tr(H) and its standard error.

    1/m \sum_i v_i^T H v_i, where the entries of the v_i are +-1, each with probability 1/2, from torch's global
    generator. It is unbiased; one term has variance 2 (|H|_F^2 - \sum_j H_jj^2), so a diagonal matrix has its exact
    trace. The standard error is estimated from the terms. It takes m products.

    Args:
        matrix: a Hessian or Gauss-Newton matrix.
        samples: m, at least 2.
    """
    if samples < 2:
        raise ValueError(f"samples is at least 2, since the error is estimated from their scatter; got {samples}")
    signs = 2.0 * torch.randint(2, (samples, matrix.size)).to(matrix.point) - 1.0
    terms = (signs * matrix.products(signs)).double().sum(1)
    return float(terms.mean()), float(terms.std() / samples**0.5)
