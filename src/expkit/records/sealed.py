"""Parquet files that say whether they are what was written: without that, a flipped bit is read as another number."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.errors import UserError

if TYPE_CHECKING:
    import polars

KEY = "expkit"
MARK = b"seal:"
LENGTH = 32  # hexadecimal digits after the mark


def write_sealed(frame: polars.DataFrame, path: Path) -> None:
    """Writes a file that any reader of Parquet can read; among its metadata is a hash of all other bytes."""
    written = io.BytesIO()
    frame.write_parquet(written, metadata={KEY: f"{MARK.decode()}{'0' * LENGTH}"})
    data = written.getvalue()
    begin, end = _place(data)
    path.write_bytes(data[:begin] + _hash(data).encode() + data[end:])


def read_sealed(path: Path) -> polars.DataFrame:
    """The table in a file; one that was written by something else has no seal, and is read as it is.

    Raises:
        OSError: there is no such file, or it cannot be read.
        UserError: it is not what was written.
    """
    import polars

    data = Path(path).read_bytes()
    begin, end = _place(data)
    if begin >= 0 and data[begin:end] != _hash(data).encode():
        raise _damaged(path)
    try:
        return polars.read_parquet(io.BytesIO(data))
    except polars.exceptions.PolarsError as error:
        raise _damaged(path) from error


def _place(data: bytes) -> tuple[int, int]:
    """Where the hash is; negative without a seal. Metadata come last, and so does the mark, if data look like it."""
    mark = data.rfind(MARK)
    begin = mark + len(MARK) if mark >= 0 else -1
    return begin, begin + LENGTH


def _hash(data: bytes) -> str:
    """Of all but the hash itself."""
    begin, end = _place(data)
    return hashlib.blake2b(data[:begin] + data[end:], digest_size=LENGTH // 2).hexdigest()


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is damaged: it is not what was written.", "The command that made it makes it again.")
