"""Leaky integrate-and-fire neurons, over all time steps at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from expkit.models.surrogate_gradient import arctan_slope


class LIF(nn.Module):
    r"""v_t = beta v_{t-1} (1 - s_{t-1}) + x_t and s_t = 1 if v_t > threshold, else 0, with v_0 = 0, s_0 = 0.

    beta = 1 - 1 / tau. A neuron that has spiked starts from zero again. Gradients pass a spike through `arctan_slope`,
    and not through the reset (arXiv 2306.17670, section 3.1).

    Args:
        tau: membrane time constant, in time steps, at least 1 (no memory).
        threshold: of the potential.
        alpha: of the surrogate gradient.

    Shapes: currents (..., time) -> spikes (..., time), of zeros and ones.
    """

    def __init__(self, tau: float = 2.0, threshold: float = 1.0, alpha: float = 2.0) -> None:
        super().__init__()
        if tau < 1:
            raise ValueError(f"tau is at least 1 time step, got {tau}")
        self.tau, self.threshold, self.alpha = tau, threshold, alpha

    def forward(self, current: Tensor) -> Tensor:
        return _Scan.apply(current, 1 - 1 / self.tau, self.threshold, self.alpha)[0]


class LeakyIntegrator(nn.Module):
    r"""v_t = beta v_{t-1} + x_t with beta = 1 - 1 / tau: a neuron that never spikes, whose potential is read out.

    Shapes: currents (..., time) -> potentials (..., time).
    """

    def __init__(self, tau: float = 2.0) -> None:
        super().__init__()
        if tau < 1:
            raise ValueError(f"tau is at least 1 time step, got {tau}")
        self.tau = tau

    def forward(self, current: Tensor) -> Tensor:
        steps = torch.arange(current.shape[-1], device=current.device)
        passed = steps.unsqueeze(0) - steps.unsqueeze(1)  # from row to column
        memory = (1 - 1 / self.tau) ** passed.clamp(min=0).to(current.dtype)
        return current @ memory.triu()


class _Scan(torch.autograd.Function):
    """The whole recursion as one function: left to autograd, each of its steps is several small operations.

    Gives spikes, (..., time), and distances to the threshold, (time, ...): one time step lies together in memory.
    """

    @staticmethod
    def forward(current: Tensor, beta: float, threshold: float, alpha: float) -> tuple[Tensor, Tensor]:
        over_time = current.movedim(-1, 0).contiguous()
        potential, potentials = torch.zeros_like(over_time[0]), []
        for now in over_time:
            potential = torch.addcmul(now, potential, (potential <= threshold).to(now.dtype), value=beta)
            potentials.append(potential)
        distance = torch.stack(potentials) - threshold
        return (distance > 0).to(current.dtype).movedim(0, -1), distance

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        _, ctx.beta, _, ctx.alpha = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])
        ctx.save_for_forward(output[1])

    @staticmethod
    def backward(ctx: Any, of_spikes: Tensor, _: Tensor) -> tuple[Tensor, None, None, None]:
        (distance,) = ctx.saved_tensors
        direct = of_spikes.movedim(-1, 0) * arctan_slope(distance, ctx.alpha)
        kept = (distance <= 0).to(direct.dtype)
        later, currents = torch.zeros_like(direct[0]), []
        for own, stays in zip(reversed(direct.unbind()), reversed(kept.unbind()), strict=True):
            later = torch.addcmul(own, stays, later, value=ctx.beta)
            currents.append(later)
        return torch.stack(currents[::-1]).movedim(0, -1), None, None, None

    @staticmethod
    def jvp(ctx: Any, of_current: Tensor, *_: None) -> tuple[Tensor, None]:
        (distance,) = ctx.saved_tensors
        over_time = of_current.movedim(-1, 0)
        kept = (distance <= 0).to(over_time.dtype)
        potential, potentials = torch.zeros_like(over_time[0]), []
        for now, before in zip(over_time.unbind(), [torch.zeros_like(kept[0]), *kept.unbind()[:-1]], strict=True):
            potential = torch.addcmul(now, before, potential, value=ctx.beta)
            potentials.append(potential)
        return (torch.stack(potentials) * arctan_slope(distance, ctx.alpha)).movedim(0, -1), None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], current: Tensor, *numbers: Any) -> Any:
        assert in_dims[0] is not None
        return _Scan.apply(current.movedim(in_dims[0], 0), *numbers), (0, 1)
