"""A small network of depthwise separable convolutions, after MobileNet (arXiv 1704.04861)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from expkit.models.initialization import initialize
from expkit.models.spatial import CONVOLUTION, grid_shape, spatial_norm


class MobileNet(nn.Module):
    """A convolution, then blocks of a depthwise and a pointwise one, then a readout of the mean over space.

    Each convolution has no bias and is followed by a norm and ReLU. The depthwise convolution of block i has stride
    2 where `strides[i]` is 2.

    Args:
        input_shape: [channels, length] or [channels, height, width]; a vector [d] is one channel of length d.
        n_outputs: of the readout.
        stem: channels of the first convolution.
        channels: that each block puts out.
        strides: of each block, as many as `channels`.
        kernel: side of the first and of the depthwise kernels, odd.
        norm: after each convolution; `groupnorm` with `groups` groups.
        imbalance: the largest gain of a channel over the smallest. The norm before each depthwise and each pointwise
            convolution multiplies channel c by a gain g_c, at log-uniform places around 1 in random order, and the
            convolution's weights on that channel are divided by it. The function at initialization does not depend on
            it; the ranges of weights after folding do. 1 for equal gains.
        init, init_scale: how weights are drawn and what they are multiplied by, see `expkit.models.initialization`.

    Shapes: (batch, *input_shape) -> (batch, n_outputs).

    Raises:
        ValueError: no block, another number of strides, an even kernel, or an imbalance below 1.
    """

    accepts = ("vector", "signal", "image")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        stem: int = 16,
        channels: Sequence[int] = (32, 32),
        strides: Sequence[int] = (2, 1),
        kernel: int = 3,
        norm: Literal["batchnorm", "groupnorm"] = "batchnorm",
        groups: int = 4,
        imbalance: float = 1.0,
        init: Literal["torch", "he", "lecun", "xavier", "orthogonal"] = "he",
        init_scale: float = 1.0,
    ) -> None:
        super().__init__()
        if not channels or len(strides) != len(channels) or kernel % 2 == 0:
            raise ValueError(
                f"needs blocks, a stride for each, and an odd kernel; got channels={channels}, strides={strides}, "
                f"kernel={kernel}"
            )
        if norm not in ("batchnorm", "groupnorm"):
            raise ValueError(f"norm is batchnorm or groupnorm; got '{norm}'")
        if imbalance < 1:
            raise ValueError(f"imbalance is the ratio of the largest to the smallest gain, at least 1; got {imbalance}")
        n_channels, sizes = grid_shape(input_shape)
        self.grid = (n_channels, *sizes)
        n_dims = len(sizes)
        convolution = CONVOLUTION[n_dims]
        stages = [convolution(n_channels, stem, kernel, padding=kernel // 2, bias=False)]
        width = stem
        for n_out, stride in zip(channels, strides, strict=True):
            stages += [
                convolution(width, width, kernel, stride, kernel // 2, groups=width, bias=False),
                convolution(width, n_out, 1, bias=False),
            ]
            width = n_out
        norms = [spatial_norm(norm, stage.out_channels, n_dims, groups) for stage in stages]
        self.features = nn.Sequential(
            *(module for stage, norm in zip(stages, norms, strict=True) for module in (stage, norm, nn.ReLU()))
        )
        self.readout = nn.Linear(width, n_outputs)
        initialize(self, init, init_scale)
        for norm, following in zip(norms[:-1], stages[1:], strict=True):  # type: ignore[assignment]
            _unbalance(norm, following, imbalance)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x.reshape(len(x), *self.grid))
        return self.readout(features.flatten(2).mean(-1))


@torch.no_grad()
def _unbalance(norm: nn.Module, following: nn.Module, imbalance: float) -> None:
    """Multiplies channels by gains and divides the weights that meet them."""
    weight = following.weight
    assert isinstance(weight, Tensor)
    assert isinstance(norm.weight, Tensor)
    n = len(norm.weight)
    exponents = torch.linspace(-0.5, 0.5, n)[torch.randperm(n)]
    gains = (exponents * math.log(imbalance)).exp()
    norm.weight.mul_(gains)
    depthwise = weight.shape[1] == 1 and len(weight) == n
    weight.div_(
        gains.reshape(-1, *[1] * (weight.dim() - 1)) if depthwise else gains.reshape(1, -1, *[1] * (weight.dim() - 2))
    )
