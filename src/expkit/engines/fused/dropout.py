"""Dropout in a stack: what a run draws depends on its seed, the step and the place, not on the runs beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from expkit.seeding import derive

BITS = 0xFFFFFFFF


class OwnDropout(TorchFunctionMode):
    """Inside, `F.dropout` (and so `nn.Dropout`) of one run draws from its own stream.

    Whether an element is dropped is a hash of the stream, of how many dropouts there were before in this step, and of
    the element's place. So it needs no state, and vmap, grad and the compiler take it for arithmetic.

    Args:
        stream: (2,), two 32-bit numbers, a row of `streams`; None where nothing may be drawn.
    """

    def __init__(self, stream: Tensor | None) -> None:
        super().__init__()
        self.stream = stream
        self.calls = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if func is F.dropout:
            return self._dropout(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _dropout(self, input: Tensor, p: float | Tensor = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training:
            return input
        if self.stream is None:
            raise RuntimeError("randomness where none is expected: dropout in evaluation mode")
        self.calls += 1
        if isinstance(p, float | int) and p == 0:
            return input
        places = torch.arange(input.numel(), device=input.device).view(input.shape)
        own = mixed(self.stream ^ mixed(torch.full((), self.calls, device=input.device)))
        number = mixed(mixed(mixed(places) ^ own[0]) ^ own[1])
        scale = torch.where(p < 1, 1 / (1 - p), 0.0) if isinstance(p, Tensor) else 1 / (1 - p) if p < 1 else 0.0
        dropped = input * ((number >= p * 2.0**32).to(input.dtype) * scale)
        return input.copy_(dropped) if inplace else dropped


def keys(seeds: Sequence[int]) -> Tensor:
    """Of each run's dropout, from its seed: (R, 2), two 32-bit numbers in int64."""
    derived = [derive(seed, "dropout") for seed in seeds]
    return torch.tensor([[key & BITS, key >> 32] for key in derived])


def streams(keys: Tensor, batch: int) -> Tensor:
    """(R, 2): where each run draws from in training batch number `batch`."""
    return mixed(keys ^ mixed(torch.full((), batch + 1, device=keys.device)))


def mixed(x: Tensor) -> Tensor:
    """A permutation of the 32-bit numbers without visible order, on int64, where none of its products overflows.

    Shifts and multipliers are from the `hash-prospector` project's search for those of the smallest bias.
    """
    x = ((x ^ (x >> 16)) * 0x21F0AAAD) & BITS
    x = ((x ^ (x >> 15)) * 0x735A2D97) & BITS
    return x ^ (x >> 15)
