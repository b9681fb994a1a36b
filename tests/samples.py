"""Samples of a study, for tests."""

from __future__ import annotations

from expkit.studies.sample import Sample


def sample(values: list[float], name: str = "x", seeds: list[str] | None = None, expected: int | None = None) -> Sample:
    own = seeds or [f"seed={i}" for i in range(len(values))]
    return Sample(name, tuple(values), tuple(own), expected or len(set(own)))
