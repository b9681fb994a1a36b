"""Small residual network on signals and images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from expkit.models.initialization import initialize
from expkit.models.spatial import CONVOLUTION, grid_shape, spatial_norm


class ResNet(nn.Module):
    """A stem of one convolution, stages of residual blocks, the mean over space, and an affine readout.

    The form that He et al. use for small images (arXiv 1512.03385, section 4.2), with projections where a shortcut
    changes shape: stage s has width * 2^s channels, and every stage after the first starts with stride 2. `width=16`
    with `blocks=[3, 3, 3]` is ResNet-20 and with `blocks=[9, 9, 9]` ResNet-56.

    Args:
        input_shape: [channels, length] or [channels, height, width]; a vector [d] is one channel of length d.
        n_outputs: of the readout.
        width: channels of the first stage.
        blocks: number of residual blocks of each stage.
        norm: after each convolution; `groupnorm` with `groups` groups, which also works at batch size 1.
        zero_init: start the last norm of each block at zero (without norm: its last convolution), so that every block
            is its shortcut at initialization (arXiv 1706.02677, section 5.1).

    Convolutions are drawn after He et al. (arXiv 1502.01852) and have biases only without norm.

    Shapes: (batch, *input_shape) -> (batch, n_outputs).

    Raises:
        ValueError: no stage, or groups that do not divide the channels.
    """

    accepts = ("vector", "signal", "image")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        width: int = 16,
        blocks: Sequence[int] = (2, 2, 2),
        norm: Literal["batchnorm", "groupnorm", "none"] = "batchnorm",
        groups: int = 4,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        if not blocks or min(blocks) < 1:
            raise ValueError(f"blocks lists how many blocks each stage has, at least one; got {list(blocks)}")
        n_channels, sizes = grid_shape(input_shape)
        self.grid = (n_channels, *sizes)
        n_dims = len(sizes)
        self.stem = nn.Sequential(*_convolution(n_channels, width, 3, 1, norm, groups, n_dims), nn.ReLU())
        self.stages = nn.Sequential()
        n_in = width
        for stage, n_blocks in enumerate(blocks):
            n_out = width * 2**stage
            strides = [1 if stage == 0 else 2, *[1] * (n_blocks - 1)]
            self.stages.append(
                nn.Sequential(
                    *(
                        ResidualBlock(n_in if place == 0 else n_out, n_out, stride, norm, groups, n_dims)
                        for place, stride in enumerate(strides)
                    )
                )
            )
            n_in = n_out
        self.readout = nn.Linear(n_in, n_outputs)
        initialize(self.stem, "he")
        initialize(self.stages, "he")
        if zero_init:
            for block in self.modules():
                if isinstance(block, ResidualBlock):
                    block.silence()

    def forward(self, x: Tensor) -> Tensor:
        features = self.stages(self.stem(x.reshape(len(x), *self.grid)))
        return self.readout(features.flatten(2).mean(-1))


class ResidualBlock(nn.Module):
    """relu(shortcut(x) + norm(conv(relu(norm(conv(x)))))) with kernels of side 3.

    The shortcut is the identity, or a convolution of side 1 and a norm where stride or channels change.
    """

    def __init__(self, n_in: int, n_out: int, stride: int, norm: str, groups: int, n_dims: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_convolution(n_in, n_out, 3, stride, norm, groups, n_dims),
            nn.ReLU(),
            *_convolution(n_out, n_out, 3, 1, norm, groups, n_dims),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(*_convolution(n_in, n_out, 1, stride, norm, groups, n_dims))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.residual(x))

    def silence(self) -> None:
        """Sets the residual branch to zero, in such a way that it can be learned."""
        last = [layer for layer in self.residual if any(True for _ in layer.parameters())][-1]
        for parameter in last.parameters():
            nn.init.zeros_(parameter)


def _convolution(
    n_in: int, n_out: int, kernel: int, stride: int, norm: str, groups: int, n_dims: int
) -> tuple[nn.Module, nn.Module]:
    convolution = CONVOLUTION[n_dims](n_in, n_out, kernel, stride, padding=kernel // 2, bias=norm == "none")
    return convolution, spatial_norm(norm, n_out, n_dims, groups)
