"""The control: a training whose boundary is known to be a smooth curve, measured in the same way."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from expkit.probes.convergence import Convergence


def quadratic_control(lr: NDArray[np.float64], lr_output: NDArray[np.float64], steps: int = 500) -> NDArray[np.float64]:
    """The convergence measure of gradient descent on 1/2 (a + b)^2, with a learning rate for a and one for b.

    The residual r = a + b is multiplied by 1 - lr - lr_output at every step, so that training converges exactly where
    lr + lr_output < 2: the boundary is a smooth curve, of dimension 1.

    Args:
        lr, lr_output: (nx,) and (ny,).

    Returns:
        (ny, nx), see `expkit.probes.convergence`.
    """
    rate = torch.as_tensor(lr)[None, :] + torch.as_tensor(lr_output)[:, None]
    measure = Convergence()
    residual = torch.ones_like(rate)
    state = measure.begin(residual.square() / 2)
    for _ in range(steps - 1):
        residual = residual * (1 - rate)
        state = measure.step(state, residual.square() / 2)
    return measure.measure(state)["convergence/value"].numpy()
