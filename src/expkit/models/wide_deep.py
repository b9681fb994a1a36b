"""Wide & Deep: an MLP beside a linear model of crossed features."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from expkit.models.dnn_ctr import DnnCtr
from expkit.models.field_embedding import FieldEmbedding


class WideDeep(DnnCtr):
    r"""The logit of `DnnCtr` plus a linear one (arXiv 1606.07792): a weight for each item and each category of the
    candidate, and one for each pair of its category and that of a history item.

    Pairs of candidate and history are what arXiv 1706.06978 gives the wide part.

    Args:
        n_items, n_categories: number of values of the two fields.
        **kwargs: the others of `DnnCtr`.
    """

    def __init__(self, n_items: int, n_categories: int, **kwargs: Any) -> None:
        super().__init__(n_items=n_items, n_categories=n_categories, **kwargs)
        self.first_order = FieldEmbedding([n_items, n_categories], 1, scale=0.0)
        self.pairs = nn.Parameter(torch.zeros(n_categories**2, 1))
        self.n_categories = n_categories

    def extra(self, candidate: Tensor, history: Tensor) -> Tensor:
        pair = candidate[:, 1:] * self.n_categories + history[..., 1]
        crossed = nn.functional.embedding(pair, self.pairs).sum(1)
        return self.first_order(candidate).sum(1, keepdim=True) + crossed
