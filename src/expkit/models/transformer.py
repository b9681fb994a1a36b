"""The stack of pre-norm transformer blocks that encoders and decoder-only models share."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from expkit.models.activation import activation as activation_named
from expkit.models.attention import SelfAttention


class Transformer(nn.Module):
    """Adds positions to a sequence of vectors, applies `depth` blocks, and normalizes the result.

    Weights are drawn from N(0, init_std^2), biases are 0, and the last map of each residual branch is smaller by
    sqrt(2 depth), so that the sum over branches does not grow with depth (GPT-2, Radford et al. 2019).

    Args:
        length: the longest sequence; shorter ones take the first positions.
        width: size of a position's vector.
        depth: number of blocks.
        heads: attention heads per block; divide the width.
        causal: whether a position sees only itself and those before it.
        mlp_ratio: hidden units of a block's perceptron, in units of `width`.
        activation: of the perceptron; a name that `expkit.models.activation` knows.
        norm: LayerNorm before each branch and at the end, or none (as in arXiv 2301.05217).
        positions: a learned vector for each position, or none.
        dropout: of the input, of attention weights, and of each branch's output.
        bias: whether affine maps and norms have biases.
        init_std: standard deviation of a weight at initialization.

    Shapes: (batch, up to length, width) -> the same.

    Raises:
        ValueError: the heads do not divide the width, an unknown name, or a sequence that is too long.
    """

    def __init__(
        self,
        length: int,
        width: int,
        depth: int,
        heads: int,
        causal: bool,
        mlp_ratio: int = 4,
        activation: str = "gelu",
        norm: Literal["layernorm", "none"] = "layernorm",
        positions: Literal["learned", "none"] = "learned",
        dropout: float = 0.0,
        bias: bool = True,
        init_std: float = 0.02,
    ) -> None:
        super().__init__()
        if positions not in ("learned", "none"):
            raise ValueError(f"positions is learned or none; got '{positions}'")
        self.length = length
        self.positions = nn.Parameter(init_std * torch.randn(length, width)) if positions == "learned" else None
        self.dropout = nn.Dropout(dropout)
        blocks = [
            TransformerBlock(width, heads, causal, mlp_ratio * width, activation, norm, dropout, bias)
            for _ in range(depth)
        ]
        self.blocks = nn.Sequential(*blocks)
        self.norm = _norm(norm, width, bias)
        normal_init(self, init_std)
        for block in blocks:
            for last in (block.attention.out, block.mlp_out):
                nn.init.normal_(last.weight, std=init_std / (2 * depth) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] > self.length:
            raise ValueError(f"a sequence of {x.shape[1]} is longer than the context of {self.length}")
        if self.positions is not None:
            x = x + self.positions[: x.shape[1]]
        return self.norm(self.blocks(self.dropout(x)))


class TransformerBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)) with one hidden layer."""

    def __init__(
        self,
        width: int,
        heads: int,
        causal: bool,
        mlp_width: int,
        activation: str,
        norm: str,
        dropout: float,
        bias: bool,
    ) -> None:
        super().__init__()
        self.attention_norm = _norm(norm, width, bias)
        self.attention = SelfAttention(width, heads, causal, dropout, bias)
        self.mlp_norm = _norm(norm, width, bias)
        self.mlp_in = nn.Linear(width, mlp_width, bias=bias)
        self.activation = activation_named(activation)
        self.mlp_out = nn.Linear(mlp_width, width, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        return x + self.dropout(self.mlp_out(self.activation(self.mlp_in(self.mlp_norm(x)))))


def normal_init(model: nn.Module, std: float) -> None:
    """Draws weights of linear layers and embeddings from N(0, std^2); biases become 0."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Embedding):
            nn.init.normal_(layer.weight, std=std)
        if isinstance(layer, nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _norm(name: str, width: int, bias: bool) -> nn.Module:
    match name:
        case "layernorm":
            return nn.LayerNorm(width, bias=bias)
        case "none":
            return nn.Identity()
    raise ValueError(f"norm is layernorm or none; got '{name}'")
