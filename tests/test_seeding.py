from __future__ import annotations

import torch

from expkit.seeding import derive, generator, stream, undisturbed


def test_streams_are_told_apart_by_seed_and_name() -> None:
    seeds = {derive(seed, name) for seed in range(50) for name in ("data", "initialization", "order/1", "order/11")}
    assert len(seeds) == 200
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive(1, "1/x") != derive(11, "/x")


def test_derived_seeds_never_change() -> None:
    # Records rest on them: another derivation would silently make other runs of the same id.
    assert derive(0, "initialization") == 3527746116144597499


def test_streams_of_neighbouring_seeds_are_uncorrelated() -> None:
    draws = torch.stack([torch.randn(2000, generator=generator(seed, "data")) for seed in range(20)])
    correlations = torch.corrcoef(draws)[~torch.eye(20, dtype=torch.bool)]
    assert correlations.abs().max() < 5 / 2000**0.5


def test_inside_a_stream_the_global_generator_is_its_own_and_afterwards_as_before() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with stream(5, "initialization"):
        first = torch.rand(2)
    with undisturbed():
        torch.rand(100)
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(first, torch.rand(2, generator=generator(5, "initialization")))
