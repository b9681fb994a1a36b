"""Which rows of a finite table are for testing, and which for training."""

from __future__ import annotations

import torch
from torch import Tensor

from expkit.errors import UserError


def hold_out(
    target: Tensor, test_fraction: float, n_train: int | None, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Rows for training and rows held out for testing, at random; integer targets are classes and are stratified.

    The rows held out do not depend on `n_train`, and fewer training rows are a part of more.

    Args:
        target: of every row.
        test_fraction: share of the rows that is held out, between 0 and 1.
        n_train: how many of the other rows are for training; None for all.
        random: what the order is drawn from.

    Raises:
        UserError: there are not as many rows.
    """
    order = _order(target, random)
    n_test = round(test_fraction * len(target))
    if not 0 < n_test < len(target):
        raise UserError(
            f"data.test_fraction={test_fraction} of {len(target)} examples leaves a split empty.",
            "Choose a share between 0 and 1.",
        )
    return _first(order[n_test:], n_train, "train"), order[:n_test]


def choose(target: Tensor, n: int | None, random: torch.Generator, name: str) -> Tensor:
    """`n` rows of split `name` at random, with the classes in their proportions; None for all, in their own order.

    Raises:
        UserError: there are not as many rows.
    """
    return torch.arange(len(target)) if n is None else _first(_order(target, random), n, name)


def _first(rows: Tensor, n: int | None, name: str) -> Tensor:
    if n is not None and not 1 <= n <= len(rows):
        raise UserError(
            f"data.n_{name}={n}, but there are {len(rows)} examples for it.",
            f"Choose a number from 1 to {len(rows)}, or null for all.",
        )
    return rows[:n]


def _order(target: Tensor, random: torch.Generator) -> Tensor:
    """A random order; with classes, one of which every stretch holds the classes in their proportions.

    Row i of the n_k of class k gets the quantile (i + 1/2) / n_k, and rows are sorted by quantile.
    """
    shuffled = torch.randperm(len(target), generator=random)
    if target.is_floating_point():
        return shuffled
    labels = target[shuffled]
    quantile = torch.empty(len(target), dtype=torch.float64)
    for label in labels.unique():
        members = labels == label
        count = int(members.sum())
        quantile[members] = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return shuffled[quantile.argsort(stable=True)]
