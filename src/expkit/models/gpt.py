"""Decoder-only transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from expkit.models.transformer import Transformer, normal_init


class GPT(nn.Module):
    """Token embedding, causal transformer blocks, readout: position i is computed from tokens 0 to i alone.

    The architecture and initialization of GPT-2 (Radford et al. 2019). With `norm="none"`, `activation="relu"`,
    `depth=1` it is the network of arXiv 2301.05217 for modular addition, up to biases.

    Args:
        input_shape: [length] of the token sequences; the context.
        n_outputs: per position: the vocabulary for language modelling, the classes for classification.
        vocab: inputs are integers below this.
        tie_weights: read out with the token embedding (arXiv 1608.05859); needs n_outputs = vocab.
        per_position: an output at every position (language modelling), or at the last alone (classification).
        width, depth, heads, mlp_ratio, activation, norm, positions, dropout, bias, init_std: see `Transformer`.

    Shapes: (batch, up to length) of int64 -> (batch, length, n_outputs), or (batch, n_outputs) without `per_position`.

    Raises:
        ValueError: heads that do not divide the width, tied weights of unequal shape, or inputs that are no sequences.
    """

    accepts = ("tokens",)

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        vocab: int,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        mlp_ratio: int = 4,
        activation: str = "gelu",
        norm: Literal["layernorm", "none"] = "layernorm",
        positions: Literal["learned", "none"] = "learned",
        dropout: float = 0.0,
        bias: bool = True,
        init_std: float = 0.02,
        tie_weights: bool = False,
        per_position: bool = True,
    ) -> None:
        super().__init__()
        if len(input_shape) != 1:
            raise ValueError(f"GPT reads sequences of tokens, shape [length], got {list(input_shape)}")
        if tie_weights and n_outputs != vocab:
            raise ValueError(f"tied weights give an output per token, {vocab}, but the task needs {n_outputs}")
        self.embedding = nn.Embedding(vocab, width)
        self.transformer = Transformer(
            length=input_shape[0],
            width=width,
            depth=depth,
            heads=heads,
            causal=True,
            mlp_ratio=mlp_ratio,
            activation=activation,
            norm=norm,
            positions=positions,
            dropout=dropout,
            bias=bias,
            init_std=init_std,
        )
        self.readout = None if tie_weights else nn.Linear(width, n_outputs, bias=False)
        self.per_position = per_position
        normal_init(self.embedding, init_std)
        if self.readout is not None:
            normal_init(self.readout, init_std)

    def forward(self, tokens: Tensor) -> Tensor:
        steps = self.transformer(self.embedding(tokens))
        steps = steps if self.per_position else steps[:, -1]
        return F.linear(steps, self.embedding.weight) if self.readout is None else self.readout(steps)
