"""The two kernels of a fully connected network of infinite width: of its outputs at initialization, and tangent."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, vmap

from expkit.models.activation import activation as activation_named

Moments = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Of u, v, jointly normal with variances p, q and covariance c: (p, q, c) -> E[phi(u) phi(v)], E[phi'(u) phi'(v)]."""


class InfiniteWidthKernel(NamedTuple):
    """Both (n, m), in float64.

    Attributes:
        nngp: covariance of an output at initialization, over draws of the weights (arXiv 1711.00165).
        ntk: the tangent kernel of an output, at initialization and all the time (arXiv 1806.07572).
    """

    nngp: Tensor
    ntk: Tensor


def infinite_width_kernel(
    inputs: Tensor,
    others: Tensor | None = None,
    depth: int = 1,
    activation: str = "relu",
    weight_std: float = 1.0,
    bias_std: float = 0.0,
) -> InfiniteWidthKernel:
    r"""K and Theta of networks in `expkit.transforms.ntk_parametrization` with the same two standard deviations.

    With d-dimensional inputs, sigma_w and sigma_b, and expectations over (u, v) ~ N(0, K^l restricted to x, x'):

        K^1(x, x')      = sigma_w^2 <x, x'> / d + sigma_b^2                Theta^1 = K^1
        K^{l+1}         = sigma_w^2 E[phi(u) phi(v)] + sigma_b^2
        Theta^{l+1}     = K^{l+1} + sigma_w^2 E[phi'(u) phi'(v)] Theta^l    (arXiv 1806.07572, theorem 1)

    and K^{depth+1}, Theta^{depth+1} are returned. All hidden layers are infinitely wide. For several outputs the
    kernel is this one times the identity.

    The expectations are in closed form for relu (arc-cosine kernels: Cho and Saul 2009), erf (Williams 1997) and
    identity; for other activations they are sums over 64 x 64 points of Gauss-Hermite quadrature, which are exact to
    rounding for smooth functions such as tanh and gelu, and to a percent where there are kinks.

    Args:
        inputs: (n, ...), flattened to (n, d).
        others: (m, ...) for the second argument; by default the same.
        depth: number of hidden layers; 0 gives the kernel of a linear model.
        activation: phi: erf, or a name that `expkit.models.activation` knows.
        weight_std, bias_std: sigma_w and sigma_b.

    Raises:
        ValueError: a negative depth, or an unknown activation.
    """
    if depth < 0:
        raise ValueError(f"depth is a number of hidden layers, got {depth}")
    moments = CLOSED_FORMS.get(activation) or quadrature(activation)
    x = inputs.double().flatten(1)
    y = x if others is None else others.double().flatten(1)
    w, b, d = weight_std**2, bias_std**2, x.shape[1]
    p, q = (w * (own * own).sum(1) / d + b for own in (x, y))  # K on the diagonal, for each side
    nngp = ntk = w * (x @ y.T) / d + b
    for _ in range(depth):
        value, derivative = moments(p.unsqueeze(1), q.unsqueeze(0), nngp)
        nngp = w * value + b
        ntk = nngp + w * derivative * ntk
        p, q = (w * moments(own, own, own)[0] + b for own in (p, q))
    return InfiniteWidthKernel(nngp, ntk)


def relu_moments(p: Tensor, q: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    r"""sqrt(pq) (sin t + (pi - t) cos t) / (2 pi) and (pi - t) / (2 pi), t the angle with cos t = c / sqrt(pq)."""
    scale = (p * q).sqrt()
    cosine = torch.where(scale > 0, c / scale.clamp_min(torch.finfo(scale.dtype).tiny), 0.0).clamp(-1, 1)
    rest = math.pi - cosine.acos()
    return scale * ((1 - cosine.square()).sqrt() + rest * cosine) / (2 * math.pi), rest / (2 * math.pi)


def erf_moments(p: Tensor, q: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    r"""2/pi asin(2c / s) and 4/pi / sqrt(s^2 - 4c^2), with s^2 = (1 + 2p)(1 + 2q)."""
    square = (1 + 2 * p) * (1 + 2 * q)
    return 2 / math.pi * (2 * c / square.sqrt()).asin(), 4 / math.pi / (square - 4 * c.square()).sqrt()


def identity_moments(p: Tensor, q: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """c and 1."""
    return c, torch.ones_like(c)


CLOSED_FORMS: dict[str, Moments] = {"relu": relu_moments, "erf": erf_moments, "identity": identity_moments}


def quadrature(activation: str, points: int = 64) -> Moments:
    """The moments of an activation by name, as sums over points^2 places."""
    phi: Callable[[Tensor], Tensor] = torch.erf if activation == "erf" else activation_named(activation)
    derivative = vmap(grad(phi))

    def moments(p: Tensor, q: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        p, q, c = torch.broadcast_tensors(p, q, c)
        z, weights = _gauss_hermite(points)
        z, weights = z.to(c.device), weights.to(c.device)
        shared = torch.where(p > 0, c / p.clamp_min(torch.finfo(p.dtype).tiny).sqrt(), 0.0)
        own = (q - shared.square()).clamp_min(0).sqrt()
        u = p.sqrt().unsqueeze(-1) * z  # (..., points)
        v = shared[..., None, None] * z.unsqueeze(-1) + own[..., None, None] * z  # (..., points of u, points)
        return tuple(  # type: ignore[return-value]
            ((function(v) * weights).sum(-1) * function(u) * weights).sum(-1)
            for function in (phi, lambda values: derivative(values.flatten()).view_as(values))
        )

    return moments


@cache
def _gauss_hermite(points: int) -> tuple[Tensor, Tensor]:
    """Places and weights for expectations over N(0, 1)."""
    places, weights = np.polynomial.hermite_e.hermegauss(points)
    return torch.from_numpy(places), torch.from_numpy(weights / weights.sum())
