"""File systems that are small, or that become read-only, where this user may mount any."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, kibibytes: int) -> Iterator[Path]:
    """An empty file system in memory, of that size."""
    folder.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def set_size(folder: Path, kibibytes: int) -> None:
    mount("-o", f"remount,size={kibibytes}k", str(folder))


def set_read_only(folder: Path, read_only: bool) -> None:
    """With files open for writing a file system stays writable; each of a training's is open for moments only."""
    mount("-o", f"remount,{'ro' if read_only else 'rw'}", str(folder))


def may_mount(folder: Path) -> bool:
    try:
        with small_disk(folder, 64):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
