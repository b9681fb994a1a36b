"""Training by gradient descent where the kernel stays as it is: a linear system with an exact solution."""

from __future__ import annotations

import torch
from torch import Tensor


def linearized_dynamics(
    kernel: Tensor,
    residual: Tensor,
    rate: float,
    steps: int,
    cross: Tensor | None = None,
    flow: bool = False,
) -> Tensor:
    r"""How far outputs are from their targets after gradient descent on squared error with a fixed tangent kernel.

    A step of size eta on L = c/2 |f - y|^2 moves the outputs on the training examples by -rate Theta (f - y), with
    rate = eta c, and those on other examples by -rate Theta(x, X) (f - y), as long as f is linear in its parameters
    (arXiv 1806.07572, section 5; arXiv 1902.06720, eq. 8-10). So with r_0 = f_0 - y, after t steps

        r_t = (1 - rate Theta)^t r_0,       f_t(x) - f_0(x) = -rate Theta(x, X) sum_{s<t} (1 - rate Theta)^s r_0;

    with `flow`, exp(-rate t Theta) r_0 and its integral: the limit of small steps. The mean over n examples and k
    outputs of squared errors, torch's mse_loss, has c = 2 / (n k).

    Args:
        kernel: Theta on the training examples, (n, n), symmetric and positive semidefinite; or (n k, n k).
        residual: r_0, (n, ...) as many rows as the kernel has.
        rate: see above.
        steps: t, the last one.
        cross: Theta(x, X), (m, n): whether to return how outputs on these other examples change.
        flow: gradient flow up to the time t = 0, 1, ..., steps.

    Returns:
        (steps + 1, n, ...): r_t; with `cross` (steps + 1, m, ...): f_t(x) - f_0(x). In float64.
    """
    eigenvalues, vectors = torch.linalg.eigh(kernel.double())
    decay = rate * eigenvalues.clamp_min(0)
    time = torch.arange(steps + 1, dtype=torch.float64, device=kernel.device).unsqueeze(1)
    remaining = torch.exp(-decay * time) if flow else (1 - decay) ** time  # (steps + 1, n)
    shape = residual.shape[1:]
    components = vectors.T @ residual.double().flatten(1) if shape else (vectors.T @ residual.double()).unsqueeze(1)
    if cross is None:
        found = torch.einsum("in,tn,nk->tik", vectors, remaining, components)
    else:
        # (1 - (1 - d)^t) / d, which is t where d is 0
        passed = torch.where(decay > 1e-14, (1 - remaining) / decay.clamp_min(1e-14), time)
        found = -rate * torch.einsum("mi,in,tn,nk->tmk", cross.double(), vectors, passed, components)
    return found.reshape(steps + 1, -1, *shape)
