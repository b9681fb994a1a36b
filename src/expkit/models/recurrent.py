"""Recurrent networks: Elman's, LSTM, GRU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from expkit.models.sequence_input import SequenceInput
from expkit.models.transforms import inside_transform
from expkit.models.unrolled import unrolled


class Recurrent(nn.Module):
    """`depth` layers of a recurrent cell over the input's steps, then an affine readout.

    Args:
        input_shape: [length] of tokens or numbers, [channels, length], or [channels, height, width], whose rows are
            the steps (see `SequenceInput`).
        n_outputs: of the readout.
        vocab: inputs are integers below this and are embedded first; None for real-valued inputs.
        cell: `rnn` (Elman), `lstm` (Hochreiter and Schmidhuber 1997), `gru` (arXiv 1406.1078), as torch defines them.
        width: units of a layer, in each direction.
        depth: number of layers.
        nonlinearity: of the cell `rnn`; the others have their own.
        bidirectional: whether every layer also reads backwards in time.
        dropout: probability that a layer's output is set to zero in training, before the next layer or the readout.
        embed_dim: size of the vector that stands for a token.
        per_position: read out every step, not the last one alone. Bidirectional layers have seen the future by then.

    With one output per example, the readout sees the last step; where layers are bidirectional, the last step
    of the forward direction and the first of the backward one, each of which has seen the whole sequence.

    Shapes: (batch, *input_shape) -> (batch, n_outputs), or (batch, steps, n_outputs) with `per_position`.

    Raises:
        ValueError: an unknown cell, or fewer than one layer.
    """

    accepts = ("vector", "signal", "image", "tokens")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        vocab: int | None = None,
        cell: Literal["rnn", "lstm", "gru"] = "lstm",
        width: int = 64,
        depth: int = 1,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        bidirectional: bool = False,
        dropout: float = 0.0,
        embed_dim: int = 32,
        per_position: bool = False,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"depth is a number of recurrent layers, at least 1; got {depth}")
        self.steps = SequenceInput(input_shape, vocab, embed_dim)
        self.recurrent = _layers(
            cell,
            nonlinearity,
            input_size=self.steps.features,
            hidden_size=width,
            num_layers=depth,
            bidirectional=bidirectional,
            dropout=dropout if depth > 1 else 0.0,
            batch_first=True,
        )
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(width * (2 if bidirectional else 1), n_outputs)
        self.per_position = per_position

    def forward(self, x: Tensor) -> Tensor:
        steps = self.steps(x)
        states = unrolled(self.recurrent, steps) if inside_transform() else self.recurrent(steps)[0]
        return self.readout(self.dropout(states if self.per_position else self._last(states)))

    def _last(self, states: Tensor) -> Tensor:
        if not self.recurrent.bidirectional:
            return states[:, -1]
        width = self.recurrent.hidden_size
        return torch.cat([states[:, -1, :width], states[:, 0, width:]], dim=-1)


def _layers(cell: str, nonlinearity: str, **sizes: int | float | bool) -> nn.RNNBase:
    match cell:
        case "rnn":
            return nn.RNN(nonlinearity=nonlinearity, **sizes)
        case "lstm":
            return nn.LSTM(**sizes)
        case "gru":
            return nn.GRU(**sizes)
    raise ValueError(f"cell is one of rnn, lstm, gru; got '{cell}'")
