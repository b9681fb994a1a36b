"""MNIST and sets in its format (Fashion-MNIST, arXiv 1708.07747; KMNIST, arXiv 1812.01718), from their IDX files."""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from expkit.data.image_files import ImageFiles
from expkit.errors import UserError

UNSIGNED_BYTE = 0x08  # the code of the only element type that these files use


class Mnist(ImageFiles):
    """60,000 training and 10,000 test images of 28 by 28 grey pixels in ten classes, as four IDX files.

    An IDX file is: two zero bytes, the element type, the number of dimensions, each dimension as a big-endian 32-bit
    number, then the elements in row-major order. Files may be plain or compressed (`.gz`). Arguments and columns are
    those of `ImageFiles`.
    """

    source = (
        "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, plain or "
        "as .gz: for MNIST from the MNIST page of Yann LeCun or a mirror of it, for Fashion-MNIST from the repository "
        "of Zalando Research."
    )

    def read(self, name: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        prefix = {"train": "train", "test": "t10k"}[name]
        images_file, images = self._read(f"{prefix}-images-idx3-ubyte", dimensions=3)
        labels_file, labels = self._read(f"{prefix}-labels-idx1-ubyte", dimensions=1)
        if len(images) != len(labels):
            raise self.broken(
                labels_file, f"holds {len(labels)} labels, but {images_file.name} holds {len(images)} images."
            )
        return images.unsqueeze(1), labels.long()

    def _read(self, file: str, dimensions: int) -> tuple[Path, Tensor]:
        candidates = [self.root / file, self.root / f"{file}.gz"]
        path = next((path for path in candidates if path.is_file()), None)
        if path is None:
            raise self.missing(f"{file} or {file}.gz")
        return path, self._parse(path, self._content(path), dimensions)

    def _content(self, path: Path) -> bytearray:
        try:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                return bytearray(file.read())
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise self.broken(path, f"is not a whole gzip file ({error}).") from error
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error

    def _parse(self, path: Path, content: bytearray, dimensions: int) -> Tensor:
        magic = bytes([0, 0, UNSIGNED_BYTE, dimensions])
        if content[:4] != magic:
            raise self.broken(
                path, f"starts with {content[:4].hex(' ')}, but such a file starts with {magic.hex(' ')}."
            )
        header = 4 + 4 * dimensions
        if len(content) < header:
            raise self.broken(path, f"ends after {len(content)} bytes, within its header of {header} bytes.")
        shape = struct.unpack(f">{dimensions}I", content[4:header])
        if len(content) != header + prod(shape):
            raise self.broken(
                path,
                f"has {len(content)} bytes, but its header announces {header + prod(shape)} (shape {list(shape)}).",
            )
        if prod(shape) == 0:
            raise self.broken(path, f"holds nothing (shape {list(shape)}).")
        return torch.frombuffer(content, dtype=torch.uint8, offset=header).reshape(shape)
