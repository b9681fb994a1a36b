"""NorMuon: Muon whose rows, one for each neuron, have a learning rate of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from expkit.optim.muon import NOT_HIDDEN, Muon
from expkit.optim.newton_schulz import orthogonalized

EPS = 1e-8


class NorMuon(Muon):
    r"""Orthogonalized momentum, divided by the root mean square that each neuron's row has had (arXiv 2510.05491).

    With gradient G_t of a matrix W (out, in), M_0 = 0, v_0 = 0 (out,), mu = `momentum`, learning rate e and weight
    decay w:

        M_t = mu M_{t-1} + (1 - mu) G_t
        O_t = U V^T, approximately, of M_t = U S V^T, by `ns_steps` Newton-Schulz iterations (in bfloat16)
        v_t = b v_{t-1} + (1 - b) mean over columns of O_t^2,  b = `beta2`
        N_t = O_t / sqrt(v_t), row by row
        W_t = (1 - e w) W_{t-1} - 0.2 e sqrt(out in) N_t / |N_t|

    The entries of an update have the root mean square 0.2 e, as those of AdamW do, so that learning rates found for it
    carry over. Which parameter is such a matrix, and what AdamW does for all others, is as in `expkit.optim.muon.Muon`.
    Beside the momentum it keeps a number for each neuron.

    Args:
        params: pairs (name, parameter), such as `model.named_parameters()`.
        lr: e, of the matrices.
        weight_decay: w, of the matrices; decoupled, multiplied by lr at every step.
        momentum: mu, in [0, 1).
        beta2: b, in [0, 1); 0 makes all rows of an update equally long.
        ns_steps: Newton-Schulz iterations, below 100.
        kernels: whether parameters with more than two dimensions are flattened to matrices, or left to AdamW.
        exclude: shell patterns (`*`, `?`, `[...]`), each compared with every part of a name between dots.
        adamw_lr, adamw_betas, adamw_eps, adamw_weight_decay: of everything else.

    Raises:
        ValueError: no parameter is a matrix for Muon, or an argument is out of its range.
        TypeError: parameters came without names.
    """

    def __init__(
        self,
        params: Iterable[tuple[str, nn.Parameter]],
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        beta2: float = 0.95,
        ns_steps: int = 5,
        kernels: bool = True,
        exclude: Sequence[str] = NOT_HIDDEN,
        adamw_lr: float = 1e-3,
        adamw_betas: Sequence[float] = (0.9, 0.95),
        adamw_eps: float = 1e-8,
        adamw_weight_decay: float = 0.01,
    ) -> None:
        if not 0 <= beta2 < 1:
            raise ValueError(f"beta2 is from 0 to below 1, got {beta2}")
        super().__init__(
            params,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            ns_steps=ns_steps,
            kernels=kernels,
            exclude=exclude,
            adamw_lr=adamw_lr,
            adamw_betas=adamw_betas,
            adamw_eps=adamw_eps,
            adamw_weight_decay=adamw_weight_decay,
        )
        self.param_groups[0]["beta2"] = beta2

    def _step_matrices(self, group: dict[str, Any]) -> None:
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
                state["second_moment"] = parameter.new_zeros(len(parameter), 1)
            momentum = state["momentum_buffer"].lerp_(parameter.grad, 1 - group["momentum"])
            update = orthogonalized(momentum.flatten(1), group["ns_steps"]).to(parameter.dtype)
            second = state["second_moment"].lerp_(update.square().mean(1, keepdim=True), 1 - group["beta2"])
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(normalized(update, second).view_as(parameter), alpha=-group["lr"])


def normalized(updates: Tensor, second_moments: Tensor) -> Tensor:
    """Rows over the roots of their second moments, then entries with the root mean square 0.2.

    Args:
        updates: (..., rows, columns).
        second_moments: (..., rows, 1).

    Returns:
        (..., rows, columns); zero where the updates are zero.
    """
    rows = updates / (second_moments.sqrt() + EPS)
    norms = torch.linalg.vector_norm(rows, dim=(-2, -1), keepdim=True).clamp(min=EPS)
    return rows * (0.2 * sqrt(updates.shape[-2] * updates.shape[-1]) / norms)
