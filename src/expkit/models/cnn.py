"""Plain convolutional network on signals and images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from expkit.models.activation import activation as activation_named
from expkit.models.initialization import initialize
from expkit.models.spatial import CONVOLUTION, grid_shape, spatial_norm


class CNN(nn.Module):
    """Layers of convolution -> norm -> activation -> pooling by 2, then an affine readout.

    Convolutions keep the spatial size (zero padding), pooling halves it, rounding down.

    Args:
        input_shape: [channels, length] or [channels, height, width]; a vector [d] is one channel of length d.
        n_outputs: of the readout.
        channels: of each convolutional layer, in order.
        kernel: side of the convolution kernels, odd.
        activation: a name that `expkit.models.activation` knows.
        norm: after each convolution; `groupnorm` with `groups` groups.
        pooling: maximum or mean over windows of side 2, or none.
        head: what the readout sees: all activations (`flatten`), or their mean over space (`average`).
        dropout: probability that an input of the readout is set to zero in training.
        bias: whether convolutions have biases.
        init, init_scale: how weights are drawn and what they are multiplied by, see `expkit.models.initialization`.

    Shapes: (batch, *input_shape) -> (batch, n_outputs).

    Raises:
        ValueError: no layer, an even kernel, or a kernel or pooling window larger than what is left of the input.
    """

    accepts = ("vector", "signal", "image")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        channels: Sequence[int] = (16, 32),
        kernel: int = 3,
        activation: str = "relu",
        norm: Literal["none", "batchnorm", "groupnorm"] = "none",
        groups: int = 4,
        pooling: Literal["max", "average", "none"] = "max",
        head: Literal["flatten", "average"] = "flatten",
        dropout: float = 0.0,
        bias: bool = True,
        init: Literal["torch", "he", "lecun", "xavier", "orthogonal"] = "torch",
        init_scale: float = 1.0,
    ) -> None:
        super().__init__()
        if not channels or kernel % 2 == 0:
            raise ValueError(f"needs at least one layer and an odd kernel, got channels={channels}, kernel={kernel}")
        n_channels, sizes = grid_shape(input_shape)
        self.grid = (n_channels, *sizes)
        n_dims = len(sizes)
        layers: list[nn.Module] = []
        for number, n_out in enumerate(channels, start=1):
            _check_size(number, sizes, kernel, pooling)
            layers += [
                CONVOLUTION[n_dims](n_channels, n_out, kernel, padding=kernel // 2, bias=bias),
                spatial_norm(norm, n_out, n_dims, groups),
                activation_named(activation),
                _pooling(pooling, n_dims),
            ]
            n_channels, sizes = n_out, sizes if pooling == "none" else [size // 2 for size in sizes]
        self.features = nn.Sequential(*layers)
        n_places = 1
        for size in sizes:
            n_places *= size
        if head not in ("flatten", "average"):
            raise ValueError(f"head is flatten or average; got '{head}'")
        self.average = head == "average"
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(n_channels * (1 if self.average else n_places), n_outputs)
        initialize(self, init, init_scale)

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x.reshape(len(x), *self.grid))
        features = features.flatten(2).mean(-1) if self.average else features.flatten(1)
        return self.readout(self.dropout(features))


def _check_size(number: int, sizes: list[int], kernel: int, pooling: str) -> None:
    left = " x ".join(map(str, sizes))
    if kernel > min(sizes):
        raise ValueError(f"layer {number} has a kernel of side {kernel}, but its input is only {left}")
    if pooling != "none" and min(sizes) < 2:
        raise ValueError(f"layer {number} pools windows of side 2, but its input is only {left}")


def _pooling(name: str, n_dims: int) -> nn.Module:
    match name:
        case "max":
            return nn.MaxPool1d(2) if n_dims == 1 else nn.MaxPool2d(2)
        case "average":
            return nn.AvgPool1d(2) if n_dims == 1 else nn.AvgPool2d(2)
        case "none":
            return nn.Identity()
    raise ValueError(f"pooling is one of max, average, none; got '{name}'")
