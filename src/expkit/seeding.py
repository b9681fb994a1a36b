"""Named randomness: each consumer draws from a stream of its own, derived from the run's seed and its name.

So nothing that is added to a run (a probe, another evaluation point) changes what the others draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, name: str) -> int:
    """A 63-bit seed for the stream `name` of `seed`; distinct names give unrelated streams."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(seed: int, name: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator at the start of the stream `name` of `seed`."""
    return torch.Generator(device).manual_seed(derive(seed, name))


@contextmanager
def stream(seed: int, name: str) -> Iterator[None]:
    """Torch's global generators stand at the start of stream `name` inside, and are as before afterwards."""
    with undisturbed():
        torch.manual_seed(derive(seed, name))
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever is drawn inside, torch's global generators continue afterwards as if it had not been."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield
