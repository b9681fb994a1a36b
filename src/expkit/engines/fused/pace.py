"""Whether a step is worth compiling: decided while it runs, from how long it takes and how many are left."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from typing import Any

import torch

Step = Callable[..., Any]

TRIAL = 10  # steps that are timed, after a first one that does what happens once
WORTH = 20.0  # seconds of uncompiled work left; compiling takes 3 to 30 and saves about half of it

_log = logging.getLogger(__name__)


class Pace:
    """Hands out a step, uncompiled at first, compiled as soon as the rest of the training is seen to be long."""

    def __init__(self, step: Step) -> None:
        self._plain = step
        self._step = step
        self._made = 0
        self._began = 0.0

    def advance(self, left: int) -> Step:
        """What makes the next step, of which `left` are to come."""
        if self._made == 1:
            self._began = time.perf_counter()
        elif self._made == 1 + TRIAL and left * (time.perf_counter() - self._began) / TRIAL > WORTH and can_compile():
            self._step = self._compiled()
        self._made += 1
        return self._step

    def _compiled(self) -> Step:
        compiled = torch.compile(self._plain, dynamic=False)

        def step(*arguments: Any) -> Any:
            try:
                return compiled(*arguments)
            except Exception as error:  # the step is pure: it can be made again without the compiler
                _log.warning("The step is not compiled: %s", str(error).strip().split("\n")[0])
                self._step = self._plain
                return self._plain(*arguments)

        return step


def can_compile() -> bool:
    """Whether torch.compile has what it needs: on the CPU, a C++ compiler."""
    return torch.cuda.is_available() or any(map(shutil.which, ("g++", "clang++", "c++")))
