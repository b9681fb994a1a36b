"""The energy of arXiv 2509.21519 whose local maxima are the features, at the features that were learned."""

from __future__ import annotations

import torch
from torch import Tensor

from expkit.analysis.fourier_spectrum import live_units
from expkit.data.base import TensorData
from expkit.probes.base import Probe
from expkit.tasks.base import Task


def energy(weights: Tensor, p: int) -> Tensor:
    r"""E(w) = 1/2 || Y~^T sigma(X w) ||^2 / p over all p^2 pairs, with sigma(z) = z^2, for weights of unit norm.

    X has the one-hot pairs as rows and Y~ the one-hot sums without their mean over classes. With w = (u, v),
    sum_{a + b = c} (u_a + v_b)^2 is a constant plus twice the circular convolution (u * v)_c, so that by Parseval

        E(w) = (2 / p^2) sum_{k != 0} |u_hat_k|^2 |v_hat_k|^2,

    which is largest where u and v are waves of one and the same frequency with equal norms; for odd p its value there
    is 1/4, for a random w about 1/(2p).

    Args:
        weights: (units, 2p), any norm but 0.
        p: the modulus.

    Returns:
        (units,).
    """
    unit = weights.double() / weights.double().norm(dim=-1, keepdim=True)
    spectrum = torch.fft.fft(unit.reshape(-1, 2, p), dim=-1).abs().square()
    return 2 / p**2 * (spectrum[:, 0, 1:] * spectrum[:, 1, 1:]).sum(-1)


def stationarity(weights: Tensor, p: int) -> Tensor:
    """The cosine between each unit's weights and the gradient of E there: 1 where E is stationary on the sphere."""
    with torch.enable_grad():
        w = (weights.detach().double() / weights.detach().double().norm(dim=-1, keepdim=True)).requires_grad_()
        # E is made homogeneous of degree 4, so that its gradient keeps the radial part that the sphere fixes.
        spectrum = torch.fft.fft(w.reshape(-1, 2, p), dim=-1).abs().square()
        value = 2 / p**2 * (spectrum[:, 0, 1:] * spectrum[:, 1, 1:]).sum()
        (gradient,) = torch.autograd.grad(value, w)
    return torch.nn.functional.cosine_similarity(w.detach(), gradient, dim=-1)


class Energy(Probe):
    """E at the learned features, as a share of its maximum 1/4, and how close to stationary they are.

    Metrics, means over the units that weight decay has left: `energy/share`, `energy/cosine`. Array at the end:
    `energy/of_unit` (units,), the share of each unit, 0 for units that are gone.

    Args:
        parameter: the matrix of the model, (units, 2p).
        p: the modulus.
        live: units below this share of the largest squared norm do not count.
    """

    def __init__(self, parameter: str, p: int, live: float = 0.01) -> None:
        super().__init__()
        self.parameter = parameter
        self.p = p
        self.live = live

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        weights = task.model.get_parameter(self.parameter).detach()
        weights = weights[live_units(weights, self.live)]
        return {
            "energy/share": float(4 * energy(weights, self.p).mean()),
            "energy/cosine": float(stationarity(weights, self.p).mean()),
        }

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        weights = task.model.get_parameter(self.parameter).detach()
        live = live_units(weights, self.live)
        share = torch.zeros(len(weights), dtype=torch.float64)
        share[live] = 4 * energy(weights[live], self.p)
        return {"energy/of_unit": share}
