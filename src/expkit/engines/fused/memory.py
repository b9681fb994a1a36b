"""How many runs fit into a device's memory, and what it looks like when they do not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from expkit.memory_error import is_out_of_memory

if TYPE_CHECKING:
    from expkit.engines.fused.stacked_training import StackedTraining

MARGIN = 0.8
"""The share of free memory that is used: allocators round up and keep what is freed in pieces."""


class OutOfMemory(Exception):
    """A stack is too large for the memory of its device. The cause is what torch or Python said."""


@contextmanager
def recognized_out_of_memory(runs: int) -> Iterator[None]:
    """Turns an allocator's error inside into `OutOfMemory`; `runs` is the size of the stack."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory(f"{runs} runs at once do not fit in memory: {error}") from error
        raise


def runs_that_fit(training: StackedTraining, free: int | None = None) -> int:
    """The number of runs like those of a small stack that fit into its device's memory at once.

    A run counts with what it keeps, and with the larger of all that one step and one evaluation make, nothing of which
    is taken to be freed meanwhile: an upper bound on what it needs, so that the number is a lower bound.

    Args:
        training: of one run or a few; it is left as it was. Data that its runs share count for each of them.
        free: bytes to be filled; by default those that are free.

    Returns:
        At least 1.
    """
    free = free_bytes(training.device) if free is None else free
    return max(1, int(MARGIN * free / bytes_per_run(training)))


def bytes_per_run(training: StackedTraining) -> int:
    """Upper bound on the memory that a run needs, its data included."""
    stack = training.stack
    kept = [training.state_dict(), stack.frozen, list(stack.splits.values()), training.factors]
    step, evaluation = BytesMade(), BytesMade()
    with step:
        training.trial()
    with evaluation:
        training.evaluate()
    tried = min(2, training.size)
    return math.ceil(bytes_of(kept) / training.size + max(step.bytes / tried, evaluation.bytes / training.size))


def free_bytes(device: torch.device) -> int:
    """Bytes that are free on a device; on the CPU within the limit of this process's control group, if it has one."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    free = int(psutil.virtual_memory().available)
    limit, used = (_number(Path("/sys/fs/cgroup") / name) for name in ("memory.max", "memory.current"))
    return free if limit is None or used is None else max(0, min(free, limit - used))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # there is no such file, or it says "max"
        return None


def bytes_of(tree: Any) -> int:
    """What the tensors in a nest of containers take in memory; what they share counts once."""
    storages = {leaf.untyped_storage()._cdata: leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)}
    return sum(leaf.untyped_storage().nbytes() for leaf in storages.values())


class BytesMade(TorchDispatchMode):
    """Counts operations, and the bytes of all tensors that they make."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {_storage(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        new = {_storage(leaf): leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)}
        self.operations += 1
        self.bytes += sum(leaf.untyped_storage().nbytes() for key, leaf in new.items() if key not in given)
        return made


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
