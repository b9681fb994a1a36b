"""What all executors share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


class WorkerLostError(Exception):
    """A worker ended (killed, out of memory, its machine gone) before it had finished a chunk; says how."""


class Executor(ABC):
    """Calls a function for each of many chunks of work, in one place or several."""

    @property
    @abstractmethod
    def workers(self) -> int:
        """How many chunks are worked on at once."""

    @abstractmethod
    def run(
        self, work: Callable[[Chunk], Result], chunks: Sequence[Chunk]
    ) -> Iterator[tuple[int, Result | WorkerLostError]]:
        """Calls `work(chunk)` for every chunk, and yields its place with the result as soon as there is one.

        A worker that is lost costs the chunk it had and no other: its place comes with a WorkerLostError, the others
        go on. An exception of `work` itself is raised here. Closing the iterator gives up what has not begun, and asks
        what has begun to stop, as Ctrl-C does.

        Args:
            work: can be pickled.
            chunks: likewise; those that take longest first.
        """


class Inline(Executor):
    """This process, one chunk after the other."""

    workers = 1

    def run(
        self, work: Callable[[Chunk], Result], chunks: Sequence[Chunk]
    ) -> Iterator[tuple[int, Result | WorkerLostError]]:
        for place, chunk in enumerate(chunks):
            yield place, work(chunk)
