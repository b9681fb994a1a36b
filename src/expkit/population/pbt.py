"""Population based training (arXiv 1711.09846)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from torch import Tensor, rand

from expkit.errors import UserError
from expkit.seeding import generator


class Stack(Protocol):
    """What of a stack of runs a population acts on: see `expkit.engines.fused.population.StackView`."""

    runs: list[int]

    @property
    def hyper(self) -> Mapping[str, Tensor]: ...

    def set_hyper(self, run: int, name: str, value: float) -> None: ...

    def copy(self, source: int, target: int) -> None: ...


class PopulationBasedTraining:
    """Every so often the worst members take over the weights and the numbers of the best, and change the numbers.

    Truncation selection (section 4.1.1 of the paper): a member among the worst `quantile` copies one among the best,
    drawn at random. Exploration: each number is drawn anew from its range with probability `resample`, and is else
    multiplied by one of `factors`, and kept in its range. A member whose metric is not finite is the worst.

    What happens at a step depends on the seed, the step and the metrics alone, so that a population which is taken up
    again goes on as it would have.

    Args:
        space: for each number of the optimizer that is explored: its key ('optimizer.lr'), its lowest and its highest
            value, and 'log' or 'linear', how it is drawn.
        every: steps between two such events; they fall on evaluation points.
        monitor: the metric that is compared.
        direction: which values of it are good.
        quantile: of the population that is replaced, and that is copied; at most a half.
        factors: to multiply a number by.
        resample: probability of drawing a number anew.
        members: size of the population.
        member: this run's place in it.
        seed: of all that is drawn.
    """

    def __init__(
        self,
        space: Sequence[Sequence[Any]],
        every: int = 100,
        monitor: str = "val/loss",
        direction: Literal["minimize", "maximize"] = "minimize",
        quantile: float = 0.2,
        factors: Sequence[float] = (0.8, 1.2),
        resample: float = 0.25,
        members: int = 16,
        member: int = 0,
        seed: int = 0,
    ) -> None:
        if not 0 < quantile <= 0.5:
            raise UserError(f"population.quantile={quantile}: it has to be above 0 and at most 0.5.")
        if every < 1:
            raise UserError(f"population.every={every}: it has to be at least 1.")
        self.space = {
            str(key).removeprefix("optimizer."): (float(low), float(high), scale) for key, low, high, scale in space
        }
        self.every, self.monitor, self.direction = every, monitor, direction
        self.quantile, self.factors, self.resample = quantile, list(factors), resample
        self.members, self.member, self.seed = members, member, seed
        self._parents: dict[int, int] = {}

    def between(self, step: int, view: Stack, metrics: Sequence[Mapping[str, float]]) -> None:
        """Acts after an evaluation: see `expkit.engines.fused.population.Population`."""
        self._parents = {}
        if step == 0 or step % self.every:
            return
        ranked = self._ranked(view.runs, metrics)
        size = max(1, math.floor(self.quantile * len(ranked)))
        if 2 * size > len(ranked):
            return
        random = generator(self.seed, f"population/{step}")
        hyper = view.hyper
        place = {run: index for index, run in enumerate(view.runs)}
        for target in ranked[-size:]:
            source = ranked[int(rand((), generator=random) * size)]
            view.copy(source, target)
            self._parents[target] = source
            for key in self.space:
                value = float(hyper[key][place[source]])
                fresh, choice, draw = (float(number) for number in rand(3, generator=random))
                view.set_hyper(target, key, self._explored(key, value, fresh < self.resample, choice, draw))

    def facts(self, run: int, hyper: Mapping[str, float]) -> dict[str, float]:
        """What is recorded of a member at an evaluation point: the numbers that it has trained with.

        `population/parent` is the member whose weights it took over at the evaluation before, or itself.
        """
        unknown = [key for key in self.space if key not in hyper]
        if unknown:
            raise UserError(
                f"population.space: the optimizer has no number '{unknown[0]}'.", f"It has: {', '.join(hyper)}."
            )
        return {
            **{f"population/{key}": hyper[key] for key in self.space},
            "population/parent": float(self._parents.get(run, run)),
        }

    def state_dict(self) -> dict[str, Any]:
        return {"parents": self._parents}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._parents = dict(state["parents"])

    def _ranked(self, runs: Sequence[int], metrics: Sequence[Mapping[str, float]]) -> list[int]:
        """The runs, the best first."""
        missing = next((own for own in metrics if self.monitor not in own), None)
        if missing is not None:
            raise UserError(
                f"population.monitor={self.monitor}: there is no such metric.", f"There are: {', '.join(missing)}."
            )
        sign = 1 if self.direction == "minimize" else -1
        losses = {run: sign * own[self.monitor] for run, own in zip(runs, metrics, strict=True)}
        return sorted(runs, key=lambda run: (not math.isfinite(losses[run]), losses[run], run))

    def _explored(self, key: str, value: float, fresh: bool, choice: float, draw: float) -> float:
        low, high, scale = self.space[key]
        if fresh:
            if scale == "log":
                return math.exp(math.log(low) + draw * (math.log(high) - math.log(low)))
            return low + draw * (high - low)
        factor = self.factors[min(int(choice * len(self.factors)), len(self.factors) - 1)]
        return min(max(value * factor, low), high)
