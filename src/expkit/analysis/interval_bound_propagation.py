"""Intervals that hold a network's pre-activations and outputs over a box of inputs (arXiv 1810.12715)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from expkit.analysis.affine_network import FUNCTIONS, AffineNetwork

Interval = tuple[Tensor, Tensor]
"""Lower and upper ends, of one shape."""


def interval_bounds(network: AffineNetwork, low: Tensor, high: Tensor) -> list[Interval]:
    """Bounds of z_1, ..., z_L, each (batch, units), for inputs in boxes.

    An affine map takes the box with centre c and radius r to centre W c + b and radius |W| r; then the activation's
    range over each interval is taken. It is sound, cheap, and loose: what units have in common is lost at each layer.

    Args:
        network: to bound.
        low, high: of the inputs, (batch, inputs).
    """
    found = []
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        centre, radius = (low + high) / 2, (high - low) / 2
        middle, reach = centre @ weight.T + bias, radius @ weight.abs().T
        found.append((middle - reach, middle + reach))
        if index < len(network.activations):
            low, high = function_range(network.activations[index], *found[-1])
    return found


def margin_bound(network: AffineNetwork, low: Tensor, high: Tensor, specification: Tensor) -> Tensor:
    """A lower bound of <c, f(x)> over each box, with c taken into the last layer first.

    Args:
        network: f.
        low, high: of the inputs, (batch, inputs).
        specification: c, (batch, outputs), such as the label's unit vector minus another class's.

    Returns:
        (batch,).
    """
    if network.depth > 1:
        hidden = AffineNetwork(network.weights[:-1], network.biases[:-1], network.activations[:-1])
        low, high = function_range(network.activations[-1], *interval_bounds(hidden, low, high)[-1])
    weight = specification @ network.weights[-1]
    return (weight * (low + high) / 2 - weight.abs() * (high - low) / 2).sum(-1) + specification @ network.biases[-1]


def function_range(name: str, low: Tensor, high: Tensor) -> Interval:
    """The smallest and the largest value of an activation on [low, high], elementwise."""
    function = FUNCTIONS[name]
    first, last = function(low), function(high)
    smallest, largest = torch.minimum(first, last), torch.maximum(first, last)
    if name == "sine":
        largest = torch.where(_holds(low, high, math.pi / 2), 1.0, largest)
        smallest = torch.where(_holds(low, high, -math.pi / 2), -1.0, smallest)
    if name == "gelu":
        smallest = torch.where((low <= GELU_ARGMIN) & (high >= GELU_ARGMIN), GELU_MIN, smallest)
    return smallest, largest


def _holds(low: Tensor, high: Tensor, angle: float) -> Tensor:
    """Whether [low, high] holds angle + 2 pi n for a whole number n."""
    turn = 2 * math.pi
    return torch.floor((high - angle) / turn) >= torch.ceil((low - angle) / turn)


GELU_ARGMIN, GELU_MIN = -0.7517915349, -0.1699712075
"""Where x Phi(x) is smallest, and its value there, rounded down."""
