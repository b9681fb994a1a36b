"""How a step is made fastest: in blocks of runs that stay in the cache, and compiled where that is worth its time.

Both are found out while it runs: the blocks from what a step makes in memory, compilation from how long a step takes
and how many are left, or from what was measured the last time.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import keystr, tree_flatten_with_path, tree_leaves

from expkit.engines import compiler
from expkit.engines.fused.blocks import Blocks, block_size, writing
from expkit.engines.fused.cache_size import cache_size
from expkit.engines.fused.memory import BytesMade
from expkit.engines.fused.remembered_paces import Paces, recall, remember
from expkit.records.environment import hardware

Step = Callable[..., Any]

TRIAL = 10  # steps that are timed, after a first one that does what happens once
WORTH = 30.0  # seconds of uncompiled work left; compiling saves about half of it, and takes 15 for
USUAL = 250  # operations in a step, and longer for more: two minutes for the 3,400 of a gated graph network

_log = logging.getLogger(__name__)


class Pace:
    """Hands out a step, uncompiled at first, compiled as soon as the rest of the training is seen to be long.

    The tensors that a step returned are overwritten by the step that is made from them, see `Blocks`.

    Args:
        step: a pure function of tensors, some of them stacked on a leading axis of size R. Runs may leave the stack
            between steps.
        in_dims: of its arguments as of `torch.func.vmap`: 0 for stacked, None for shared by all runs.
        name: of what the step computes, as far as the shapes of its arguments do not tell.
    """

    def __init__(self, step: Step, in_dims: Any = None, name: str = "") -> None:
        self._undivided = self._plain = step
        self._divided = False
        self._name = name
        self._blocks = Blocks(in_dims)
        self._size = 0  # of a block; 0 before the first step
        self._bytes_per_run = 0
        self._operations = USUAL
        self._can_compile = compiler.can_compile()
        self._start(step)

    def trial(self, *arguments: Any) -> None:
        """Makes a step of the first one or two runs and throws it away: whether it can be made, in how much memory."""
        runs = min(2, self._blocks.runs(arguments))
        with BytesMade() as made:
            self._undivided(*self._blocks.part(arguments, 0, runs))
        self._bytes_per_run, self._operations = made.bytes // runs, made.operations

    def advance(self, left: int) -> Step:
        """What makes the next step, of which `left` are to come."""
        return lambda *arguments: self._advance(left, arguments)

    def _advance(self, left: int, arguments: tuple[Any, ...]) -> Any:
        runs = self._blocks.runs(arguments)
        if runs < self._size or not self._size:
            self._divide(runs, arguments)
        blocks = -(-runs // self._size)
        if self._step is self._plain and self._worth_compiling(left * blocks):
            self._compile()
        if len(self._seconds) > TRIAL:
            return self._made(arguments)
        began = _now(arguments)
        result = self._made(arguments)
        self._seconds.append((_now(arguments) - began) / blocks)
        if len(self._seconds) > TRIAL and self._step is not self._plain:
            self._remember(blocks)
        return result

    def _made(self, arguments: tuple[Any, ...]) -> Any:
        if self._divided:
            return self._blocks.step(self._step, arguments, self._size)
        return self._step(*arguments)

    def _start(self, step: Step) -> None:
        """Goes on with another way to make a step, whose first ones are timed."""
        self._step = step
        self._seconds: list[float] = []  # of a block, each step's mean

    def _divide(self, runs: int, arguments: Sequence[Any]) -> None:
        """Chooses the blocks. A block that is compiled serves until fewer runs than it has are left."""
        on_cpu = all(leaf.device.type == "cpu" for leaf in tree_leaves(arguments) if isinstance(leaf, Tensor))
        self._size = block_size(runs, self._bytes_per_run, cache_size(), self._operations) if on_cpu else runs
        self._divided = self._size < runs
        self._plain = writing(self._undivided) if self._divided else self._undivided
        self._key = _digest(self._name, self._blocks.part(arguments, 0, self._size))
        self._known = recall(self._key)
        self._start(self._plain)

    def _worth_compiling(self, steps: int) -> bool:
        """Whether it is, with so many steps of a block to come; never before the first."""
        if not self._can_compile or not self._seconds:
            return False
        if self._known is not None:
            return self._known.worth_compiling(steps)
        timed = self._seconds[1:]
        return len(timed) == TRIAL and steps * sum(timed) / TRIAL > WORTH * max(1, self._operations / USUAL)

    def _remember(self, blocks: int) -> None:
        """Writes down what compiling has brought; where that is nothing, goes on without."""
        compiled = min(self._seconds[1:])
        self._known = Paces(self._plain_seconds, compiled, max(0.0, self._seconds[0] - compiled) * blocks)
        remember(self._key, self._known)
        if compiled > self._plain_seconds:
            self._step = self._plain

    def _compile(self) -> None:
        compiled = compiler.compiled(self._plain)

        def step(*arguments: Any) -> Any:
            if not self._can_compile:  # an earlier block has found that out
                return self._plain(*arguments)
            try:
                return compiled(*arguments)
            except Exception as error:  # the step is pure: it can be made again without the compiler
                _log.warning("The step is not compiled: %s", str(error).strip().split("\n")[0])
                self._can_compile = False
                self._step = self._plain
                return self._plain(*arguments)

        timed = self._seconds[1:]
        self._plain_seconds = min(timed) if timed else self._known.plain if self._known else math.nan
        self._start(step)


def _now(arguments: Sequence[Any]) -> float:
    """Seconds, when all that was asked of a GPU is done.

    With one thread, those that it worked: it may share its core with others, as the arms of a study do. So what a C++
    compiler takes is not remembered, and the next time, what it made is still there.
    """
    if any(leaf.is_cuda for leaf in tree_leaves(arguments) if isinstance(leaf, Tensor)):
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.thread_time() if torch.get_num_threads() == 1 else time.perf_counter()


def _digest(name: str, arguments: Sequence[Any]) -> str:
    """Of all that the time of a step depends on."""
    leaves = [
        f"{keystr(path)} {tuple(leaf.shape)} {leaf.dtype} {leaf.device}" if isinstance(leaf, Tensor) else keystr(path)
        for path, leaf in tree_flatten_with_path(arguments)[0]
    ]
    machine = [torch.__version__, str(torch.get_num_threads()), str(hardware()["cpu"])]
    return hashlib.sha256("\n".join([name, *machine, *leaves]).encode()).hexdigest()[:32]
