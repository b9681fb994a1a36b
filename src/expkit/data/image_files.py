"""The base of image data sets that are read from files in a folder that the user names."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from expkit.data.base import Spec, Split, TensorData
from expkit.data.splitting import choose
from expkit.errors import UserError


class ImageFiles(TensorData):
    """Images of 8-bit pixels with labels, read whole; nothing is downloaded.

    Columns: 'input' (n, channels, height, width), from 0 to 1 or standardized, 'target' (n,), 'row' (in the files).

    Args:
        root: folder that holds the files.
        n_train, n_test: how many images are used, drawn at random with the classes in their proportions; None for all.
        standardize: whether each channel is shifted and scaled to mean 0 and standard deviation 1 over all images of
            the training files, however many of them are used.
    """

    source: ClassVar[str]
    """What the folder has to hold, and where that is found, in words."""

    def __init__(
        self,
        root: str,
        spec: Spec,
        n_train: int | None = None,
        n_test: int | None = None,
        standardize: bool = False,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        self.root = Path(root).expanduser()
        self.wanted = {"train": n_train, "test": n_test}
        self.standardize = standardize

    @abstractmethod
    def read(self, name: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        """The pixels, uint8 of shape (n, channels, height, width), and labels, int64 of shape (n,), of one split.

        Raises:
            UserError: a file is missing or is not what it should be.
        """

    def draw(self) -> dict[str, Split]:
        if not self.root.is_dir():
            raise UserError(f"data.root={self.root} is not a folder.", f"Name the folder that holds {self.source}")
        pixels, labels = self.read("train")
        mean, std = _channel_statistics(pixels) if self.standardize else (0.0, 1.0)
        splits = {"train": (pixels, labels), "test": self.read("test")}
        return {name: self._split(name, *split, mean, std) for name, split in splits.items()}

    def _split(self, name: str, pixels: Tensor, labels: Tensor, mean: Tensor | float, std: Tensor | float) -> Split:
        rows = choose(labels, self.wanted[name], self.generator(name), name)
        return {"input": pixels[rows].float().div_(255).sub_(mean).div_(std), "target": labels[rows], "row": rows}

    def missing(self, file: str) -> UserError:
        return UserError(
            f"There is no file {file} in {self.root}.", f"data.root is the folder that holds {self.source}"
        )

    def broken(self, path: Path, found: str) -> UserError:
        return UserError(f"{path}: {found}", f"Replace it by an intact one. The folder holds {self.source}")


def _channel_statistics(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of pixels / 255 per channel, each (channels, 1, 1), from counts of the 256 levels."""
    levels = torch.arange(256, dtype=torch.float64) / 255
    counts = torch.stack([channel.flatten().bincount(minlength=256) for channel in pixels.unbind(1)]).double()
    shares = counts / counts.sum(1, keepdim=True)
    mean = shares @ levels
    std = (shares @ levels**2 - mean**2).clamp(min=0).sqrt()
    return mean.float()[:, None, None], torch.where(std > 0, std, 1.0).float()[:, None, None]
