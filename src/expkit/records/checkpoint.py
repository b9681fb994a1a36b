"""Reading checkpoints: whole ones only. torch itself takes a flipped bit in a weight for another weight."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

from expkit.errors import UserError


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The tensors and plain values that `torch.save` wrote, on the CPU.

    Raises:
        UserError: there is no such file, it is damaged, or it holds anything else.
    """
    import torch

    try:
        with zipfile.ZipFile(path) as file:
            wrong = file.testzip()  # torch writes checksums, and does not look at them
        if wrong is not None:
            raise zipfile.BadZipFile(f"{wrong} is not what was written")
        loaded = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    except FileNotFoundError as error:
        raise UserError(f"There is no checkpoint {path}.") from error
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise UserError(
            f"The checkpoint {path} is damaged: {str(error).splitlines()[0]}.",
            "`expkit train` with the run's overrides and --force makes the run anew.",
        ) from error
    if not isinstance(loaded, dict):
        raise UserError(f"{path} is not a checkpoint.")
    return loaded
