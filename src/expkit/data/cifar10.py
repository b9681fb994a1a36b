"""CIFAR-10 from the batches of its Python version, read without running what a pickle may contain."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import torch
from torch import Tensor

from expkit.data.image_files import ImageFiles
from expkit.errors import UserError

SHAPE = (3, 32, 32)
CLASSES = 10


class Cifar10(ImageFiles):
    """50,000 training and 10,000 test images of 32 by 32 pixels in colour and ten classes (Krizhevsky, 2009).

    A batch is a pickled dictionary with b'data', uint8 of shape (n, 3072), and b'labels', n numbers. Nothing else that
    a pickle could call is called. Arguments and columns are those of `ImageFiles`.
    """

    source = (
        "data_batch_1 to data_batch_5 and test_batch: the folder cifar-10-batches-py of the 'CIFAR-10 python version', "
        "unpacked, from the CIFAR page of Alex Krizhevsky at the University of Toronto."
    )

    def read(self, name: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
        files = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}[name]
        batches = [self._read(file) for file in files]
        return torch.cat([pixels for pixels, _ in batches]), torch.cat([labels for _, labels in batches])

    def _read(self, file: str) -> tuple[Tensor, Tensor]:
        path = self.root / file
        if not path.is_file():
            raise self.missing(file)
        batch = self._unpickle(path)
        data = batch.get(b"data") if isinstance(batch, dict) else None
        labels = batch.get(b"labels") if isinstance(batch, dict) else None
        if not isinstance(data, np.ndarray) or not isinstance(labels, list):
            raise self.broken(path, "is not a dictionary with an array b'data' and a list b'labels'.")
        wanted = (len(labels), torch.Size(SHAPE).numel())
        if data.dtype != np.uint8 or data.shape != wanted or not labels:
            raise self.broken(
                path, f"b'data' is {data.dtype} of shape {data.shape}, but for {len(labels)} labels uint8 of {wanted}."
            )
        if not all(type(label) is int and 0 <= label < CLASSES for label in labels):
            raise self.broken(path, f"b'labels' holds something else than numbers from 0 to {CLASSES - 1}.")
        return torch.from_numpy(data.copy()).reshape(-1, *SHAPE), torch.tensor(labels)

    def _unpickle(self, path: Path) -> Any:
        try:
            with path.open("rb") as file:
                return ArrayUnpickler(file, path).load()
        except UserError:
            raise
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error
        except Exception as error:  # a damaged pickle can raise nearly anything
            raise self.broken(path, f"is not a whole pickle ({type(error).__name__}: {error}).") from error


class ArrayUnpickler(pickle.Unpickler):
    """Reads pickles of numbers, text, containers of them, and numpy arrays; refuses every other class or function.

    Strings of Python 2 become bytes.

    Raises:
        UserError: the pickle asks for something else.
    """

    # numpy renamed numpy.core to numpy._core; the function is taken from an array, so neither has to exist
    ADMITTED = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file, encoding="bytes")
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ADMITTED:
            raise UserError(
                f"{self.path} asks for {module}.{name}, which no file of this data set contains; it was not run.",
                "It may have been made to do harm: do not open it by other means; get it from where it was published.",
            )
        return self.ADMITTED[module, name]
