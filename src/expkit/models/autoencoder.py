"""Autoencoder: two perceptrons with a narrow layer between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from expkit.models.mlp import MLP


class Autoencoder(nn.Module):
    """decoder(encoder(x)) with an encoder R^n -> R^latent and a decoder R^latent -> R^n, each with hidden layers.

    With `activation="identity"` the best that squared error allows is the projection onto the first `latent`
    principal components (Baldi and Hornik 1989).

    Args:
        input_shape: of one example; flattened, and n numbers in all.
        n_outputs: n; what the reconstruction task asks for.
        latent: size of the code.
        width, depth: of the hidden layers of the encoder, and likewise of the decoder.
        activation, norm, dropout, bias, init, init_scale: as for `MLP`, in encoder and decoder.

    Shapes: (batch, *input_shape) -> (batch, n_outputs).

    Raises:
        ValueError: `n_outputs` is not the size of an input.
    """

    accepts = ("vector", "signal", "image")

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        latent: int = 8,
        width: int = 128,
        depth: int = 1,
        activation: str = "relu",
        norm: Literal["none", "layernorm", "batchnorm"] = "none",
        dropout: float = 0.0,
        bias: bool = True,
        init: Literal["torch", "he", "lecun", "xavier", "orthogonal"] = "torch",
        init_scale: float = 1.0,
    ) -> None:
        super().__init__()
        n_inputs = torch.Size(input_shape).numel()
        if n_outputs != n_inputs:
            raise ValueError(
                f"an autoencoder puts out what it takes in, {n_inputs} numbers, but the task needs {n_outputs}; "
                "its task is reconstruction"
            )

        def perceptron(n_in: int, n_out: int) -> MLP:
            return MLP(
                [n_in],
                n_out,
                width=width,
                depth=depth,
                activation=activation,
                norm=norm,
                dropout=dropout,
                bias=bias,
                init=init,
                init_scale=init_scale,
            )

        self.encoder = perceptron(n_inputs, latent)
        self.decoder = perceptron(latent, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))
