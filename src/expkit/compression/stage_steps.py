"""The steps at which a stage of a training ends and the next begins."""

from __future__ import annotations

from collections.abc import Sequence


class StageSteps:
    """`start`, `start + every`, `start + 2 every`, ...; or the steps of a list.

    Args:
        start: the first.
        every: steps between two of them; None for the first alone.
        times: how many there are at most; None for no limit but the training's end.
        at: the steps themselves, ascending; the other arguments then do not count.

    Raises:
        ValueError: a negative start, a number of steps or times below 1, or a list that does not ascend.
    """

    def __init__(
        self, start: int = 0, every: int | None = None, times: int | None = None, at: Sequence[int] | None = None
    ) -> None:
        if start < 0 or (every is not None and every < 1) or (times is not None and times < 1):
            raise ValueError(f"needs start >= 0, every >= 1 and times >= 1; got {start}, {every}, {times}")
        if at is not None and (not at or list(at) != sorted(set(at)) or at[0] < 0):
            raise ValueError(f"at is a list of ascending steps, got {list(at)}")
        self.start, self.every, self.times, self.at = start, every, times, at

    def below(self, max_steps: int) -> Sequence[int]:
        """Those before the end of a training."""
        if self.at is not None:
            return [step for step in self.at if step < max_steps]
        if self.every is None:
            return range(self.start, min(self.start + 1, max_steps))
        end = max_steps if self.times is None else self.start + self.every * self.times
        return range(self.start, min(end, max_steps), self.every)

    def number(self, step: int) -> int:
        """The how-manieth of them a step is, from 1."""
        if self.at is not None:
            return list(self.at).index(step) + 1
        return 1 if self.every is None else 1 + (step - self.start) // self.every

    @property
    def total(self) -> int | None:
        """How many there are; None where the training's end decides."""
        if self.at is not None:
            return len(self.at)
        return 1 if self.every is None else self.times
