"""Feedforward network of spiking neurons, with or without delays on its synapses (arXiv 2306.17670)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from expkit.models.dcls_delay import DCLSDelay
from expkit.models.lif import LIF, LeakyIntegrator


class SNN(nn.Module):
    r"""`depth` layers of synapses, batch normalization and `LIF` neurons; then synapses to one potential per class.

    Synapses have no biases; normalization is over examples and time steps. The output is \sum_t softmax(v(t)) of the
    potentials v of `LeakyIntegrator`s, one per class: every time step has one vote.

    Args:
        input_shape: (channels, time). Inputs are spikes, or currents.
        n_outputs: classes.
        width: neurons of a hidden layer.
        depth: number of hidden layers.
        delays: of the synapses: `none`, `random` (drawn once and kept), or `learned` (see `DCLSDelay`).
        max_delay: number of possible delays, in time steps.
        sigma: width in time steps of a learned delay at the start.
        position_scale: by how much the learning rate of delays, in time steps, is larger than that of weights.
        tau: membrane time constant of all neurons, in time steps.
        alpha: of the surrogate gradient.

    Shapes: (batch, channels, time) -> (batch, n_outputs).
    """

    accepts = ("signal",)

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        width: int = 64,
        depth: int = 2,
        delays: Literal["none", "random", "learned"] = "none",
        max_delay: int = 25,
        sigma: float = 12.0,
        position_scale: float = 20.0,
        tau: float = 1.5,
        alpha: float = 5.0,
    ) -> None:
        super().__init__()
        sizes = [input_shape[0], *[width] * depth, n_outputs]
        self.synapses = nn.ModuleList(
            DCLSDelay(n, m, max_delay, delays == "learned", sigma, position_scale)
            if delays != "none"
            else _Undelayed(n, m)
            for n, m in pairwise(sizes)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(depth))
        self.neurons = LIF(tau, alpha=alpha)
        self.readout = LeakyIntegrator(tau)

    def forward(self, x: Tensor) -> Tensor:
        spikes = [x, *self.spikes(x)][-1]
        return torch.softmax(self.readout(self.synapses[-1](spikes)), 1).sum(-1)

    def spikes(self, x: Tensor) -> list[Tensor]:
        """Of each hidden layer, (batch, width, time)."""
        layers = []
        for synapses, norm in zip(self.synapses, self.norms, strict=False):
            x = self.neurons(norm(synapses(x)))
            layers.append(x)
        return layers


class _Undelayed(nn.Module):
    """y(t) = W x(t)."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_outputs, n_inputs))
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.weight @ x
