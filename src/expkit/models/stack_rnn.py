"""Elman's network with differentiable stacks (arXiv 1503.01007)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from expkit.models.sequence_input import SequenceInput

ACTIONS = 3  # push, keep, pop


class StackRNN(nn.Module):
    r"""At each step the network reads the top of its stacks, and says how to mix pushing, keeping and popping.

        h_t = tanh(W x_t + U [h_{t-1}, top of s_{t-1}] + b)
        p_t = softmax(A h_t),   v_t = V h_t
        s_t = p_t^push push(s_{t-1}, v_t) + p_t^keep s_{t-1} + p_t^pop pop(s_{t-1})

    for each stack, with an empty stack reading zero. Stacks are as deep as the input is long, so no push is ever lost:
    what lies deeper than steps remain can no longer come to the top, and is not computed.

    Args:
        input_shape: [length] of tokens or numbers, [channels, length], or [channels, height, width], whose rows are
            the steps (see `SequenceInput`).
        n_outputs: of the affine readout of h_t.
        vocab: inputs are integers below this and are embedded first; None for real-valued inputs.
        width: units of h.
        stacks: how many.
        cell_size: numbers in one place of a stack.
        embed_dim: size of the vector that stands for a token.
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
        stacks: int = 1,
        cell_size: int = 8,
        embed_dim: int = 32,
        per_position: bool = False,
    ) -> None:
        super().__init__()
        self.steps = SequenceInput(input_shape, vocab, embed_dim)
        self.input = nn.Linear(self.steps.features, width)
        self.recurrent = nn.Linear(width + stacks * cell_size, width, bias=False)
        self.control = nn.Linear(width, stacks * (ACTIONS + cell_size))
        self.readout = nn.Linear(width, n_outputs)
        self.stacks = stacks
        self.per_position = per_position

    def forward(self, x: Tensor) -> Tensor:
        inputs = self.input(self.steps(x))
        n, length, width = inputs.shape
        stack = inputs.new_zeros(n, self.stacks, 1, self.control.out_features // self.stacks - ACTIONS)
        state, states = inputs.new_zeros(n, width), []
        for number, step in enumerate(inputs.unbind(1)):
            state = torch.tanh(step + self.recurrent(torch.cat([state, stack[:, :, 0].flatten(1)], dim=1)))
            states.append(state)
            control = self.control(state).unflatten(1, (self.stacks, -1))
            actions, value = control[..., :ACTIONS].softmax(-1), control[..., ACTIONS:]
            stack = stack_step(stack, actions, value)[:, :, : max(1, length - 1 - number)]
        return self.readout(torch.stack(states, dim=1) if self.per_position else state)


def stack_step(stack: Tensor, actions: Tensor, value: Tensor) -> Tensor:
    """The stack after one step: (..., depth, cell) -> (..., depth + 1, cell).

    Args:
        stack: from its top down; zero below.
        actions: (..., 3), probabilities of push, keep, pop.
        value: (..., cell), what is pushed.
    """
    below = stack.new_zeros(*stack.shape[:-2], 2, stack.shape[-1])
    column = torch.cat([value.unsqueeze(-2), stack, below], dim=-2)
    push, keep, pop = actions.unsqueeze(-1).unsqueeze(-1).unbind(-3)
    return push * column[..., :-2, :] + keep * column[..., 1:-1, :] + pop * column[..., 2:, :]
