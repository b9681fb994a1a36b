"""What convolutional models share: one code for signals and images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

CONVOLUTION: dict[int, type[nn.Conv1d] | type[nn.Conv2d]] = {1: nn.Conv1d, 2: nn.Conv2d}
"""Convolution by number of spatial dimensions."""


def grid_shape(input_shape: Sequence[int]) -> tuple[int, list[int]]:
    """The channels and the spatial sizes of an input; a vector is a signal with one channel.

    Raises:
        ValueError: an input is neither a vector, nor a signal, nor an image.
    """
    match list(input_shape):
        case [length]:
            return 1, [length]
        case [channels, *sizes] if len(sizes) in CONVOLUTION:
            return channels, sizes
    raise ValueError(
        f"a convolution needs a vector [d], a signal [channels, length] or an image [channels, height, width], "
        f"got shape {list(input_shape)}"
    )


def spatial_norm(name: str, channels: int, n_dims: int, groups: int) -> nn.Module:
    """`none`, `batchnorm`, or `groupnorm` with `groups` groups of channels, over `n_dims` spatial dimensions.

    Raises:
        ValueError: an unknown name, or groups that do not divide the channels.
    """
    match name:
        case "none":
            return nn.Identity()
        case "batchnorm":
            return nn.BatchNorm1d(channels) if n_dims == 1 else nn.BatchNorm2d(channels)
        case "groupnorm":
            if channels % groups:
                raise ValueError(f"{channels} channels cannot be divided into {groups} groups of equal size")
            return nn.GroupNorm(groups, channels)
    raise ValueError(f"norm is one of none, batchnorm, groupnorm; got '{name}'")
