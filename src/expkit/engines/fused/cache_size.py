"""How much the cache that all cores of a processor share can hold."""

from __future__ import annotations

import functools
from pathlib import Path

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
USUAL = 8 * 2**20  # where the system does not say

_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


@functools.cache
def cache_size(caches: Path = CACHES) -> int:
    """Bytes of the largest cache of the first core.

    Args:
        caches: where Linux describes them, each in a folder with a file `size` such as '32768K'.
    """
    return max((_bytes(file) for file in caches.glob("index*/size")), default=0) or USUAL


def _bytes(file: Path) -> int:
    try:
        text = file.read_text().strip()
        return int(text[:-1]) * _UNITS[text[-1]]
    except (OSError, ValueError, KeyError, IndexError):
        return 0
