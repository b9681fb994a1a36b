"""Two lines that enclose a nonlinear function over an interval."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from expkit.analysis.affine_network import FUNCTIONS

CURVATURE = {"tanh": 0.77, "sigmoid": 0.0963, "sine": 1.0, "gelu": 0.798}
"""An upper bound of |sigma''|: 4/(3 sqrt 3), sqrt(3)/18, 1, sqrt(2/pi); a function with this number is all it takes."""

CELLS = 32
"""Into which an interval is divided to bound the rest between the function and a line."""

CORNERS = 9
"""Points of an interval between which chords are looked at to find a line's slope; odd, so that the middle is one."""

SLACK = 1e-12
"""By which lines are moved apart, against the rounding of double precision."""


class Lines(NamedTuple):
    """lower_slope z + lower_intercept <= sigma(z) <= upper_slope z + upper_intercept; all of one shape."""

    lower_slope: Tensor
    lower_intercept: Tensor
    upper_slope: Tensor
    upper_intercept: Tensor

    def gap(self, low: Tensor, high: Tensor) -> Tensor:
        """The area between the lines over [low, high]: the width times the distance at the middle."""
        middle = (low + high) / 2
        slope = self.upper_slope - self.lower_slope
        return (high - low) * (slope * middle + self.upper_intercept - self.lower_intercept)


def linear_relaxation(name: str, low: Tensor, high: Tensor) -> Lines:
    r"""Lines below and above sigma on [low, high], elementwise; they hold for any twice differentiable sigma.

    Each line is to be as near as possible at the middle of the interval, which makes the area between the two
    smallest. The best lower line touches the convex hull of the graph there, so its slope is that of the lowest chord
    over the middle, found among `CORNERS` points; any slope would be sound. The intercept is then the minimum of
    r(z) = sigma(z) - slope z, which is bounded from below without looking for it: within a cell of width h,
    r >= min of both ends - h^2 max|sigma''| / 8. The upper line mirrors this. For 'relu' both lines are exact.

    Args:
        name: a key of `FUNCTIONS`.
        low, high: any shape, low <= high, double precision.
    """
    if name == "relu":
        return _relu(low, high)
    function, width = FUNCTIONS[name], high - low
    corners = _spread(low, width, CORNERS)
    values = function(corners)
    half = CORNERS // 2
    left, right = slice(0, half), slice(half + 1, CORNERS)
    run = corners[..., None, right] - corners[..., left, None]
    chords = (values[..., None, right] - values[..., left, None]) / run.clamp_min(1e-12)
    at_middle = values[..., left, None] + chords * (corners[..., half, None, None] - corners[..., left, None])
    chords, at_middle = chords.flatten(-2), at_middle.flatten(-2)
    narrow = width < 1e-6  # where differences of values are rounding errors

    points = _spread(low, width, CELLS + 1)
    values = function(points)
    rest = CURVATURE[name] * (width / CELLS).square() / 8 + SLACK
    found = []
    for best, extreme, sign in ((at_middle.argmin(-1), torch.amin, -1), (at_middle.argmax(-1), torch.amax, 1)):
        slope = torch.where(narrow, 0.0, chords.gather(-1, best[..., None]).squeeze(-1))
        found += [slope, extreme(values - slope[..., None] * points, -1) + sign * rest]
    return Lines(*found)


def _spread(low: Tensor, width: Tensor, count: int) -> Tensor:
    share = torch.linspace(0, 1, count, dtype=low.dtype, device=low.device)
    return low[..., None] + width[..., None] * share


def _relu(low: Tensor, high: Tensor) -> Lines:
    """The chord above; below, the better of 0 and z where the sign is open (arXiv 1811.00866)."""
    zero = torch.zeros_like(low)
    crossing = (low < 0) & (high > 0)
    upper_slope = torch.where(crossing, high / (high - low).clamp_min(1e-12), (low >= 0).to(low))
    upper_intercept = torch.where(crossing, -upper_slope * low, zero)
    lower_slope = torch.where(crossing, (high > -low).to(low), upper_slope)
    return Lines(lower_slope, zero, upper_slope, upper_intercept)
