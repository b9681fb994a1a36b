"""Linear bounds of a network over a box of inputs, propagated backwards (CROWN, arXiv 1811.00866)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from expkit.analysis.affine_network import AffineNetwork
from expkit.analysis.interval_bound_propagation import Interval, function_range
from expkit.analysis.linear_relaxation import Lines, linear_relaxation


@dataclass(frozen=True)
class Enclosure:
    """What is known of a network's hidden layers over boxes of inputs.

    Args:
        low, high: of the inputs, (batch, inputs).
        intervals: of z_1 ... z_{L-1}, each (batch, units).
        lines: that enclose sigma_1 ... sigma_{L-1} over these intervals.
        below, above: of each z_i, a linear function of x below and above it: coefficients (batch, units, inputs) and
            constants (batch, units).
    """

    low: Tensor
    high: Tensor
    intervals: Sequence[Interval]
    lines: Sequence[Lines]
    below: Sequence[tuple[Tensor, Tensor]]
    above: Sequence[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class MarginBound:
    """A linear function of x below <c, f(x)>, and how it came about.

    Args:
        value: its minimum over each box, (batch,).
        coefficients: of sigma_i(z_i), for each hidden layer, each (batch, units): what its relaxation is weighted by.
        preactivation: of z_i, each (batch, units), multipliers included.
        linear: of x: coefficients (batch, inputs), constant (batch,).
    """

    value: Tensor
    coefficients: Sequence[Tensor]
    preactivation: Sequence[Tensor]
    linear: tuple[Tensor, Tensor]


def enclose(network: AffineNetwork, low: Tensor, high: Tensor, clip: Sequence[Interval] | None = None) -> Enclosure:
    """Encloses hidden layers one after another; each uses the lines of those before it.

    Args:
        network: with at least one hidden layer.
        low, high: of the inputs, (batch, inputs).
        clip: intervals of z_1 ... z_{L-1} that are known or assumed, each (batch, units): the result holds for those x
            of the box whose pre-activations lie in them, and intervals are cut to them. None where nothing is known.
    """
    intervals: list[Interval] = []
    lines: list[Lines] = []
    below: list[tuple[Tensor, Tensor]] = []
    above: list[tuple[Tensor, Tensor]] = []
    for index in range(network.depth - 1):
        weight = network.weights[index].expand(len(low), -1, -1)
        lower = _to_input(network, index, weight, lines, lower=True)
        upper = _to_input(network, index, weight, lines, lower=False)
        bottom, top = _minimum(*lower, low, high), -_minimum(-upper[0], -upper[1], low, high)
        if index:  # intervals through the layer before are sometimes better
            bounds = function_range(network.activations[index - 1], *intervals[-1])
            centre, radius = (bounds[0] + bounds[1]) / 2, (bounds[1] - bounds[0]) / 2
            middle = centre @ network.weights[index].T + network.biases[index]
            reach = radius @ network.weights[index].abs().T
            bottom, top = torch.maximum(bottom, middle - reach), torch.minimum(top, middle + reach)
        if clip is not None:
            bottom, top = torch.maximum(bottom, clip[index][0]), torch.minimum(top, clip[index][1])
        top = torch.maximum(top, bottom)  # an empty interval: no x of the box is left, and any bound is sound
        intervals.append((bottom, top))
        lines.append(linear_relaxation(network.activations[index], bottom, top))
        below.append(lower)
        above.append(upper)
    return Enclosure(low, high, intervals, lines, below, above)


def crown_bound(
    network: AffineNetwork,
    enclosure: Enclosure,
    specification: Tensor,
    multipliers: Sequence[Tensor] | None = None,
    clip: Sequence[Interval] | None = None,
) -> MarginBound:
    r"""A lower bound of <c, f(x)> over each box, from one backward pass through the lines of all hidden layers.

    With constraints l <= z_i <= u on pre-activations, each set of multipliers b, b' >= 0 gives a bound of
    <c, f> + sum b (z - u) + b' (l - z), which is none above <c, f> where they hold (arXiv 2103.06624).

    Args:
        network: f.
        enclosure: of its hidden layers.
        specification: c, (batch, outputs).
        multipliers: (b, b') of each hidden layer, each (batch, 2, units), not negative; 0 where there is no constraint.
        clip: the constraints (l, u), each (batch, units); infinite where there is none.
    """
    coefficients: list[Tensor] = []
    preactivation: list[Tensor] = []
    weight = (specification @ network.weights[-1])[:, None]
    constant = (specification @ network.biases[-1])[:, None]
    for index in reversed(range(network.depth - 1)):
        coefficients.append(weight.squeeze(1))
        weight, constant = _through(weight, constant, enclosure.lines[index], lower=True)
        if multipliers is not None and clip is not None:
            upper, lower = multipliers[index].unbind(1)
            weight = weight + (upper - lower)[:, None]
            bounds = [torch.where(end.isfinite(), end, 0.0) for end in clip[index]]
            constant = constant + (lower * bounds[0] - upper * bounds[1]).sum(-1)[:, None]
        preactivation.append(weight.squeeze(1))
        constant = constant + weight @ network.biases[index]
        weight = weight @ network.weights[index]
    value = _minimum(weight, constant, enclosure.low, enclosure.high).squeeze(1)
    linear = weight.squeeze(1), constant.squeeze(1)
    return MarginBound(value, coefficients[::-1], preactivation[::-1], linear)


def _to_input(
    network: AffineNetwork, index: int, weight: Tensor, lines: Sequence[Lines], lower: bool
) -> tuple[Tensor, Tensor]:
    """A linear function of x below (or above) W h + b of a layer: coefficients (batch, units, inputs), constants."""
    constant = network.biases[index].expand(weight.shape[:2])
    for before in reversed(range(index)):
        weight, constant = _through(weight, constant, lines[before], lower)
        constant = constant + weight @ network.biases[before]
        weight = weight @ network.weights[before]
    return weight, constant


def _through(weight: Tensor, constant: Tensor, lines: Lines, lower: bool) -> tuple[Tensor, Tensor]:
    """From coefficients (batch, rows, units) of sigma(z) to coefficients of z, by the line on the safe side."""
    positive, negative = weight.clamp_min(0), weight.clamp_max(0)
    if not lower:
        positive, negative = negative, positive
    slopes = positive * lines.lower_slope[:, None] + negative * lines.upper_slope[:, None]
    intercepts = positive @ lines.lower_intercept[..., None] + negative @ lines.upper_intercept[..., None]
    return slopes, constant + intercepts.squeeze(-1)


def _minimum(weight: Tensor, constant: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Of weight x + constant over the boxes: (batch, rows)."""
    centre, radius = (low + high) / 2, (high - low) / 2
    return (weight @ centre[..., None] - weight.abs() @ radius[..., None]).squeeze(-1) + constant
