"""The base of every pruner: which of the weights that are left go, given a score of each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from expkit.callbacks.intervention import Intervention
from expkit.compression.mask import Masked, masked
from expkit.compression.stage_steps import StageSteps
from expkit.errors import ConfigError

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class Pruner(Intervention):
    r"""Prunes the weights with the lowest scores, once or again and again; what is pruned stays pruned.

    Give one of two amounts. With `fraction`, each time that share of the weights that are left goes, so that after k
    times (1 - fraction)^k of all are left. With `sparsity`, that share of all weights is gone in the end; of n times,
    time t = 1 ... n prunes to sparsity (1 - (1 - t/n)^power): power 1 is linear, 3 the schedule of arXiv 1710.01878.

    Needs the transform `prunable`. Number recorded: `pruner/density`, the share of prunable weights left afterwards.

    Args:
        fraction: of the weights that are left, each time.
        sparsity: share of weights that is gone in the end; the number of times must be known.
        power: of the schedule to `sparsity`.
        scope: whether weights compete within their layer, or all with all.
        output_fraction: as `fraction`, for the last prunable layer; only within layers. None: as the others.
        minimum: weights that every layer keeps at least, where all compete with all (arXiv 2209.14624); a layer that
            has fewer keeps all.
        start, every, times: when: at step `start`, then every so many steps, so many times in all.
        at: these steps instead.

    Raises:
        ValueError: both amounts, or none; an amount out of its range; or arguments that do not go together.
    """

    def __init__(
        self,
        fraction: float | None = None,
        sparsity: float | None = None,
        power: float = 3.0,
        scope: Literal["layer", "global"] = "layer",
        output_fraction: float | None = None,
        minimum: int = 0,
        start: int = 0,
        every: int | None = None,
        times: int | None = None,
        at: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if (fraction is None) == (sparsity is None):
            raise ValueError("give one of fraction and sparsity (and set the other to null)")
        for name, amount in {"fraction": fraction, "sparsity": sparsity, "output_fraction": output_fraction}.items():
            if amount is not None and not 0 <= amount < 1:
                raise ValueError(f"{name} is a share from 0 to below 1, got {amount}")
        if scope not in ("layer", "global"):
            raise ValueError(f"scope is layer or global; got '{scope}'")
        if output_fraction is not None and (fraction is None or scope != "layer"):
            raise ValueError("output_fraction goes with fraction and scope=layer")
        self.when = StageSteps(start, every, times, at)
        if sparsity is not None and self.when.total is None:
            raise ValueError("a schedule to a sparsity needs to know how many times it prunes: give times")
        if minimum and scope != "global":
            raise ValueError("minimum goes with scope=global")
        self.fraction = fraction
        self.sparsity = sparsity
        self.power = power
        self.scope = scope
        self.output_fraction = output_fraction
        self.minimum = minimum

    @abstractmethod
    def scores(self, weights: Sequence[Masked], task: Task, data: TensorData) -> Mapping[str, Tensor]:
        """A score for each entry of each weight, by the weight's name; the lowest go first."""

    def steps(self, max_steps: int) -> Sequence[int]:
        return self.when.below(max_steps)

    def act(self, task: Task, data: TensorData, step: int) -> dict[str, float]:
        weights = prunable_weights(task)
        scores = self.scores(weights, task, data)
        # What is pruned scores below all else, so that it can never come back.
        ranked = [scores[one.name].masked_fill(~one.buffers.decided, -torch.inf) for one in weights]
        shares = self._shares_left(weights, self.when.number(step))
        if self.scope == "layer":
            masks = [keep_highest(own, round(share * own.numel())) for own, share in zip(ranked, shares, strict=True)]
        else:
            masks = keep_highest_of_all(ranked, round(shares[0] * sum(own.numel() for own in ranked)), self.minimum)
        for one, mask in zip(weights, masks, strict=True):
            one.decide(mask & one.buffers.decided)
        return {"pruner/density": density(weights)}

    def _shares_left(self, weights: Sequence[Masked], time: int) -> list[float]:
        """Of each layer, or of all where they compete, the share of weights that is left after this time."""
        if self.sparsity is not None:
            assert self.when.total is not None
            return [1 - self.sparsity * (1 - (1 - time / self.when.total) ** self.power)] * len(weights)
        assert self.fraction is not None
        fractions = [self.fraction] * len(weights)
        if self.output_fraction is not None:
            fractions[-1] = self.output_fraction
        # From the number of times, so that rounding does not add up.
        return [(1 - fraction) ** time for fraction in fractions]


def prunable_weights(task: Task) -> list[Masked]:
    """The masked weights of a task's model.

    Raises:
        ConfigError: it has none.
    """
    weights = list(masked(task.model))
    if not weights:
        raise ConfigError(
            f"{type(task.model).__name__} has no masks, so it cannot be pruned.", "Add the transform `prunable`."
        )
    return weights


def density(weights: Sequence[Masked]) -> float:
    """The share of weights that pruning has left."""
    return sum(int(one.buffers.decided.sum()) for one in weights) / sum(one.weight.numel() for one in weights)


def keep_highest(scores: Tensor, count: int) -> Tensor:
    """True at the `count` highest scores; of equal ones at the first."""
    mask = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
    mask[scores.flatten().argsort(descending=True, stable=True)[:count]] = True
    return mask.reshape(scores.shape)


def keep_highest_of_all(scores: Sequence[Tensor], count: int, minimum: int = 0) -> list[Tensor]:
    """True at the `count` highest of all scores, after at least `minimum` of each tensor have been taken."""
    safe = [keep_highest(own, min(minimum, own.numel())) & own.isfinite() for own in scores]
    raised = [own.masked_fill(kept, torch.inf) for own, kept in zip(scores, safe, strict=True)]
    together = keep_highest(torch.cat([own.flatten() for own in raised]), count)
    parts = together.split([own.numel() for own in scores])
    return [part.reshape(own.shape) | kept for part, own, kept in zip(parts, scores, safe, strict=True)]
