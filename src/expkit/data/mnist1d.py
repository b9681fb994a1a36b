"""MNIST-1D (arXiv 2011.14439): ten digit-like curves, distorted at random; a small stand-in for image data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from expkit.data.base import Spec, Split, TensorData

# How each digit looks when drawn as a curve of twelve points; the numbers are the paper's.
CURVES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)


class Mnist1d(TensorData):
    """Each example is the curve of its digit, padded with zeros, dilated, scaled, translated, made noisy and sheared.

    The distortions and their default sizes are the published ones (arXiv 2011.14439, section 2 and its code). Two
    things differ, so that the test set does not depend on the size of the training set: classes are balanced within
    each split rather than over both, and both splits are standardized by the mean and standard deviation of 5,000
    further examples rather than of themselves. Published test accuracies: linear 32 %, MLP 68 %, CNN 94 %.

    Columns: 'input' (n, 1, length), 'target' (n,): the digit.

    Args:
        n_train, n_test: numbers of examples; every digit is as frequent as the others, up to one example.
        length: points per example (`final_seq_length` in the published code).
        padding: fewest and most zeros appended to the 12 points of a curve; fewer zeros, wider digit.
        scale: the height is multiplied by a number uniform in 1 +- scale / 2.
        max_translation: shifts are uniform on 0 .. max_translation - 1 of the 12 + padding[1] points, and cyclic.
        correlated_noise: standard deviation of the noise around the digit, before it is smoothed over 2 points.
        noise: standard deviation of the independent noise added to every point.
        shear: a line is subtracted whose rise over the example is uniform in +- shear / 2.
        shuffle_positions: whether the points are permuted, alike in all examples, which removes locality.
    """

    def __init__(
        self,
        n_train: int,
        n_test: int,
        length: int,
        padding: Sequence[int],
        scale: float,
        max_translation: int,
        correlated_noise: float,
        noise: float,
        shear: float,
        shuffle_positions: bool,
        spec: Spec,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if len(padding) != 2 or not 0 <= padding[0] <= padding[1]:
            raise ValueError(f"padding is [fewest, most] zeros, got {list(padding)}")
        if not 1 <= max_translation <= len(CURVES[0]) + padding[1]:
            raise ValueError(f"max_translation is from 1 to 12 + padding[1], got {max_translation}")
        self.n_examples = {"train": n_train, "test": n_test, "statistics": 5000}
        self.length = length
        self.padding = padding
        self.scale = scale
        self.max_translation = max_translation
        self.correlated_noise = correlated_noise
        self.noise = noise
        self.shear = shear
        self.shuffle_positions = shuffle_positions

    def draw(self) -> dict[str, Split]:
        std, mean = torch.std_mean(self._examples("statistics")["input"], correction=0)
        order = torch.arange(self.length)
        if self.shuffle_positions:
            order = torch.randperm(self.length, generator=self.generator("positions"))
        splits = {name: self._examples(name) for name in ("train", "test")}
        return {name: {**split, "input": ((split["input"] - mean) / std)[..., order]} for name, split in splits.items()}

    def _examples(self, name: str) -> Split:
        n, random = self.n_examples[name], self.generator(name)
        low, high = self.padding
        points = len(CURVES[0]) + high
        target = torch.randperm(n, generator=random) % len(CURVES)
        signal = distort(
            templates()[target],
            zeros=torch.randint(low, high + 1, (n,), generator=random),
            gain=1 + self.scale * (torch.rand(n, generator=random) - 0.5),
            shift=torch.randint(self.max_translation, (n,), generator=random),
            background=self.correlated_noise * torch.randn(n, points, generator=random),
            noise=self.noise * torch.randn(n, points, generator=random),
            rise=self.shear * (torch.rand(n, generator=random) - 0.5),
            length=self.length,
        )
        return {"input": signal.unsqueeze(1), "target": target}


def templates() -> Tensor:
    """The ten curves with unit variance, moved to start at 0, divided by 6: shape (10, 12)."""
    curves = torch.tensor(CURVES)
    std, mean = torch.std_mean(curves, dim=1, correction=0, keepdim=True)
    curves = (curves - mean) / std
    return (curves - curves[:, :1]) / 6


def distort(
    curve: Tensor,
    zeros: Tensor,
    gain: Tensor,
    shift: Tensor,
    background: Tensor,
    noise: Tensor,
    rise: Tensor,
    length: int,
) -> Tensor:
    """The published transformation of n curves at once, given everything that is random in it.

    Args:
        curve: (n, t).
        zeros: (n,), how many zeros are appended before the curve is stretched to `points` points.
        gain: (n,), factor of the height.
        shift: (n,), cyclic shift to the right, in points.
        background: (n, points), smoothed with a Gaussian of width 2 and put where there is no curve.
        noise: (n, points), added everywhere.
        rise: (n,), of the line that is subtracted.
        length: points of the result.

    Shapes: -> (n, length).
    """
    points = background.shape[1]
    position = (torch.arange(points) - shift[:, None]) % points * (curve.shape[1] + zeros[:, None] - 1) / (points - 1)
    signal = gain[:, None] * _interpolate(curve, position)
    signal = torch.where(position < curve.shape[1], signal, _smooth(background)) + noise
    signal = signal - rise[:, None] * torch.linspace(-0.5, 0.5, points)
    return F.interpolate(signal.unsqueeze(1), size=length, mode="linear", align_corners=True).squeeze(1)


def _interpolate(curve: Tensor, position: Tensor) -> Tensor:
    """Values of each curve, zero beyond its end, at real-valued positions."""
    padded = F.pad(curve, (0, 1))
    left = position.floor()
    at = left.long().clamp(max=curve.shape[1])
    following = (at + 1).clamp(max=curve.shape[1])
    return torch.lerp(padded.gather(1, at), padded.gather(1, following), position - left)


def _smooth(signal: Tensor, sigma: float = 2.0, radius: int = 8) -> Tensor:
    """Gaussian filter along the last dimension, the signal being mirrored at its ends."""
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    mirrored = torch.cat([signal[:, :radius].flip(1), signal, signal[:, -radius:].flip(1)], dim=1)
    return F.conv1d(mirrored.unsqueeze(1), (kernel / kernel.sum()).view(1, 1, -1)).squeeze(1)
