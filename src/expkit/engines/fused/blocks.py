"""A step of many runs made in blocks of runs that stay in the processor's cache.

Runs do not depend on each other, so that a step of all is a step of some after a step of others. A small network makes
tens of kilobytes of activations per step, thousands of networks more than any cache holds: in one piece, every
elementwise operation waits for main memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

Step = Callable[..., Any]


SHORTEST = 2**18  # bytes that an operation should make: fewer are made in less time than it takes to call it


def block_size(runs: int, bytes_per_run: int, cache: int, operations: int = 1) -> int:
    """How many runs to train at once: as many as fit in the cache, and all blocks nearly alike.

    Where a step has many small operations (graph networks have thousands), calling them is what takes long. Then as
    many runs are taken as keep an operation busy for longer than that, whether they fit or not.

    Args:
        runs: R.
        bytes_per_run: all that a step makes for one run.
        cache: bytes that fit.
        operations: that these bytes are made by.
    """
    fitting = max(1, cache // max(1, bytes_per_run))
    busy = min(runs, SHORTEST * operations // max(1, bytes_per_run))
    blocks = -(-runs // fitting) if fitting >= busy else runs // busy
    return -(-runs // blocks)


class Blocks:
    """Makes a step of stacked tensors block by block.

    Results are written to one of two places in turn: a training of many megabytes of weights spends no time on asking
    the system for memory. So what a step returned is overwritten by the one after the next.

    Args:
        in_dims: of the step's arguments as of `torch.func.vmap`: 0 for stacked, None for shared by all runs.
    """

    def __init__(self, in_dims: Any) -> None:
        self.in_dims = in_dims
        self._returned: list[Tensor] = []  # by the last call
        self._spare: list[Tensor] = []  # by the one before

    def runs(self, arguments: Sequence[Any]) -> int:
        """R; 1 where nothing is stacked."""
        return next((len(tensor) for tensor in _stacked(arguments, self.in_dims)), 1)

    def part(self, arguments: Sequence[Any], start: int, size: int) -> tuple[Any, ...]:
        """The arguments for some of the runs."""
        return tuple(_mapped(lambda values: values[start : start + size], arguments, self.in_dims))

    def step(self, into: Step, arguments: Sequence[Any], size: int) -> Any:
        """What the step would return for all runs at once. Every tensor in it with axes has the runs on the first one.

        The last block ends with the last run, and begins within the one before where R is no multiple of `size`: there
        is one shape only, and one compilation.

        Args:
            into: the step, as `writing` makes it.
            arguments: of the step.
            size: runs in a block, at most R.
        """
        runs = self.runs(arguments)
        given = {id(tensor) for tensor in _stacked(arguments)}
        room = [] if any(id(tensor) in given for tensor in self._spare) else self._spare
        if not room or len(room[0]) != runs:
            like = self._returned or into(None, *self.part(arguments, 0, size))[1]
            room = [result.new_empty(runs, *result.shape[1:]) for result in like]
        for start in (*range(0, runs - size, size), runs - size):
            rest, _ = into([tensor[start : start + size] for tensor in room], *self.part(arguments, start, size))
        self._returned, self._spare = room, self._returned
        filled = iter(room)
        return _mapped(lambda _: next(filled), rest)


def writing(step: Step) -> Step:
    """The same step, but its stacked results go where its first argument says; None: they are returned.

    Compiled, it writes them there at once. Returns the nest of results with something small in the place of those that
    are stacked, and them.
    """

    def into(room: list[Tensor] | None, *arguments: Any) -> tuple[Any, list[Tensor]]:
        results = step(*arguments)
        stacked = list(_stacked(results))
        if room is None:
            return _mapped(_nothing, results), stacked
        for place, result in zip(room, stacked, strict=True):
            place.copy_(result)
        return _mapped(_nothing, results), []

    return into


def _nothing(values: Tensor) -> Tensor:
    return values.new_empty(0)


def _stacked(tree: Any, dims: Any = 0) -> Iterator[Tensor]:
    """The tensors of a nest that are stacked. (torch's own pytrees take as long as a step of a small network.)"""
    if isinstance(tree, Tensor):
        if dims is not None and tree.ndim:
            yield tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _stacked(value, dims[key] if isinstance(dims, dict) else dims)
    elif isinstance(tree, list | tuple):
        for number, value in enumerate(tree):
            yield from _stacked(value, dims[number] if isinstance(dims, list | tuple) else dims)


def _mapped(function: Callable[[Tensor], Tensor], tree: Any, dims: Any = 0) -> Any:
    """The same nest with every stacked tensor replaced."""
    if isinstance(tree, Tensor):
        return function(tree) if dims is not None and tree.ndim else tree
    if isinstance(tree, dict):
        return {
            key: _mapped(function, value, dims[key] if isinstance(dims, dict) else dims) for key, value in tree.items()
        }
    if isinstance(tree, list | tuple):
        own = dims if isinstance(dims, list | tuple) else [dims] * len(tree)
        return type(tree)(_mapped(function, value, dim) for value, dim in zip(tree, own, strict=True))
    return tree
