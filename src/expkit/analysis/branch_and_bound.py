"""Whether a network's margin is positive over a whole box: branch and bound over hidden units (arXiv 2405.21063)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

from expkit.analysis.affine_network import AffineNetwork
from expkit.analysis.crown_bounds import Enclosure, MarginBound, crown_bound, enclose
from expkit.analysis.interval_bound_propagation import Interval
from expkit.analysis.linear_relaxation import linear_relaxation

Heuristic = Literal["random", "widest", "shortcut"]
Points = Literal["midpoint", "optimized"]


@dataclass
class BranchAndBound:
    r"""Splits the interval of one pre-activation after another, until each part has a positive bound.

    A domain is the box together with an interval for each pre-activation. Bounding it: intervals and lines anew
    (`enclose`), then the linear bound of the margin with multipliers for the cut intervals, improved by gradient ascent
    (`crown_bound`). For each instance the domain with the lowest bound is split in two; both parts are bounded; those
    with a positive bound are done with. The instance is verified when none is left.

    It is sound up to the rounding of double precision, and gives up after a number of domains, not of seconds, so that
    results do not depend on the machine.

    Args:
        heuristic: which unit is split. 'random': any whose interval has some width; 'widest': the one with the widest
            interval; 'shortcut': the one for which the bound gains most, estimated by replacing its lines alone in
            the linear bound at hand, with the linear functions of x for the layers before it (BBPS of the paper). The
            worse of both parts counts, and their mean where that is equal.
        points: where it is split. 'midpoint' of its interval; 'optimized': where the areas between the lines of both
            parts add up to the least, from a table over intervals that is made once for each activation.
        max_domains: bounded for each instance at most, the box itself included.
        ascent_steps: of the multipliers, for each domain.
        ascent_rate: of their Adam steps, relative to the units' weights in the bound.
    """

    heuristic: Heuristic = "shortcut"
    points: Points = "optimized"
    max_domains: int = 100
    ascent_steps: int = 8
    ascent_rate: float = 0.3

    def verify(self, network: AffineNetwork, low: Tensor, high: Tensor, specification: Tensor) -> Verdicts:
        """Whether <c, f(x)> > 0 for all x of each box.

        Args:
            network: f, in double precision.
            low, high: boxes, (n, inputs).
            specification: c, (n, outputs).
        """
        n = len(low)
        free = [
            (
                torch.full((n, len(bias)), -math.inf, dtype=low.dtype),
                torch.full((n, len(bias)), math.inf, dtype=low.dtype),
            )
            for bias in network.biases[:-1]
        ]
        domains = self._bound(network, low, high, specification, free)
        root = domains.bound.value.clone()
        queues = [[domains.row(i, float(root[i]))] if root[i] <= 0 else [] for i in range(n)]
        visited = torch.ones(n, dtype=torch.long)
        while True:
            open_ = [i for i in range(n) if queues[i] and visited[i] + 2 <= self.max_domains]
            if not open_:
                break
            split = [_pop_worst(queues[i]) for i in open_]
            rows = torch.tensor(open_)
            clips = self._split(network, _Domains.stack(split))
            twice = rows.repeat(2)
            parts = self._bound(network, low[twice], high[twice], specification[twice], clips)
            # A part's own lines may be worse far from its interval; what holds for the whole holds for it as well.
            value = torch.maximum(
                parts.bound.value, torch.tensor([own.value for own in split], dtype=low.dtype).repeat(2)
            )
            for place, i in enumerate(twice.tolist()):
                visited[i] += 1
                if value[place] <= 0:
                    queues[i].append(parts.row(place, float(value[place])))
        bound = torch.stack([_lowest(queue, root[i]) for i, queue in enumerate(queues)]) if n else root
        return Verdicts(torch.tensor([not queue for queue in queues]), visited, root, bound)

    def _bound(
        self, network: AffineNetwork, low: Tensor, high: Tensor, specification: Tensor, clip: Sequence[Interval]
    ) -> _Domains:
        enclosure = enclose(network, low, high, clip)
        bound = crown_bound(network, enclosure, specification)
        if self.ascent_steps and any(bool(end.isfinite().any()) for pair in clip for end in pair):
            multipliers = self._ascend(network, enclosure, specification, clip, bound)
            better = crown_bound(network, enclosure, specification, multipliers, clip)
            gained = better.value > bound.value
            bound = _where(gained, better, bound)
        return _Domains(enclosure, bound, clip)

    def _ascend(
        self,
        network: AffineNetwork,
        enclosure: Enclosure,
        specification: Tensor,
        clip: Sequence[Interval],
        bound: MarginBound,
    ) -> list[Tensor]:
        """Multipliers with a larger bound: the best of each domain that projected Adam meets, from 0 on."""
        active = [torch.stack([high.isfinite(), low.isfinite()], 1).to(low.dtype) for low, high in clip]
        scale = [self.ascent_rate * own.abs().amax(-1)[:, None, None] for own in bound.preactivation]
        current = [torch.zeros_like(own) for own in active]
        best, largest = [own.clone() for own in current], bound.value.clone()
        first = [torch.zeros_like(own) for own in active]
        second = [torch.zeros_like(own) for own in active]
        for step in range(1, self.ascent_steps + 1):
            tracked = [own.detach().requires_grad_() for own in current]
            with torch.enable_grad():
                value = crown_bound(network, enclosure, specification, tracked, clip).value
                gradients = torch.autograd.grad(value.sum(), tracked)
            better = value.detach() > largest
            largest = torch.where(better, value.detach(), largest)
            for i, gradient in enumerate(gradients):
                best[i] = torch.where(better[:, None, None], current[i], best[i])
                first[i] = 0.9 * first[i] + 0.1 * gradient
                second[i] = 0.99 * second[i] + 0.01 * gradient.square()
                rise = first[i] / (1 - 0.9**step) / ((second[i] / (1 - 0.99**step)).sqrt() + 1e-12)
                current[i] = ((current[i] + scale[i] * rise) * active[i]).clamp_min(0)
        value = crown_bound(network, enclosure, specification, current, clip).value
        better = (value > largest)[:, None, None]
        return [torch.where(better, last, own) for last, own in zip(current, best, strict=True)]

    def _split(self, network: AffineNetwork, domains: _Domains) -> list[Interval]:
        """The intervals of both parts of each domain, lower parts first: each (2 n, units)."""
        intervals = domains.enclosure.intervals
        points = [
            _branching_point(name, low, high, self.points)
            for name, (low, high) in zip(network.activations, intervals, strict=True)
        ]
        scores = torch.cat(self._scores(network, domains, points), -1)
        chosen = torch.nn.functional.one_hot(scores.argmax(-1), scores.shape[-1]).bool()
        clips = []
        for mask, point, (low, high) in zip(
            chosen.split([p.shape[-1] for p in points], -1), points, domains.clip, strict=True
        ):
            lower_part, upper_part = torch.where(mask, point, high), torch.where(mask, point, low)
            clips.append((torch.cat([low, upper_part]), torch.cat([lower_part, high])))
        return clips

    def _scores(self, network: AffineNetwork, domains: _Domains, points: Sequence[Tensor]) -> list[Tensor]:
        """Of each unit, (n, units), -inf where there is nothing to split."""
        scores = []
        for index, (low, high) in enumerate(domains.enclosure.intervals):
            match self.heuristic:
                case "random":
                    own = torch.rand_like(low)
                case "widest":
                    own = high - low
                case "shortcut":
                    own = self._gain(network, domains, index, points[index])
            splits = high - low > 1e-9
            if network.activations[index] == "relu":
                splits &= (low < 0) & (high > 0)
            scores.append(torch.where(splits, own, -math.inf))
        return scores

    def _gain(self, network: AffineNetwork, domains: _Domains, index: int, point: Tensor) -> Tensor:
        """The bound of the worse part of each unit, from its new lines alone: (n, units)."""
        enclosure, bound = domains.enclosure, domains.bound
        low, high = enclosure.intervals[index]
        weight, weight_z = bound.coefficients[index], bound.preactivation[index]
        below, above = enclosure.below[index], enclosure.above[index]
        part = _pick(weight_z, below, above)
        whole = part[0].sum(1, keepdim=True), part[1].sum(1)
        old = enclosure.lines[index]
        lower = weight >= 0
        slope = torch.where(lower, old.lower_slope, old.upper_slope)
        intercept = torch.where(lower, old.lower_intercept, old.upper_intercept)
        rest = weight_z - weight * slope  # multipliers, which stay
        centre, radius = (enclosure.low + enclosure.high)[:, None] / 2, (enclosure.high - enclosure.low)[:, None] / 2
        base = _least(whole[0], whole[1][:, None], centre, radius)
        gains = []
        for start, end in ((low, point), (point, high)):
            lines = linear_relaxation(network.activations[index], start, end)
            new_slope = torch.where(lower, lines.lower_slope, lines.upper_slope)
            new_intercept = torch.where(lower, lines.lower_intercept, lines.upper_intercept)
            own = _pick(rest + weight * new_slope, below, above)
            shift = weight * (new_intercept - intercept)
            coefficients = whole[0] - part[0] + own[0]
            constants = whole[1][:, None] - part[1] + own[1] + shift
            gains.append(_least(coefficients, constants, centre, radius) - base)
        worse, mean = torch.minimum(*gains), (gains[0] + gains[1]) / 2
        return worse + 1e-6 * mean


@dataclass(frozen=True)
class Verdicts:
    """What came of each instance.

    Args:
        verified: (n,), bool: the margin is positive over the whole box. False says nothing.
        domains: (n,), how many were bounded.
        root: (n,), the bound of the box itself: CROWN's.
        bound: (n,), a lower bound of the margin; where it is verified, the root's if that is positive, else 0.
    """

    verified: Tensor
    domains: Tensor
    root: Tensor
    bound: Tensor


@dataclass(frozen=True)
class _Domains:
    """Boxes with intervals of pre-activations, and what is known of them; one row each.

    A single row has its `value`: the best lower bound of the margin that is known there.
    """

    enclosure: Enclosure
    bound: MarginBound
    clip: Sequence[Interval]
    value: float = math.nan

    def row(self, i: int, value: float) -> _Domains:
        return _Domains(_rows(self.enclosure, i), _rows(self.bound, i), _rows(self.clip, i), value)

    @staticmethod
    def stack(domains: Sequence[_Domains]) -> _Domains:
        return _Domains(
            _stacked([own.enclosure for own in domains]),
            _stacked([own.bound for own in domains]),
            _stacked([own.clip for own in domains]),
        )


def _pop_worst(queue: list[_Domains]) -> _Domains:
    return queue.pop(min(range(len(queue)), key=lambda place: queue[place].value))


def _lowest(queue: Sequence[_Domains], root: Tensor) -> Tensor:
    """The bound over all that is left; where nothing is, all parts had positive ones, which are not kept."""
    return torch.tensor(min(own.value for own in queue), dtype=root.dtype) if queue else root.clamp_min(0)


def _rows(value: Any, i: int) -> Any:
    """Row i of each tensor in nested sequences and dataclasses, with its first axis kept."""
    if isinstance(value, Tensor):
        return value[i : i + 1]
    if isinstance(value, Enclosure | MarginBound):
        return type(value)(*(_rows(getattr(value, name), i) for name in value.__dataclass_fields__))
    parts = [_rows(part, i) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)


def _stacked(values: Sequence[Any]) -> Any:
    """The same structure with the tensors of all put below each other."""
    first = values[0]
    if isinstance(first, Tensor):
        return torch.cat(list(values))
    if isinstance(first, Enclosure | MarginBound):
        names = first.__dataclass_fields__
        return type(first)(*(_stacked([getattr(value, name) for value in values]) for name in names))
    parts = [_stacked([value[place] for value in values]) for place in range(len(first))]
    return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)


def _where(condition: Tensor, first: MarginBound, second: MarginBound) -> MarginBound:
    def choose(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(condition.reshape(-1, *[1] * (a.dim() - 1)), a, b)

    return MarginBound(
        choose(first.value, second.value),
        [choose(a, b) for a, b in zip(first.coefficients, second.coefficients, strict=True)],
        [choose(a, b) for a, b in zip(first.preactivation, second.preactivation, strict=True)],
        (choose(first.linear[0], second.linear[0]), choose(first.linear[1], second.linear[1])),
    )


def _pick(weight: Tensor, below: tuple[Tensor, Tensor], above: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Each unit's term weight z as a linear function of x below it: (n, units, inputs) and (n, units)."""
    positive = weight >= 0
    coefficients = torch.where(positive[..., None], below[0], above[0]) * weight[..., None]
    return coefficients, torch.where(positive, below[1], above[1]) * weight


