"""What a run keeps that is no number over steps: spectra, predictions, masks, pictures, in one file of NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.errors import UserError
from expkit.records.files import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

ARRAYS = "arrays.npz"


def write_arrays(folder: Path, arrays: Mapping[str, Tensor]) -> None:
    """Writes the arrays of a run, in place of those that are there."""
    import numpy as np

    if not arrays:
        (folder / ARRAYS).unlink(missing_ok=True)
        return
    with replacing(folder / ARRAYS) as aside, aside.open("wb") as file:
        plain: dict[str, Any] = {name: values.detach().cpu().numpy() for name, values in arrays.items()}
        np.savez_compressed(file, **plain)


def read_arrays(folder: Path) -> dict[str, NDArray]:
    """The arrays of a run, by name; none where it kept none.

    Raises:
        UserError: the file is damaged, or holds Python objects, which are never loaded.
    """
    import numpy as np

    path = folder / ARRAYS
    if not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
            if not all(isinstance(values, np.ndarray) for values in arrays.values()):
                raise ValueError("it has something else in it")
            return arrays
    except Exception as error:  # of a file from elsewhere NumPy and zipfile raise nearly anything
        raise UserError(f"{path} is not a file of arrays: {error}.", "Run it again with --force.") from error
