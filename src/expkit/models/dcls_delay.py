"""A layer whose synapses each have a weight and a delay, which can be learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DCLSDelay(nn.Module):
    r"""y_i(t) = \sum_j w_ij \sum_d k_ij(d) x_j(t - d): a convolution over time with one weight for each synapse.

    k_ij is the synapse's delay p_ij, spread over the whole steps d = 0 ... max_delay - 1 so that it has a gradient:
    k_ij(d) = exp(-(d - p_ij)^2 / (2 sigma^2)), divided by its sum. While `sigma` is large every delay is felt; it is
    made small in the course of training (`SigmaAnnealing`). In evaluation, and where delays are fixed, k_ij is 1 at
    p_ij rounded and 0 elsewhere. (Dilated convolution with learnable spacings, arXiv 2306.17670, section 3.2.)

    Delays start uniform in 0 ... max_delay - 1, weights as in He's uniform scheme.

    Args:
        n_inputs, n_outputs: neurons before and behind the layer.
        max_delay: number of possible delays, in time steps.
        learned: whether delays are trained as well as weights.
        sigma: in time steps; that of the start.
        scale: time steps to a unit of the parameter `position`: how much faster delays move than weights under
            optimizers whose step does not depend on the size of the gradient, such as Adam.

    Shapes: (batch, n_inputs, time) -> (batch, n_outputs, time).
    """

    sigma: Tensor

    def __init__(
        self, n_inputs: int, n_outputs: int, max_delay: int, learned: bool, sigma: float = 12.0, scale: float = 1.0
    ) -> None:
        super().__init__()
        if max_delay < 1 or sigma <= 0 or scale <= 0:
            raise ValueError(
                f"max_delay is at least 1, sigma and scale are positive; got {max_delay}, {sigma}, {scale}"
            )
        self.max_delay, self.learned, self.scale = max_delay, learned, scale
        self.weight = nn.Parameter(torch.empty(n_outputs, n_inputs))
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")
        start = torch.rand(n_outputs, n_inputs) * (max_delay - 1) / scale
        self.position = nn.Parameter(start, requires_grad=learned)
        self.register_buffer("sigma", torch.tensor(float(sigma)))

    @property
    def delays(self) -> Tensor:
        """p, in time steps, (n_outputs, n_inputs)."""
        free = self.position * self.scale
        # Bounded in value and not in gradient, so that a delay that was pushed to an end can come back.
        return free + (free.clamp(0, self.max_delay - 1) - free).detach()

    def kernel(self) -> Tensor:
        """w_ij k_ij(d), (n_outputs, n_inputs, max_delay)."""
        steps = torch.arange(self.max_delay, device=self.weight.device)
        delays = self.delays.unsqueeze(-1)
        if self.training and self.learned:
            spread = torch.softmax(-((steps - delays) ** 2) / (2 * self.sigma**2), -1)
        else:
            spread = (steps == delays.round()).to(self.weight.dtype)
        return self.weight.unsqueeze(-1) * spread

    def forward(self, x: Tensor) -> Tensor:
        return causal_convolution(x, self.kernel())


def causal_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """y_i(t) = sum over j and d of kernel_ij(d) x_j(t - d), with zeros before the start, by way of the frequencies.

    There each frequency is a product of its own: fewer multiplications than shift by shift where delays are long.

    Shapes: (batch, n, time) and (m, n, delays) -> (batch, m, time).
    """
    time = x.shape[-1]
    period = time + kernel.shape[-1] - 1  # nothing comes around again
    product = torch.einsum("bjf,ijf->bif", torch.fft.rfft(x, period), torch.fft.rfft(kernel, period))
    return torch.fft.irfft(product, period)[..., :time]
