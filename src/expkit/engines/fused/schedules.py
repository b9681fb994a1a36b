"""The learning rates of R runs at every update, as the schedulers of their configurations give them."""

from __future__ import annotations

import inspect
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from expkit.build import build, locate
from expkit.engines.fused.not_fusable import NotFusable
from expkit.errors import ConfigError
from expkit.optim.plateau import ReduceLROnPlateau

Node = Mapping[str, Any]
Rates = tuple[float, ...]

SAME = 1e-12
"""Relative difference up to which two schedules count as proportional; rounding alone makes less."""

RATES = ("max_lr", "base_lr", "eta_min")
"""Arguments of schedulers that are learning rates themselves."""


def learning_rates(optimizers: Sequence[Node], schedulers: Sequence[Node], max_steps: Sequence[int]) -> Tensor:
    """Learning rates relative to the optimizers' own: what `BatchedOptimizer.update` takes as `factor`.

    Row t is for update number t (from 0): the learning rate that the run's scheduler, stepped once after every update,
    has set by then, over the learning rate in its optimizer node. Where an optimizer has several (Muon), it is the
    factor of each. Updates after a run's last one repeat the last factor. Schedulers that follow a metric count as
    constant here: they are `plateau.BatchedPlateau`'s.

    Args:
        optimizers: the resolved `optimizer` node of each run.
        schedulers: the resolved `scheduler` node of each run; {} is a constant learning rate.
        max_steps: number of updates of each run.

    Returns:
        (max(max_steps), R) in float64, or (1, R) if all are constant. Not to be written to: columns may share memory.

    Raises:
        NotFusable: a scheduler changes momentum too, or the learning rates of one optimizer out of proportion.
        ConfigError: a scheduler refuses its arguments, or ends before its run.
    """
    # Runs of one group have schedulers that are the same but for the scale of the learning rate.
    groups: dict[tuple[str, int], dict[Rates, Node]] = defaultdict(dict)
    member: list[tuple[tuple[str, int], Rates]] = []
    for optimizer, scheduler, steps in zip(optimizers, schedulers, max_steps, strict=True):
        constant = not scheduler or is_plateau(scheduler)
        rates = (1.0,) if constant else base_rates(optimizer)
        group = ("", 1) if constant else (_relative(scheduler, rates[0]), steps)
        groups[group][rates] = scheduler
        member.append((group, rates))
    columns: list[Tensor] = []
    place: dict[tuple[tuple[str, int], Rates], int] = {}
    for group, schedulers_by_rates in groups.items():
        for members, column in _columns(schedulers_by_rates, group[1] if group[0] else 0):
            place |= {(group, rates): len(columns) for rates in members}
            columns.append(column)
    length = 1 if all(len(column) == 1 for column in columns) else max(max_steps)
    table = torch.stack([_lengthened(column, length) for column in columns], dim=1)
    if len(columns) == 1:
        return table.expand(-1, len(member))
    return table[:, [place[key] for key in member]]


def is_plateau(scheduler: Node) -> bool:
    """Whether a scheduler node is one that follows a metric."""
    return bool(scheduler) and _is_plateau(scheduler["_target_"])


def base_rates(optimizer: Node) -> Rates:
    """The learning rates in an optimizer node: `lr`, and that of a second parameter group if there is one."""
    defaults = _rate_arguments(optimizer["_target_"])
    return tuple(float(optimizer.get(key, default)) for key, default in defaults.items())


@cache  # finding a target takes long beside all else that is done for each of many runs
def _is_plateau(target: str) -> bool:
    found = locate(target)
    return isinstance(found, type) and issubclass(found, ReduceLROnPlateau)


@cache
def _rate_arguments(target: str) -> dict[str, float]:
    arguments = inspect.signature(locate(target)).parameters
    return {key: value.default for key, value in arguments.items() if key == "lr" or key.endswith("_lr")}


def _relative(scheduler: Node, rate: float) -> str:
    """A scheduler node with learning rates in units of the optimizer's own, as text."""
    in_units = {
        key: value / rate
        for key, value in scheduler.items()
        if key in RATES and isinstance(value, int | float) and rate > 0
    }
    return json.dumps({**scheduler, **in_units}, sort_keys=True)


def _columns(schedulers: Mapping[Rates, Node], steps: int) -> list[tuple[list[Rates], Tensor]]:
    """Factors of one group of runs: one column for all, if the learning rates are proportional to the optimizer's.

    A schedule that is affine in the optimizer's learning rate, and proportional at the smallest and at the largest, is
    proportional at all in between.
    """
    if steps == 0:
        return [(list(schedulers), torch.ones(1, dtype=torch.float64))]
    moving = [rates for rates in schedulers if rates[0] > 0]
    if moving:
        ends = {rates: _factor(schedulers[rates], rates, steps) for rates in (min(moving), max(moving))}
        first, last = ends[min(moving)], ends[max(moving)]
        if _same(first, last):
            still = [rates for rates in schedulers if rates[0] == 0]
            return [(moving, last), *(([rates], _factor(schedulers[rates], rates, steps)) for rates in still)]
    return [([rates], _factor(scheduler, rates, steps)) for rates, scheduler in schedulers.items()]


def _factor(scheduler: Node, rates: Rates, steps: int) -> Tensor:
    """Learning rates over the optimizer's own at every update, (steps,), the same for each of its groups."""
    simulated = _simulated(scheduler, rates, steps)
    found: Tensor | None = None
    for column, rate in zip(simulated.unbind(1), rates, strict=True):
        if rate == 0:
            if bool((column != 0).any()):
                raise NotFusable("optimizer.lr", "is 0, so that no factor leads to what the scheduler makes of it")
            continue
        factor = column / rate
        if found is not None and not _same(factor, found):
            raise NotFusable("scheduler._target_", "moves the optimizer's learning rates out of proportion")
        found = factor
    return torch.ones(steps, dtype=torch.float64) if found is None else found


def _simulated(scheduler: Node, rates: Rates, steps: int) -> Tensor:
    """Learning rates that the scheduler itself sets, (steps, number of groups), found out by stepping it."""
    momentum = 0.5
    groups = [{"params": [nn.Parameter(torch.zeros(1, device="cpu"))], "lr": rate} for rate in rates]
    optimizer = torch.optim.SGD(groups, lr=rates[0], momentum=momentum)
    schedule = build(scheduler, "scheduler", optimizer=optimizer)
    if isinstance(schedule, lr_scheduler.ReduceLROnPlateau):
        raise NotFusable("scheduler._target_", "follows a metric without saying which")
    optimizer.step()  # torch warns of a schedule that is stepped before its optimizer
    rows: list[list[float]] = []
    for step in range(steps):
        rows.append([float(group["lr"]) for group in optimizer.param_groups])
        if any(group["momentum"] != momentum for group in optimizer.param_groups):
            raise NotFusable("scheduler.cycle_momentum", "changes momentum during a run")
        if step + 1 < steps:
            try:
                schedule.step()
            except ValueError as error:
                raise ConfigError(
                    f"scheduler ({scheduler['_target_']}) ends before the run's {steps} steps: {error}"
                ) from error
    return torch.tensor(rows, dtype=torch.float64)


def _same(first: Tensor, second: Tensor) -> bool:
    return torch.allclose(first, second, rtol=SAME, atol=0.0, equal_nan=True)


def _lengthened(column: Tensor, length: int) -> Tensor:
    return torch.cat([column, column[-1:].expand(length - len(column))])
