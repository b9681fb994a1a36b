"""Torch's recurrent layers, step by step in elementary operations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = tuple[Tensor, ...]
Cell = Callable[[Tensor, State, Tensor, Tensor | None], State]


def unrolled(layers: nn.RNNBase, x: Tensor) -> Tensor:
    """What `layers(x)[0]` is, computed so that vmap, jvp and derivatives of any order go through.

    Torch's own kernels are several times as fast, but have no batching rule and no forward derivative.

    Args:
        layers: an nn.RNN, nn.LSTM (without projection) or nn.GRU with batch_first=True.
        x: (batch, length, input_size).

    Returns: (batch, length, hidden_size * directions).
    """
    for number in range(layers.num_layers):
        if number and layers.dropout:
            x = F.dropout(x, layers.dropout, layers.training)
        forwards = _direction(layers, x, f"l{number}")
        if layers.bidirectional:
            backwards = _direction(layers, x.flip(1), f"l{number}_reverse").flip(1)
            x = torch.cat([forwards, backwards], dim=-1)
        else:
            x = forwards
    return x


def _direction(layers: nn.RNNBase, x: Tensor, name: str) -> Tensor:
    """The hidden states (batch, length, hidden_size) of one layer, reading x from its first step on."""
    weight, bias = getattr(layers, f"weight_hh_{name}"), getattr(layers, f"bias_hh_{name}", None)
    inputs = F.linear(x, getattr(layers, f"weight_ih_{name}"), getattr(layers, f"bias_ih_{name}", None))
    cell = _CELLS[layers.mode]
    zero = inputs.new_zeros(len(x), layers.hidden_size)
    state: State = (zero, zero) if layers.mode == "LSTM" else (zero,)
    states = []
    for step in inputs.unbind(1):
        state = cell(step, state, weight, bias)
        states.append(state[0])
    return torch.stack(states, dim=1)


def _tanh(step: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    return (torch.tanh(step + F.linear(state[0], weight, bias)),)


def _relu(step: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    return (torch.relu(step + F.linear(state[0], weight, bias)),)


def _lstm(step: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    hidden, memory = state
    take, keep, new, give = (step + F.linear(hidden, weight, bias)).chunk(4, dim=-1)
    memory = keep.sigmoid() * memory + take.sigmoid() * new.tanh()
    return give.sigmoid() * memory.tanh(), memory


def _gru(step: Tensor, state: State, weight: Tensor, bias: Tensor | None) -> State:
    (hidden,) = state
    reset, keep, new = step.chunk(3, dim=-1)
    reset_h, keep_h, new_h = F.linear(hidden, weight, bias).chunk(3, dim=-1)
    keep = (keep + keep_h).sigmoid()
    new = (new + (reset + reset_h).sigmoid() * new_h).tanh()
    return (keep * hidden + (1 - keep) * new,)


_CELLS: dict[str, Cell] = {"RNN_TANH": _tanh, "RNN_RELU": _relu, "LSTM": _lstm, "GRU": _gru}
