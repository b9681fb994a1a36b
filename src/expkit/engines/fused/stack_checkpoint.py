"""The file that a stack which is stopped or killed goes on from."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from expkit.errors import UserError
from expkit.records.checkpoint import read_checkpoint
from expkit.records.files import replacing


class StackCheckpoint:
    """One file for all runs of a stack, written as a whole at intervals.

    Args:
        path: of the file.
        seconds: between two times that it is written; inf for never by the clock.
        steps: between two times that it is written, in addition.
    """

    def __init__(self, path: Path, seconds: float = math.inf, steps: int | None = None) -> None:
        self.path = path
        self.seconds = seconds
        self.steps = steps
        self._saved_at = time.monotonic()

    def due(self, step: int) -> bool:
        """Whether it is time to write it after this step."""
        by_steps = bool(self.steps) and step % (self.steps or 1) == 0
        return by_steps or time.monotonic() - self._saved_at > self.seconds

    def save(self, state: dict[str, Any]) -> None:
        """Writes tensors, numbers and text, in mappings and lists; 'runs' and 'ended' say what they belong to."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as aside:
            torch.save(state, aside)
        self._saved_at = time.monotonic()

    def load(self, runs: Collection[str]) -> dict[str, Any] | None:
        """What was saved, if it is of these runs, and is whole; else all begin anew.

        Others that the file has, too, have ended since: they have records, and are left alone.
        """
        if not self.path.exists():
            return None
        try:
            state = read_checkpoint(self.path)
        except UserError:
            return None
        return state if set(runs) <= {*state["runs"], *state["ended"]} else None

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
