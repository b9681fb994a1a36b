"""Fourier spectra of functions on a cyclic group, such as a hidden unit's weights on one-hot residues."""

from __future__ import annotations

import torch
from torch import Tensor


def fourier_spectrum(weights: Tensor) -> Tensor:
    """The share of the squared norm that lies at each frequency, both phases and signs of it together.

    With w_hat_k = sum_x w_x exp(-2 pi i k x / p), Parseval's identity is sum_x w_x^2 = (1/p) sum_k |w_hat_k|^2, and for
    real w the terms k and p - k are equal: they are added up.

    Args:
        weights: real, shape (..., p). Leading axes are treated apart.

    Returns:
        Shape (..., p // 2 + 1), frequencies 0 (the constant) to p // 2; sums to 1, or is 0 where all weights are 0.
    """
    p = weights.shape[-1]
    power = torch.fft.rfft(weights.double(), dim=-1).abs().square()
    doubled = torch.full_like(power, 2.0)
    doubled[..., 0] = 1.0
    if p % 2 == 0:
        doubled[..., -1] = 1.0
    power = power * doubled
    total = power.sum(-1, keepdim=True)
    return torch.where(total > 0, power / total.clamp_min(torch.finfo(power.dtype).tiny), 0.0)


def unit_spectra(weights: Tensor, period: int) -> Tensor:
    """The spectrum of each hidden unit whose inputs are one or several one-hot residues side by side.

    The operands' powers at one frequency are added up before shares are taken.

    Args:
        weights: (units, operands * period).
        period: p, the number of residues.

    Returns:
        (units, p // 2 + 1), rows that sum to 1.

    Raises:
        ValueError: the weights are no whole number of periods.
    """
    units, inputs = weights.shape
    if inputs % period:
        raise ValueError(f"{inputs} weights a unit are no whole number of periods of {period}")
    operands = weights.reshape(units, -1, period)
    norms = operands.double().square().sum(-1, keepdim=True)
    power = (fourier_spectrum(operands) * norms).sum(1)
    total = power.sum(-1, keepdim=True)
    return torch.where(total > 0, power / total.clamp_min(torch.finfo(power.dtype).tiny), 0.0)


def live_units(weights: Tensor, threshold: float = 0.01) -> Tensor:
    """Which units have a squared norm above a share of the largest: weight decay takes the others to zero.

    Args:
        weights: (units, inputs).
        threshold: of the largest squared norm.

    Returns:
        (units,), bool.
    """
    norms = weights.double().square().sum(-1)
    return norms > threshold * norms.max()


def frequencies_covered(spectra: Tensor, live: Tensor, share: float = 0.5) -> Tensor:
    """How many frequencies but the constant have a live unit with more than `share` of its weights at them.

    Args:
        spectra: (units, p // 2 + 1), of `unit_spectra`.
        live: (units,), bool.
        share: above one half, so that a unit counts for one frequency only.

    Returns:
        A number, as a tensor without axes.
    """
    return ((spectra[:, 1:] > share) & live[:, None]).any(0).sum()
