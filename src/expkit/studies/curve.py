"""A metric over the steps of runs."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from expkit.studies.sample import t_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Curve:
    """One line for each run.

    Args:
        name: of the metric.
        lines: of each run, the steps at which it was measured, [n], and its values, [n].
        seeds: of each run.
        expected: seeds that the study has, those of failed runs included.
    """

    name: str
    lines: tuple[tuple[NDArray, NDArray], ...]
    seeds: tuple[Hashable, ...]
    expected: int

    def since(self, step: int) -> Curve:
        """The part from a step on."""
        return replace(self, lines=tuple((steps[steps >= step], own[steps >= step]) for steps, own in self.lines))

    def until(self, step: int) -> Curve:
        """The part up to a step, which it includes."""
        return replace(self, lines=tuple((steps[steps <= step], own[steps <= step]) for steps, own in self.lines))

    def band(self) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Steps that all runs share, with mean over seeds and both ends of its 95 % t interval, each [n].

        With one seed, or where a value is not finite, the ends are the mean itself.
        """
        shared = sorted(set.intersection(*(set(steps.tolist()) for steps, _ in self.lines))) if self.lines else []
        rows = []
        for step in shared:
            of_seed: dict[Hashable, list[float]] = {}
            for seed, (steps, values) in zip(self.seeds, self.lines, strict=True):
                of_seed.setdefault(seed, []).append(float(values[steps == step][0]))
            mean, low, high = t_interval([sum(own) / len(own) for own in of_seed.values()])
            rows.append((mean, low, high) if np.isfinite([low, high]).all() else (mean, mean, mean))
        mean_low_high = np.array(rows, dtype=float).reshape(-1, 3)
        return np.array(shared), mean_low_high[:, 0], mean_low_high[:, 1], mean_low_high[:, 2]
