"""Inputs near given ones that make a loss large, by projected gradient ascent (arXiv 1706.06083)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

Norm = Literal["linf", "l2"]


def pgd_attack(
    loss: Callable[[Tensor], Tensor],
    inputs: Tensor,
    eps: float | Tensor,
    norm: Norm = "linf",
    steps: int = 20,
    step_size: float | None = None,
    restarts: int = 1,
    random_start: bool = True,
    low: float | None = None,
    high: float | None = None,
) -> Tensor:
    """The inputs within `eps` of the given ones at which the largest loss was met, over all steps and restarts.

    A step is step_size sign(g) for 'linf' and step_size g / |g|_2 for 'l2', followed by the projection on the ball and
    on [low, high]. With steps=1, step_size=eps and random_start=False it is the fast gradient sign method
    (arXiv 1412.6572). Starts are drawn from torch's global generator.

    Args:
        loss: maps inputs of the given shape to one number for each example, (n,), which an example alone decides.
        inputs: (n, ...).
        eps: radius of the ball, one for all or one each, (n,), in the inputs' units.
        norm: of the ball.
        steps: of each restart.
        step_size: in the inputs' units; by default 2.5 eps / steps.
        restarts: starts of each example.
        random_start: from a random point of the ball, uniformly distributed; False: from the input itself.
        low, high: range of valid inputs, such as 0 and 1 for pixels; None for no limit.

    Returns:
        (n, ...), the inputs themselves where no larger loss was found.
    """
    radius = torch.as_tensor(eps, dtype=inputs.dtype, device=inputs.device).expand(len(inputs))
    radius = radius.reshape(-1, *[1] * (inputs.dim() - 1))
    step = 2.5 * radius / max(steps, 1) if step_size is None else step_size
    with torch.no_grad():
        best, largest = inputs.clone(), loss(inputs)

    def keep(x: Tensor, value: Tensor) -> None:
        nonlocal best, largest
        better = value > largest
        best = torch.where(better.reshape(radius.shape), x, best)
        largest = torch.where(better, value, largest)

    for _ in range(restarts):
        x = inputs + _random_offset(inputs, radius, norm) if random_start else inputs.clone()
        x = x.clamp(low, high) if low is not None or high is not None else x
        for _ in range(steps):
            x = x.detach().requires_grad_()
            with torch.enable_grad():
                value = loss(x)
                (gradient,) = torch.autograd.grad(value.sum(), x)
            with torch.no_grad():
                keep(x, value)
                x = inputs + _project(x + step * _direction(gradient, norm) - inputs, radius, norm)
                x = x.clamp(low, high) if low is not None or high is not None else x
        with torch.no_grad():
            keep(x, loss(x))
    return best.detach()


def margin_loss(model: nn.Module | Callable[[Tensor], Tensor], target: Tensor) -> Callable[[Tensor], Tensor]:
    """The largest other logit minus the label's: positive where the model is wrong.

    Args:
        model: maps inputs to logits (n, classes).
        target: (n,).
    """

    def loss(x: Tensor) -> Tensor:
        logits = model(x)
        own = logits.gather(1, target[:, None]).squeeze(1)
        return logits.scatter(1, target[:, None], -torch.inf).amax(1) - own

    return loss


def _direction(gradient: Tensor, norm: Norm) -> Tensor:
    return gradient.sign() if norm == "linf" else gradient / _length(gradient).clamp_min(1e-12)


def _project(offset: Tensor, radius: Tensor, norm: Norm) -> Tensor:
    if norm == "linf":
        return torch.maximum(torch.minimum(offset, radius), -radius)
    return offset * (radius / _length(offset).clamp_min(1e-12)).clamp_max(1)


def _random_offset(inputs: Tensor, radius: Tensor, norm: Norm) -> Tensor:
    if norm == "linf":
        return radius * (2 * torch.rand_like(inputs) - 1)
    direction = torch.randn_like(inputs)
    reach = torch.rand(len(inputs), dtype=inputs.dtype, device=inputs.device) ** (1 / max(inputs[0].numel(), 1))
    return radius * reach.reshape(radius.shape) * direction / _length(direction)


def _length(x: Tensor) -> Tensor:
    return x.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.dim() - 1))
