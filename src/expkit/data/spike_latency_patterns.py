"""Spike trains whose class lies in relative latencies alone."""

from __future__ import annotations

import math
from typing import Literal

import torch

from expkit.data.base import Spec, Split, TensorData


class SpikeLatencyPatterns(TensorData):
    """Every channel spikes once, in volleys; class k is the order in which the volleys come, and nothing else.

    The channels are split into `groups`. In class k group g spikes at o + latency[k, g] + round(jitter z): the
    latencies are the same evenly spaced times from 0 to `span` in every class, in an order that is drawn for each
    class; z is standard normal, for each spike; the onset o, uniform in `max_shift` + 1 steps from 3 jitter on, is that
    of the example. So all classes have the same number of spikes in every channel and at every time after the onset,
    and the same channels spike together; and the time of a single spike says little, but for the ends of the window.
    What tells classes apart are latencies between groups, which are longer than the memory of a neuron whose time
    constant is short against span / (groups - 1). With as many groups as channels each channel is one.

    Columns: 'input' (n, channels, length), zeros and ones, and 'target' (n,).

    Args:
        n_train, n_test: numbers of examples; every class is as frequent as the others, up to one example.
        channels, length, classes: sizes, `length` in time steps.
        groups: of channels, at least 2, a divisor of their number.
        span: largest latency, in time steps, a multiple of groups - 1.
        jitter: standard deviation of each spike's time, in time steps.
        max_shift: largest shift of a whole example, in time steps.

    Raises:
        ValueError: patterns do not fit into `length`, channels not into groups, or there are fewer orders than classes.
    """

    def __init__(
        self,
        n_train: int,
        n_test: int,
        channels: int,
        length: int,
        classes: int,
        groups: int,
        span: int,
        jitter: float,
        max_shift: int,
        spec: Spec,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        self.margin = math.ceil(3 * jitter)
        if (needed := span + max_shift + 2 * self.margin + 1) > length:
            raise ValueError(
                f"span {span}, max_shift {max_shift} and three times the jitter {jitter} on both sides need "
                f"{needed} time steps, and length is {length}"
            )
        if groups < 2 or channels % groups or span % (groups - 1):
            raise ValueError(f"{channels} channels and a span of {span} cannot be split into {groups} groups evenly")
        if math.factorial(groups) < classes:
            raise ValueError(f"{groups} groups have fewer than {classes} orders")
        self.groups = groups
        self.n_examples = {"train": n_train, "test": n_test}
        self.channels, self.length, self.classes = channels, length, classes
        self.span, self.jitter, self.max_shift = span, jitter, max_shift

    @property
    def latencies(self) -> torch.Tensor:
        """In time steps, (classes, channels); no two classes are alike."""
        random = self.generator("latencies")
        orders: list[list[int]] = []
        while len(orders) < self.classes:
            order = torch.randperm(self.groups, generator=random).tolist()
            if order not in orders:
                orders.append(order)
        spacing = self.span // (self.groups - 1)
        return spacing * torch.tensor(orders).repeat_interleave(self.channels // self.groups, 1)

    def draw(self) -> dict[str, Split]:
        return {name: self._examples(name) for name in ("train", "test")}

    def _examples(self, name: str) -> Split:
        n, random, latencies = self.n_examples[name], self.generator(name), self.latencies
        target = (torch.arange(n) % self.classes)[torch.randperm(n, generator=random)]
        onset = self.margin + torch.randint(self.max_shift + 1, (n, 1), generator=random)
        jitter = (self.jitter * torch.randn(n, self.channels, generator=random)).round().long()
        times = (onset + latencies[target] + jitter).clamp(0, self.length - 1)
        spikes = torch.zeros(n, self.channels, self.length).scatter_(2, times.unsqueeze(2), 1)
        return {"input": spikes, "target": target}
