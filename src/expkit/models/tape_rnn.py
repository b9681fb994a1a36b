"""Elman's network with a differentiable tape (arXiv 2207.02098, after arXiv 1911.03329)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from expkit.models.sequence_input import SequenceInput


class TapeRNN(nn.Module):
    r"""At each step the network reads the cell under its head, overwrites it, and says how to mix moves of the head.

        h_t = tanh(W x_t + U [h_{t-1}, cell under the head] + b)
        p_t = softmax(A h_t),   v_t = V h_t
        m_t = sum_a p_t^a move_a(write(m_{t-1}, v_t))

    Moves are: stay, one cell to the left, one to the right, and with `jumps` as many cells to the left or to the right
    as the column 'length' says (the length of the string, in data=formal_languages). The tape is a circle of half as
    many cells as the input has steps; it is the tape that turns, under a head at cell 0.

    Args:
        input_shape: [length] of tokens or numbers, [channels, length], or [channels, height, width], whose rows are
            the steps (see `SequenceInput`).
        n_outputs: of the affine readout of h_t.
        vocab: inputs are integers below this and are embedded first; None for real-valued inputs.
        width: units of h.
        cell_size: numbers in one cell of the tape.
        embed_dim: size of the vector that stands for a token.
        jumps: whether the head can jump; `forward` then takes lengths (batch,) after the inputs.
        per_position: read out every step, not the last one alone.

    Shapes: (batch, *input_shape) -> (batch, n_outputs), or (batch, steps, n_outputs) with `per_position`.
    """

    accepts = ("vector", "signal", "image", "tokens")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        vocab: int | None = None,
        width: int = 64,
        cell_size: int = 8,
        embed_dim: int = 32,
        jumps: bool = False,
        per_position: bool = False,
    ) -> None:
        super().__init__()
        self.columns = ("input", "length") if jumps else ("input",)
        self.steps = SequenceInput(input_shape, vocab, embed_dim)
        self.moves = 5 if jumps else 3
        self.input = nn.Linear(self.steps.features, width)
        self.recurrent = nn.Linear(width + cell_size, width, bias=False)
        self.control = nn.Linear(width, self.moves + cell_size)
        self.readout = nn.Linear(width, n_outputs)
        self.per_position = per_position

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        inputs = self.input(self.steps(x))
        n, steps, width = inputs.shape
        cells = (steps + 1) // 2
        moves = torch.tensor([0, -1, 1], device=x.device).expand(n, 3)
        if self.moves == 5:
            if length is None:
                raise ValueError("a head that jumps needs lengths beside the inputs")
            moves = torch.cat([moves, -length.unsqueeze(1), length.unsqueeze(1)], dim=1)
        turns = turns_of(moves, cells).to(inputs.dtype)
        tape = inputs.new_zeros(n, cells, self.control.out_features - self.moves)
        state, states = inputs.new_zeros(n, width), []
        for step in inputs.unbind(1):
            state = torch.tanh(step + self.recurrent(torch.cat([state, tape[:, 0]], dim=1)))
            states.append(state)
            control = self.control(state)
            tape = tape_step(tape, control[:, : self.moves].softmax(-1), control[:, self.moves :], turns)
        return self.readout(torch.stack(states, dim=1) if self.per_position else state)


def tape_step(tape: Tensor, actions: Tensor, value: Tensor, turns: Tensor) -> Tensor:
    """The tape after one step, (n, cells, cell size).

    Args:
        tape: from the cell under the head to the right, and around.
        actions: (n, moves), their probabilities.
        value: (n, cell size), written under the head before it moves.
        turns: (n, moves, cells * cells), what each move does to the cells (see `turns_of`).
    """
    written = torch.cat([value.unsqueeze(1), tape[:, 1:]], dim=1)
    cells = tape.shape[1]
    return (actions.unsqueeze(1) @ turns).unflatten(2, (cells, cells)).squeeze(1) @ written


def turns_of(moves: Tensor, cells: int) -> Tensor:
    """Permutation matrices (n, moves, cells * cells) of a tape whose head moves by `moves` (n, moves) to the right."""
    cell = torch.arange(cells, device=moves.device)
    source = (cell + moves.unsqueeze(2)).remainder(cells)  # the cell that comes to place i
    return (source.unsqueeze(3) == cell).flatten(2)
