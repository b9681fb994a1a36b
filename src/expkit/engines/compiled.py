"""A model whose training steps are compiled by torch.compile, and that is what it was everywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

from expkit.engines import compiler


@contextmanager
def compiled(model: nn.Module, warn: Callable[[str], None]) -> Iterator[None]:
    """Inside, calls of the model are compiled; without a compiler they are not, which is told to `warn`."""
    if not compiler.can_compile():
        warn("trainer.compile=true: there is no C++ compiler here (`expkit doctor`), so the model runs as it is")
        yield
        return
    model._compiled_call_impl = compiler.compiled(model._call_impl)
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
