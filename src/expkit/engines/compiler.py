"""torch.compile: whether it can be used, and what it has to be told before it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

FEW = 2
"""Threads of a process: with up to so many, what it compiles is compiled by itself."""


def can_compile() -> bool:
    """Whether torch.compile has what it needs: on the CPU, a C++ compiler."""
    return torch.cuda.is_available() or any(map(shutil.which, ("g++", "clang++", "c++")))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of tensors, compiled for each set of shapes that it is called with."""
    _know_zero_tangents()
    _stay_in_this_process()
    return torch.compile(function, dynamic=False)


@contextmanager
def compiled_model(model: nn.Module, warn: Callable[[str], None]) -> Iterator[None]:
    """Inside, calls of the model are compiled; without a compiler they are not, which is told to `warn`."""
    if not can_compile():
        warn("trainer.compile=true: there is no C++ compiler here (`expkit doctor`), so the model runs as it is")
        yield
        return
    model._compiled_call_impl = compiled(model._call_impl)
    try:
        yield
    finally:
        model._compiled_call_impl = None


@contextmanager
def as_written(model: nn.Module) -> Iterator[None]:
    """Inside, a compiled model runs as it is written: for batches of other shapes, and under torch.func."""
    call, model._compiled_call_impl = model._compiled_call_impl, None
    try:
        yield
    finally:
        model._compiled_call_impl = call


@cache
def _stay_in_this_process() -> None:
    """Has kernels built one after the other where there are few cores.

    Otherwise inductor starts a process for each, which first import torch: on two cores, of which one is another arm's,
    that takes longer than it saves.
    """
    from torch._inductor import config

    if torch.get_num_threads() <= FEW and "TORCHINDUCTOR_COMPILE_THREADS" not in os.environ:
        config.compile_threads = 1


@cache
def _know_zero_tangents() -> None:
    """Has the tangents of constants compiled as zeros, which forward-mode derivatives are full of.

    torch has tensors without memory for them. Traced under vmap they seem to be on another device, and where they are
    not folded away, inductor's kernels read the memory that they do not have, at address 0 (torch 2.13).
    """
    from torch._inductor.decomposition import fast_random_decomps, register_decomposition
    from torch._subclasses.fake_impls import register_op_impl

    operator = torch.ops.aten._efficientzerotensor.default

    @register_op_impl(operator)
    def traced(mode: Any, _: Any, size: Any, *, dtype: Any = None, device: Any = None, **rest: Any) -> Tensor:
        with mode:
            return torch.empty(size, dtype=dtype, device=device)

    @register_decomposition([operator])
    def computed(size: Any, *, dtype: Any = None, device: Any = None, **rest: Any) -> Tensor:
        return torch.zeros(size, dtype=dtype, device=device)

    fast_random_decomps.cache_clear()  # a copy of the table, where something was compiled before
