"""Residual multilayer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from expkit.models.activation import activation as activation_named
from expkit.models.initialization import initialize


class ResidualMLP(nn.Module):
    r"""A stream h of `width` numbers, to which each of `depth` blocks adds a branch; then an affine readout.

    h_0 = W_in x;  h_l = h_{l-1} + s F_l(h_{l-1});  f(x) = W_out norm(h_depth), with the branch

        F(h) = W phi(norm(h))               where `hidden_width` is None: one square matrix a block (arXiv 2309.16620)
        F(h) = W_2 phi(W_1 norm(h))         else, with `hidden_width` units

    and s = branch_scale / depth^depth_exponent. With exponent 1/2 the stream and what each step of training does to it
    stay of the same size whatever the depth, so that learning rates can transfer over depth (arXiv 2309.16620,
    2310.02244); with 0 the stream grows with depth.

    Args:
        input_shape: of one example; flattened.
        n_outputs: of the readout.
        vocab: inputs are integers below this and are embedded first; None for real-valued inputs.
        width: of the stream.
        depth: number of blocks; 0 leaves a linear network of two layers.
        hidden_width: units within a block; None for blocks of one matrix.
        branch_scale: factor in front of every branch, before division by a power of the depth.
        depth_exponent: that power.
        activation: phi, a name that `expkit.models.activation` knows.
        norm: at the beginning of every block, and before the readout.
        bias: whether affine maps have biases.
        init: how weights are drawn, see `expkit.models.initialization`.
        init_scale: multiplies all weights and biases at initialization, those of norms excepted.
        zero_init: whether each block's last matrix and bias start at 0, so that the network starts without blocks.
        embed_dim: size of the vector that stands for a token.

    Shapes: (batch, *input_shape) -> (batch, n_outputs).

    Raises:
        ValueError: a negative depth, or an unknown activation or initialization.
    """

    accepts = ("vector", "signal", "image", "tokens")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        vocab: int | None = None,
        width: int = 128,
        depth: int = 3,
        hidden_width: int | None = None,
        branch_scale: float = 1.0,
        depth_exponent: float = 0.5,
        activation: str = "relu",
        norm: Literal["none", "layernorm"] = "none",
        bias: bool = True,
        init: Literal["torch", "he", "lecun", "xavier", "orthogonal"] = "torch",
        init_scale: float = 1.0,
        zero_init: bool = False,
        embed_dim: int = 32,
    ) -> None:
        super().__init__()
        if depth < 0:
            raise ValueError(f"depth is a number of blocks, got {depth}")
        self.embedding = nn.Identity() if vocab is None else nn.Embedding(vocab, embed_dim)
        n_inputs = torch.Size(input_shape).numel() * (1 if vocab is None else embed_dim)
        self.lift = nn.Linear(n_inputs, width, bias=bias)
        self.blocks = nn.ModuleList(_branch(width, hidden_width, activation, norm, bias) for _ in range(depth))
        self.norm = _norm(norm, width)
        self.readout = nn.Linear(width, n_outputs, bias=bias)
        self.scale = branch_scale / max(depth, 1) ** depth_exponent
        initialize(self, init, init_scale)
        if zero_init:
            for parameter in (p for branch in self.blocks for p in branch[-1].parameters()):  # type: ignore[index]
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        stream = self.lift(self.embedding(x).flatten(1))
        for branch in self.blocks:
            stream = stream + self.scale * branch(stream)
        return self.readout(self.norm(stream))


def _branch(width: int, hidden_width: int | None, activation: str, norm: str, bias: bool) -> nn.Sequential:
    if hidden_width is None:
        return nn.Sequential(_norm(norm, width), activation_named(activation), nn.Linear(width, width, bias=bias))
    return nn.Sequential(
        _norm(norm, width),
        nn.Linear(width, hidden_width, bias=bias),
        activation_named(activation),
        nn.Linear(hidden_width, width, bias=bias),
    )


def _norm(name: str, width: int) -> nn.Module:
    match name:
        case "none":
            return nn.Identity()
        case "layernorm":
            return nn.LayerNorm(width)
    raise ValueError(f"norm is one of none, layernorm; got '{name}'")
