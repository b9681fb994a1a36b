"""Lion, the optimizer that a program search found (arXiv 2302.06675)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn


class Lion(torch.optim.Optimizer):
    r"""Steps of one size in every coordinate, along the sign of a momentum (arXiv 2302.06675, algorithm 2).

    With gradient g_t, momentum m_0 = 0, betas (b_1, b_2), learning rate e and weight decay w:

        theta_t = theta_{t-1} - e (sign(b_1 m_{t-1} + (1 - b_1) g_t) + w theta_{t-1})
        m_t     = b_2 m_{t-1} + (1 - b_2) g_t

    Every coordinate moves by e, so e is chosen 3 to 10 times smaller than for AdamW, and w as many times larger.

    Args:
        params: parameters, pairs (name, parameter), or parameter groups.
        lr: learning rate e, at least 0.
        betas: b_1 of the direction and b_2 of the momentum, each in [0, 1).
        weight_decay: w, decoupled from the gradient; multiplied by lr at every step.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[tuple[str, nn.Parameter]],
        lr: float = 1e-4,
        betas: Sequence[float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0:
            raise ValueError(f"lr is at least 0, got {lr}")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are two numbers from 0 to below 1, got {list(betas)}")
        if weight_decay < 0:
            raise ValueError(f"weight_decay is at least 0, got {weight_decay}")
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update; `closure`, if given, computes loss and gradients first, and its loss is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, (beta_1, beta_2) = group["lr"], group["betas"]
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                momentum = state["momentum"]
                direction = momentum.lerp(gradient, 1 - beta_1).sign_()
                parameter.mul_(1 - lr * group["weight_decay"]).add_(direction, alpha=-lr)
                momentum.lerp_(gradient, 1 - beta_2)
        return loss
