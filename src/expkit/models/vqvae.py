"""Autoencoder whose code is a map of discrete symbols (arXiv 1711.00937)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from expkit.models.vector_quantizer import Quantized, VectorQuantizer


class VQVAE(nn.Module):
    """A convolutional encoder, a `VectorQuantizer` of each place of its map, and a decoder.

    Encoder: `downsample` convolutions of kernel 4 and stride 2, each with a ReLU, then one of kernel 3 to `dim`
    channels; the decoder mirrors it. Inputs of c channels and side h have (h / 2^downsample)^(1 or 2) codes each.

    Args:
        input_shape: (channels, length) or (channels, height, width); sides are multiples of 2^downsample.
        n_outputs: how many numbers an input has; what the reconstruction task asks for.
        width: channels of the hidden layers.
        downsample: how often the map is halved.
        n_codes, dim, kind, commitment, code_dim, decay, train_basis: of the quantizer.

    Shapes: (batch, *input_shape) -> (batch, n_outputs).

    Raises:
        ValueError: `n_outputs` is not the size of an input, or a side cannot be halved so often.
    """

    accepts = ("signal", "image")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        width: int = 32,
        downsample: int = 1,
        n_codes: int = 1024,
        dim: int = 32,
        kind: Literal["plain", "ema", "low_dim", "simvq"] = "plain",
        commitment: float = 0.25,
        code_dim: int = 4,
        decay: float = 0.99,
        train_basis: bool = False,
    ) -> None:
        super().__init__()
        if n_outputs != torch.Size(input_shape).numel():
            raise ValueError(
                f"it puts out what it takes in, {torch.Size(input_shape).numel()} numbers, not {n_outputs}"
            )
        if any(side % 2**downsample for side in input_shape[1:]):
            raise ValueError(f"sides {list(input_shape[1:])} cannot be halved {downsample} times")
        flat = len(input_shape) == 2
        convolution = nn.Conv1d if flat else nn.Conv2d
        transposed = nn.ConvTranspose1d if flat else nn.ConvTranspose2d
        channels = input_shape[0]
        down: list[nn.Module] = []
        up: list[nn.Module] = [convolution(dim, width, 3, padding=1), nn.ReLU()]
        for step in range(downsample):
            down += [convolution(width if step else channels, width, 4, 2, padding=1), nn.ReLU()]
            last = step == downsample - 1
            up += [transposed(width, channels if last else width, 4, 2, padding=1), *([] if last else [nn.ReLU()])]
        self.encoder = nn.Sequential(*down, convolution(width, dim, 3, padding=1))
        self.quantizer = VectorQuantizer(n_codes, dim, kind, commitment, code_dim, decay, train_basis)
        self.decoder = nn.Sequential(*up)

    def decode(self, values: Tensor, sides: Sequence[int]) -> Tensor:
        """Codes (batch, places, dim) to (batch, n_outputs); `sides` are those of the map of places."""
        return self.decoder(values.transpose(1, 2).unflatten(2, tuple(sides))).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.reconstruct(x)[0]

    def reconstruct(self, x: Tensor) -> tuple[Tensor, Quantized]:
        """The reconstruction, (batch, n_outputs), and what it was made from."""
        latents = self.encoder(x)
        quantized = self.quantizer(latents.flatten(2).transpose(1, 2))
        return self.decode(quantized.values, latents.shape[2:]), quantized