def _least(coefficients: Tensor, constants: Tensor, centre: Tensor, radius: Tensor) -> Tensor:
    return (coefficients * centre - coefficients.abs() * radius).sum(-1) + constants


def _branching_point(name: str, low: Tensor, high: Tensor, points: Points) -> Tensor:
    if name == "relu":
        return torch.where((low < 0) & (high > 0), 0.0, (low + high) / 2)
    share = torch.full_like(low, 0.5) if points == "midpoint" else _optimized(name, low, high)
    return low + share * (high - low)


REACH, RESOLUTION, SHARES = 5.0, 41, 15
"""The table covers intervals with both ends within +-REACH, on RESOLUTION ends; points are of SHARES to choose from."""


def _optimized(name: str, low: Tensor, high: Tensor) -> Tensor:
    """The share of the interval below its best branching point: that of the nearest interval in the table."""
    table = _table(name).to(low)
    place = [
        ((end.clamp(-REACH, REACH) + REACH) / (2 * REACH) * (RESOLUTION - 1)).round().long() for end in (low, high)
    ]
    narrow = place[0] >= place[1]
    return torch.where(narrow, 0.5, table[place[0], place[1]])


@cache
def _table(name: str) -> Tensor:
    """(RESOLUTION, RESOLUTION): for lower and upper ends, the share with the least area between the lines."""
    ends = torch.linspace(-REACH, REACH, RESOLUTION, dtype=torch.float64)
    low, high = torch.meshgrid(ends, ends, indexing="ij")
    high = torch.maximum(high, low + 1e-3)
    areas = []
    shares = torch.arange(1, SHARES + 1, dtype=torch.float64) / (SHARES + 1)
    for share in shares:
        point = low + share * (high - low)
        parts = ((low, point), (point, high))
        areas.append(sum(linear_relaxation(name, start, end).gap(start, end) for start, end in parts))
    return shares[torch.stack([torch.as_tensor(area) for area in areas]).argmin(0)]
