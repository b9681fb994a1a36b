"""Inputs of every kind as sequences of vectors, for recurrent models and transformers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class SequenceInput(nn.Module):
    """Reads an input as a sequence.

    =======  ========================  =======================================  =================
    kind     shape of an input         steps                                    features per step
    =======  ========================  =======================================  =================
    tokens   [length], with `vocab`    the tokens                               `embed_dim`
    vector   [d]                       d / patch                                patch
    signal   [channels, length]        length / patch, in order of time         channels * patch
    image    [channels, h, w]          h rows, or (h w) / patch^2 patches       channels * w, or channels * patch^2
    =======  ========================  =======================================  =================

    Args:
        input_shape: of one example.
        vocab: inputs are integers below this; None for real-valued inputs.
        embed_dim: size of a token's vector; real-valued inputs are left as they are unless `project`.
        project: whether the features of real-valued inputs are mapped to `embed_dim` by a learned affine map.
        patch: how much of the input one step holds: a number of places in time, or the side of an image's patches
            (arXiv 2010.11929). None: single places, and rows of an image.

    Attributes: `length`, the number of steps; `features`, the numbers per step that come out.

    Shapes: (batch, *input_shape) -> (batch, length, features).

    Raises:
        ValueError: the shape is none of these, or the patch does not divide it.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        vocab: int | None,
        embed_dim: int,
        project: bool = False,
        patch: int | None = None,
    ) -> None:
        super().__init__()
        shape = list(input_shape)
        self.kind = _kind(shape, vocab)
        self.patch = patch
        self.length, self.features = _sequence_shape(self.kind, shape, patch)
        self.embedding: nn.Module = nn.Identity()
        if vocab is not None:
            self.embedding = nn.Embedding(vocab, embed_dim)
            self.features = embed_dim
        elif project:
            self.embedding = nn.Linear(self.features, embed_dim)
            self.features = embed_dim

    def forward(self, x: Tensor) -> Tensor:
        return self.embedding(self._steps(x))

    def _steps(self, x: Tensor) -> Tensor:
        if self.kind == "tokens":
            return x
        if self.kind == "image":
            side = (1, x.shape[-1]) if self.patch is None else (self.patch, self.patch)
            patches = x.unflatten(3, (-1, side[1])).unflatten(
                2, (-1, side[0])
            )  # (batch, channels, rows, p, columns, p)
            return patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
        signal = x.unsqueeze(1) if self.kind == "vector" else x
        return signal.unflatten(2, (-1, self.patch or 1)).transpose(1, 2).flatten(2)


def _kind(shape: list[int], vocab: int | None) -> str:
    kinds = {1: "vector" if vocab is None else "tokens", 2: "signal", 3: "image"}
    if len(shape) not in kinds or (vocab is not None and len(shape) != 1):
        what = "tokens have shape [length]" if vocab is not None else "a sequence is read from 1, 2 or 3 dimensions"
        raise ValueError(f"{what}, got an input of shape {shape}")
    return kinds[len(shape)]


def _sequence_shape(kind: str, shape: list[int], patch: int | None) -> tuple[int, int]:
    if kind == "tokens":
        if patch is not None:
            raise ValueError("tokens are not cut into patches; leave patch out")
        return shape[0], 0
    if kind == "image" and patch is None:
        return shape[1], shape[0] * shape[2]
    side = patch or 1
    channels, sizes = (1, shape) if kind == "vector" else (shape[0], shape[1:])
    if side < 1 or any(size % side for size in sizes):
        raise ValueError(f"patch {side} does not divide the input's {' x '.join(map(str, sizes))}")
    length, features = 1, channels
    for size in sizes:
        length, features = length * (size // side), features * side
    return length, features
