"""Uniform quantization, simulated in floating point so that it can be trained through."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FakeQuantizer(nn.Module):
    r"""Rounds to a uniform grid of integers and back (arXiv 2106.08295, section 2).

        x_int = clamp(round(x / s) + z, low, high),   x_hat = s (x_int - z)

    Symmetric grids have z = 0 and [low, high] = [-2^(bits-1), 2^(bits-1) - 1], asymmetric ones [0, 2^bits - 1].
    Rounding has the gradient of the identity (straight-through), clamping its own. A scale that is learned has then the
    gradient of LSQ (arXiv 1902.08153), with its factor 1 / sqrt(numbers per scale * high). What is learned is the
    logarithm of s over the scale that was set, so that a learning rate is relative to it (arXiv 1903.08066).

    Off until a range is set. Only elementwise arithmetic depends on the bits, so that runs that differ in them can be
    trained as one program.

    Args:
        bits: of an integer, a whole number of at least 2.
        shape: of the scale; broadcasts against what is quantized: (1,) for one scale per tensor, (c, 1, 1, 1) for one
            per output channel of a kernel.
        symmetric: whether zero lies in the middle of the grid.
        learnable: whether the scale is trained.
        batched: whether the first axis of what is quantized counts examples, over which a loss is averaged already.

    Buffers: `scale`, `zero_point`, both of `shape`; `enabled`.

    Raises:
        ValueError: a number of bits that there is no grid for.
    """

    scale: Tensor
    zero_point: Tensor
    enabled: Tensor

    def __init__(
        self,
        bits: float,
        shape: tuple[int, ...] = (1,),
        symmetric: bool = True,
        learnable: bool = False,
        batched: bool = False,
    ) -> None:
        super().__init__()
        if bits < 2 or bits != round(bits):
            raise ValueError(f"bits is a whole number of at least 2, got {bits}")
        self.bits = bits
        self.symmetric = symmetric
        self.batched = batched
        self.register_buffer("scale", torch.ones(shape))
        self.register_buffer("zero_point", torch.zeros(shape))
        self.register_buffer("enabled", torch.tensor(False))
        self.log_factor = nn.Parameter(torch.zeros(shape)) if learnable else None

    @torch.no_grad()
    def set(self, scale: Tensor, zero_point: Tensor) -> None:
        """Sets the grid, and switches the quantizer on."""
        self.scale.copy_(scale)
        self.zero_point.copy_(zero_point)
        self.enabled.fill_(True)
        if self.log_factor is not None:
            self.log_factor.zero_()

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest integer; tensors where runs that differ in their bits are trained as one."""
        return integer_limits(self.bits, self.symmetric)

    def forward(self, x: Tensor) -> Tensor:
        low, high = self.limits
        scale = self.scale
        if self.log_factor is not None:
            per_scale = (x[0] if self.batched else x).numel() / self.log_factor.numel()
            weight = (per_scale * high) ** -0.5
            scale = scale * (self.log_factor * weight + (self.log_factor * (1 - weight)).detach()).exp()
        return torch.where(self.enabled, fake_quantize(x, scale, self.zero_point, low, high), x)


def integer_limits(bits: float, symmetric: bool) -> tuple[float, float]:
    """The lowest and the highest integer of a grid."""
    if symmetric:
        return -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1


def fake_quantize(x: Tensor, scale: Tensor, zero_point: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """s (clamp(round(x / s) + z, low, high) - z), with the identity as the gradient of rounding."""
    exact = x / scale
    rounded = exact.round().detach() + (exact - exact.detach())
    integers = (rounded + zero_point).clamp(low, high)  # type: ignore[arg-type]
    return (integers - zero_point) * scale
