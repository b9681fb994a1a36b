"""Shampoo: a preconditioner for each side of a matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn


class Shampoo(torch.optim.Optimizer):
    r"""Momentum between the inverse roots of two second moments, of the rows and of the columns (arXiv 1802.09568).

    With gradient G_t of a matrix W (out, in), betas (b_1, b_2), learning rate e and weight decay w, averages that begin
    at zero and are divided by 1 - b^t (hats):

        M_t = b_1 M_{t-1} + (1 - b_1) G_t            D_t = b_2 D_{t-1} + (1 - b_2) G_t^2
        L_t = b_2 L_{t-1} + (1 - b_2) G_t G_t^T      R_t = b_2 R_{t-1} + (1 - b_2) G_t^T G_t
        P_t = L^_t^(-1/4) M^_t R^_t^(-1/4)           A_t = M^_t / (sqrt(D^_t) + eps)
        W_t = (1 - e w) W_{t-1} - e |A_t| / |P_t| P_t

    The direction is Shampoo's, the length that of AdamW's step, so that learning rates found for AdamW carry over
    (grafting, arXiv 2002.09018). To the eigenvalues of L and R `ridge` times the largest one is added. A side longer
    than `largest_side` has no preconditioner, and the other one then has the power -1/2. Parameters with fewer than two
    dimensions move by A_t. A convolution kernel is the matrix (out, in * height * width).

    The roots are made anew at every step, by eigenvalue decompositions: for small networks.

    Args:
        params: parameters, pairs (name, parameter), or parameter groups.
        lr: e, at least 0.
        betas: b_1 and b_2, each in [0, 1).
        eps: of A_t.
        weight_decay: w, decoupled from the gradient; multiplied by lr at every step.
        ridge: share of the largest eigenvalue.
        largest_side: that has a preconditioner.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[tuple[str, nn.Parameter]],
        lr: float = 1e-3,
        betas: Sequence[float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        ridge: float = 1e-6,
        largest_side: int = 128,
    ) -> None:
        if lr < 0 or weight_decay < 0 or eps < 0 or ridge < 0:
            raise ValueError(
                f"lr, eps, weight_decay and ridge are at least 0, got {lr}, {eps}, {weight_decay} and {ridge}"
            )
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are two numbers from 0 to below 1, got {list(betas)}")
        if largest_side < 1:
            raise ValueError(f"largest_side is at least 1, got {largest_side}")
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "ridge": ridge,
                "largest_side": largest_side,
            },
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update; `closure`, if given, computes loss and gradients first, and its loss is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            (beta_1, beta_2), largest = group["betas"], group["largest_side"]
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.zeros(())
                    state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                    state |= {key: parameter.new_zeros(n, n) for key, n in sides(parameter.shape, largest).items()}
                state["step"] += 1
                first = state["exp_avg"].lerp_(gradient, 1 - beta_1) / (1 - beta_1 ** state["step"].item())
                correction = 1 - beta_2 ** state["step"].item()
                second = state["exp_avg_sq"].lerp_(gradient.square(), 1 - beta_2) / correction
                update = first / (second.sqrt() + group["eps"])
                moments = {
                    key: state[key].lerp_(gram(gradient.flatten(1), key), 1 - beta_2) / correction
                    for key in sides(parameter.shape, largest)
                }
                if moments:
                    direction = preconditioned(first.flatten(1), moments, group["ridge"])
                    update = grafted(update.flatten(1), direction).view_as(parameter)
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"])
        return loss


def sides(shape: Sequence[int], largest: int) -> dict[str, int]:
    """The preconditioners of a parameter of this shape and their sizes; none for what is no matrix."""
    if len(shape) < 2:
        return {}
    rows, columns = shape[0], torch.Size(shape[1:]).numel()
    return {key: n for key, n in (("left", rows), ("right", columns)) if n <= largest}


def gram(matrices: Tensor, side: str) -> Tensor:
    """G G^T or G^T G of matrices (..., rows, columns)."""
    return matrices @ matrices.mT if side == "left" else matrices.mT @ matrices


def preconditioned(matrices: Tensor, moments: dict[str, Tensor], ridge: float) -> Tensor:
    """L^-p M R^-p of matrices (..., rows, columns), p = 1/4 with two preconditioners and 1/2 with one."""
    power = 0.5 / len(moments)
    if "left" in moments:
        matrices = inverse_power(moments["left"], power, ridge) @ matrices
    if "right" in moments:
        matrices = matrices @ inverse_power(moments["right"], power, ridge)
    return matrices


def inverse_power(matrices: Tensor, power: float, ridge: float) -> Tensor:
    """(A + ridge (its largest eigenvalue) I)^-power of symmetric positive semidefinite matrices (..., n, n)."""
    # What is not finite would be an error there, of a run that has diverged; its momentum is not finite either.
    values, vectors = torch.linalg.eigh(torch.nan_to_num(matrices, 0.0, 0.0, 0.0))
    floor = torch.finfo(values.dtype).tiny
    values = (values.clamp(min=0) + ridge * values[..., -1:].clamp(min=0)).clamp(min=floor)
    return (vectors * values.pow(-power).unsqueeze(-2)) @ vectors.mT


def grafted(lengths: Tensor, directions: Tensor) -> Tensor:
    """The directions of some matrices (..., rows, columns) with the Frobenius norms of others."""
    floor = torch.finfo(directions.dtype).tiny
    norms = [torch.linalg.vector_norm(own, dim=(-2, -1), keepdim=True) for own in (lengths, directions)]
    return directions * (norms[0] / norms[1].clamp(min=floor))
