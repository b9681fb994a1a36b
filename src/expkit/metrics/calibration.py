"""How far predicted probabilities are from frequencies: calibration errors, and the proper scores beside them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Binning = Literal["width", "mass"]
Norm = Literal["l1", "l2", "max"]


def calibration_error(
    confidence: Tensor, correct: Tensor, bins: int = 15, binning: Binning = "width", norm: Norm = "l1"
) -> Tensor:
    r"""How far confidence and frequency of being right are apart, over bins of the confidence.

    With the examples in bins B of shares w_B, and gap_B = |mean confidence - share of correct ones| in B:

        l1: sum_B w_B gap_B      l2: sqrt(sum_B w_B gap_B^2)      max: max_B gap_B

    With 'l1' and `binning='width'` this is the expected calibration error (ECE) of arXiv 1706.04599. It is biased
    upwards: a calibrated predictor has an error of the order of sqrt(bins / n).

    Args:
        confidence: (n,), predicted probability, from 0 to 1.
        correct: (n,), whether what was predicted is so; bool, or a share from 0 to 1.
        bins: how many.
        binning: 'width', bins [k / bins, (k + 1) / bins) (the last one with its upper end); 'mass', as many examples in
            each, up to one (adaptive; equal confidences may come into different bins).
        norm: see above.

    Raises:
        ValueError: no examples, fewer than one bin, or an unknown binning or norm.
    """
    n = len(confidence)
    if n < 1 or bins < 1:
        raise ValueError(f"needs examples and at least one bin, got {n} and {bins}")
    confidence, correct = confidence.double(), correct.double()
    members = _bins_of(confidence, bins, binning)
    gap = torch.zeros(bins, dtype=torch.float64, device=confidence.device).index_add(0, members, confidence - correct)
    count = torch.bincount(members, minlength=bins)
    match norm:
        case "l1":
            return gap.abs().sum() / n
        case "l2":
            return (gap.square() / count.clamp(min=1)).sum().div(n).sqrt()
        case "max":
            return (gap.abs() / count.clamp(min=1)).max()
    raise ValueError(f"norm is one of l1, l2, max; got '{norm}'")


def top_label_error(
    probabilities: Tensor, target: Tensor, bins: int = 15, binning: Binning = "width", norm: Norm = "l1"
) -> Tensor:
    """`calibration_error` of the most probable class: its probability against whether it is the target.

    Args:
        probabilities: (n, classes), rows that sum to 1.
        target: (n,), classes.
        bins, binning, norm: of `calibration_error`.
    """
    confidence, predicted = probabilities.max(-1)
    return calibration_error(confidence, predicted == target, bins, binning, norm)


def classwise_error(
    probabilities: Tensor, target: Tensor, bins: int = 15, binning: Binning = "width", norm: Norm = "l1"
) -> Tensor:
    """Mean over classes k of the `calibration_error` of "it is k": every probability counts, not the largest alone.

    The static calibration error of arXiv 1904.01685 with 'width', its adaptive one without threshold with 'mass'.

    Args:
        probabilities: (n, classes), rows that sum to 1.
        target: (n,), classes.
        bins, binning, norm: of `calibration_error`.
    """
    each = [
        calibration_error(column, target == k, bins, binning, norm) for k, column in enumerate(probabilities.unbind(-1))
    ]
    return torch.stack(each).mean()


def negative_log_likelihood(log_probabilities: Tensor, target: Tensor) -> Tensor:
    """-mean log p(target), in nats. Args: (n, classes), logarithms, so that a probability of 0 is no trouble; (n,)."""
    return torch.nn.functional.nll_loss(log_probabilities.double(), target)


def brier_score(probabilities: Tensor, target: Tensor) -> Tensor:
    """Mean over examples of sum_k (p_k - [target = k])^2: 0 for certain and right, 2 for certain and wrong.

    It is the multi-class form of Brier (1950), twice the usual one for two classes. Args: (n, classes); (n,).
    """
    certain = torch.nn.functional.one_hot(target, probabilities.shape[-1])
    return (probabilities.double() - certain).square().sum(-1).mean()


def _bins_of(confidence: Tensor, bins: int, binning: str) -> Tensor:
    """The bin of each example, (n,)."""
    n = len(confidence)
    match binning:
        case "width":
            edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=confidence.device)
            return torch.bucketize(confidence.contiguous(), edges[1:-1], right=True)
        case "mass":
            rank = confidence.argsort(stable=True).argsort()
            return rank * bins // n
    raise ValueError(f"binning is one of width, mass; got '{binning}'")
