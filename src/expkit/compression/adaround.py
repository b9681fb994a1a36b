"""Learned rounding of weights (AdaRound, arXiv 2004.10568)."""

from __future__ import annotations

import torch
from torch import Tensor

from expkit.compression.quantizable import QuantizableLayer

ZETA, GAMMA = 1.1, -0.1
"""The ends of the stretched sigmoid, which so reaches 0 and 1."""


def adaround(
    layer: QuantizableLayer,
    inputs: Tensor,
    outputs: Tensor,
    steps: int = 200,
    batch_size: int = 64,
    lr: float = 1e-2,
    regularization: float = 0.01,
    warm_up: float = 0.2,
    beta: tuple[float, float] = (20.0, 2.0),
) -> None:
    r"""Rounds each weight up or down, whichever lets the layer's output be closest to what it was in floating point.

    Minimizes over V, by Adam, ||W x - W~ x~||^2 + lambda sum (1 - |2 h(V) - 1|^beta), with
    W~ = s clamp(floor(W / s) + h(V), low, high) and h(V) = clamp(1.2 sigmoid(V) - 0.1, 0, 1); beta goes from high to
    low along a cosine after the warm-up, in which lambda is 0. V starts where h(V) is the rest W / s - floor(W / s).

    Args:
        layer: whose weight is replaced by one that lies on its quantizer's grid, which has to be set.
        inputs: x~, the layer's inputs in the quantized model, quantized.
        outputs: W x + b, its outputs in floating point, on the same examples.
        steps, batch_size, lr: of Adam.
        regularization: lambda.
        warm_up: share of the steps.
        beta: first and last.
    """
    quantizer, weight = layer.weight_quantizer, layer.layer.weight.detach()
    scale, (low, high) = quantizer.scale, quantizer.limits
    floor = (weight / scale).floor()
    rest = (weight / scale - floor).clamp(0.01, 0.99)
    logit = ((rest - GAMMA) / (ZETA - GAMMA)).logit().requires_grad_(True)
    optimizer = torch.optim.Adam([logit], lr=lr)
    for step in range(steps):
        rows = torch.randint(len(inputs), (min(batch_size, len(inputs)),)).to(inputs.device)
        with torch.enable_grad():
            up = _rectified_sigmoid(logit)
            output = layer.apply_weight(inputs[rows], scale * (floor + up).clamp(low, high))
            loss = (output - outputs[rows]).square().sum(1).mean()
            progress = (step / steps - warm_up) / (1 - warm_up)
            if progress >= 0:
                cosine = (1 + torch.cos(torch.tensor(torch.pi * progress))) / 2
                power = beta[1] + (beta[0] - beta[1]) * float(cosine)
                loss = loss + regularization * (1 - (2 * up - 1).abs().pow(power)).sum()
            (gradient,) = torch.autograd.grad(loss, logit)
        logit.grad = gradient
        optimizer.step()
    with torch.no_grad():
        up = (_rectified_sigmoid(logit) >= 0.5).to(weight)
        layer.layer.weight.copy_(scale * (floor + up).clamp(low, high))


def _rectified_sigmoid(logit: Tensor) -> Tensor:
    return (logit.sigmoid() * (ZETA - GAMMA) + GAMMA).clamp(0, 1)
