"""What is said of a kernel on examples: its spectrum, alignment with targets or another kernel, how far it moved."""

from __future__ import annotations

import torch
from torch import Tensor


def alignment(kernel: Tensor, other: Tensor, centered: bool = False) -> float:
    r"""A(K, K') = <K, K'>_F / (|K|_F |K'|_F), in [0, 1] for positive semidefinite kernels.

    Centered, both are replaced by H K H with H = I - 1 1^T / n before (arXiv 1203.0550): an offset common to all
    examples then does not count. It is linear CKA if both are Gram matrices of features (arXiv 1905.00414).

    Args:
        kernel, other: (n, n), of the same examples.
        centered: see above.

    Returns:
        The alignment; NaN where a kernel is zero, after centering if asked for.
    """
    a, b = kernel.double(), other.double()
    if centered:
        a, b = center(a), center(b)
    return float((a * b).sum() / (a.norm() * b.norm()))


def target_alignment(kernel: Tensor, targets: Tensor, centered: bool = False) -> float:
    r"""`alignment` with the ideal kernel Y Y^T; for one target a number, uncentered, y^T K y / (|K|_F |y|^2).

    Args:
        kernel: (n, n), or (n k, n k) over examples and outputs, as `empirical_ntk` gives it in full.
        targets: Y, (n, k) or (n,). With a kernel over outputs, too, its ideal is y y^T with y the n k targets.
        centered: see `alignment`.
    """
    y = targets.double().reshape(len(targets), -1)
    if len(kernel) != len(y):
        y = y.reshape(-1, 1)
    return alignment(kernel, y @ y.T, centered)


def center(kernel: Tensor) -> Tensor:
    """H K H with H = I - 1 1^T / n: the kernel of features whose mean over the n examples is taken away."""
    return kernel - kernel.mean(0, keepdim=True) - kernel.mean(1, keepdim=True) + kernel.mean()


def spectrum(kernel: Tensor) -> Tensor:
    """The eigenvalues of a symmetric kernel (n, n) in descending order, (n,), in float64."""
    return torch.linalg.eigvalsh(kernel.double()).flip(0)


def drift(kernel: Tensor, reference: Tensor) -> float:
    """|K - K_0|_F / |K_0|_F, how far a kernel is from a reference, such as itself at initialization."""
    reference = reference.double()
    return float((kernel.double() - reference).norm() / reference.norm())
