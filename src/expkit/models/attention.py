"""Multi-head self-attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from expkit.models.transforms import inside_transform


class SelfAttention(nn.Module):
    r"""W_o [head_1, ..., head_H] + b_o with head_h = softmax(Q_h K_h^T / sqrt(width / H)) V_h (arXiv 1706.03762).

    Args:
        width: size of a position's vector.
        heads: H; divides the width.
        causal: whether a position sees only itself and those before it.
        dropout: probability that an attention weight is set to zero in training.
        bias: whether the affine maps have biases.

    Shapes: (batch, length, width) -> (batch, length, width).

    Raises:
        ValueError: the heads do not divide the width.
    """

    def __init__(self, width: int, heads: int, causal: bool, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"width {width} cannot be divided among {heads} heads")
        self.heads = heads
        self.causal = causal
        self.dropout = dropout
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.dropout if self.training else 0.0
        attend = _attend if inside_transform() else F.scaled_dot_product_attention
        mixed = attend(query, key, value, dropout_p=dropout, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).flatten(2))


def _attend(query: Tensor, key: Tensor, value: Tensor, dropout_p: float, is_causal: bool) -> Tensor:
    """Torch's scaled_dot_product_attention in operations that every transform of torch.func has rules for."""
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
    if is_causal:
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(future, -torch.inf)
    return F.dropout(scores.softmax(-1), dropout_p, training=dropout_p > 0) @ value
