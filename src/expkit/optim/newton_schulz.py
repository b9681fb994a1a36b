"""Matrices made orthogonal without a singular value decomposition."""

from __future__ import annotations

import torch
from torch import Tensor

EPS = 1e-7


def orthogonalized(matrices: Tensor, steps: int = 5) -> Tensor:
    """U V^T, approximately, of every matrix U S V^T, as the optimizer Muon makes it.

    A matrix is divided by its Frobenius norm and goes through `steps` times X <- a X + (b X X^T + c (X X^T)^2) X, in
    bfloat16. The quintic (a, b, c) = (3.4445, -4.775, 2.0315) takes singular values to between about 0.7 and 1.2
    (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

    Args:
        matrices: (..., rows, columns).
        steps: 0 only divides by the norm.

    Returns:
        (..., rows, columns), in bfloat16.
    """
    a, b, c = 3.4445, -4.775, 2.0315
    rows, columns = matrices.shape[-2:]
    x = matrices.bfloat16().reshape(-1, rows, columns)
    x = x.mT if rows > columns else x
    x = x / torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True).clamp(min=EPS)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if rows > columns else x).reshape(matrices.shape)
