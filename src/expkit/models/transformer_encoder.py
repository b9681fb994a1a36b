"""Transformer encoder: attention in both directions, one output per example or per position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from expkit.models.sequence_input import SequenceInput
from expkit.models.transformer import Transformer, normal_init


class TransformerEncoder(nn.Module):
    """Embeds the steps of the input, applies transformer blocks, pools over steps, and reads out.

    Every position attends to every other. With `per_position` the output at a position has therefore **seen the
    future**: right for tagging, worthless for predicting the next token, for which there is `GPT`.

    Args:
        input_shape: [length] of tokens or numbers, [channels, length], or [channels, height, width], whose rows or
            patches are the steps (see `SequenceInput`).
        n_outputs: of the readout.
        vocab: inputs are integers below this; None for real-valued inputs, whose steps are mapped affinely (by weights
            as torch draws them).
        patch: places in time, or side of an image's patches, per step; None: single places, rows of an image.
        pooling: what is read out: the `mean` over steps, the `last` step, or a learned step put in front (`cls`).
        per_position: read out every step instead; leaves `pooling` without effect, except that `cls` still is there
            to be attended to.
        width, depth, heads, mlp_ratio, activation, norm, positions, dropout, bias, init_std: see `Transformer`.

    Shapes: (batch, *input_shape) -> (batch, n_outputs), or (batch, steps, n_outputs) with `per_position`.

    Raises:
        ValueError: heads that do not divide the width, a patch that does not divide the input, or `per_position`
            with patches of more than one position.
    """

    accepts = ("vector", "signal", "image", "tokens")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        vocab: int | None = None,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        mlp_ratio: int = 4,
        activation: str = "gelu",
        norm: Literal["layernorm", "none"] = "layernorm",
        positions: Literal["learned", "none"] = "learned",
        patch: int | None = None,
        pooling: Literal["mean", "cls", "last"] = "mean",
        dropout: float = 0.0,
        bias: bool = True,
        init_std: float = 0.02,
        per_position: bool = False,
    ) -> None:
        super().__init__()
        if pooling not in ("mean", "cls", "last"):
            raise ValueError(f"pooling is one of mean, cls, last; got '{pooling}'")
        if per_position and patch not in (None, 1):
            raise ValueError(f"the task needs one output per position, but a patch of {patch} holds several")
        self.steps = SequenceInput(input_shape, vocab, width, project=True, patch=patch)
        self.cls = nn.Parameter(init_std * torch.randn(width)) if pooling == "cls" else None
        self.transformer = Transformer(
            length=self.steps.length + (pooling == "cls"),
            width=width,
            depth=depth,
            heads=heads,
            causal=False,
            mlp_ratio=mlp_ratio,
            activation=activation,
            norm=norm,
            positions=positions,
            dropout=dropout,
            bias=bias,
            init_std=init_std,
        )
        self.readout = nn.Linear(width, n_outputs)
        self.pooling = pooling
        self.per_position = per_position
        if vocab is not None:
            normal_init(self.steps, init_std)
        normal_init(self.readout, init_std)

    def forward(self, x: Tensor) -> Tensor:
        steps = self.steps(x)
        if self.cls is not None:
            steps = torch.cat([self.cls.expand(len(steps), 1, -1), steps], dim=1)
        return self.readout(self._pool(self.transformer(steps)))

    def _pool(self, steps: Tensor) -> Tensor:
        if self.per_position:
            return steps if self.cls is None else steps[:, 1:]
        match self.pooling:
            case "mean":
                return steps.mean(1)
            case "cls":
                return steps[:, 0]
        return steps[:, -1]
