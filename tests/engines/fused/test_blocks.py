"""Steps made in blocks: the same numbers as in one piece, in memory of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from expkit.engines.fused.blocks import Blocks, block_size, writing
from expkit.engines.fused.cache_size import USUAL, cache_size

IN_DIMS = (0, 0, {"input": None, "target": 0}, 0)
"""Parameters, state, batch, learning rates."""


def step(parameters: dict[str, Tensor], state: Any, batch: dict[str, Tensor], lr: Tensor) -> tuple[Any, Any]:
    """Momentum on a linear model; also returns an input as it is, and a number that all runs have in common."""
    w = parameters["w"]
    gradient = torch.einsum("rn,nd->rd", torch.einsum("nd,rd->rn", batch["input"], w) - batch["target"], batch["input"])
    momentum = 0.9 * state["momentum"] + gradient
    w = w - lr[:, None] * momentum
    return {"w": w, "start": parameters["start"]}, {"momentum": momentum, "count": state["count"] + 1}


def arguments(runs: int, examples: int = 5) -> tuple[Any, ...]:
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    state = {"momentum": draw(runs, 3), "count": torch.tensor(0)}
    batch = {"input": draw(examples, 3), "target": draw(runs, examples)}
    return {"w": draw(runs, 3), "start": draw(runs, 3)}, state, batch, draw(runs).abs() / 100


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7])
def test_many_steps_are_those_of_the_whole_stack(size: int) -> None:
    parameters, state, batch, lr = arguments(7, examples=7)  # as many examples as runs: what is shared is not divided
    whole, blocks = (parameters, state), Blocks(IN_DIMS)
    divided = (parameters, state)
    for _ in range(4):
        whole = step(*whole, batch, lr)
        divided = blocks.step(writing(step), (*divided, batch, lr), size)
    torch.testing.assert_close(divided, whole, rtol=0, atol=1e-13)
    assert divided[1]["count"] == 4


def test_tensors_from_elsewhere_are_not_changed() -> None:
    given = arguments(7)
    before = arguments(7)
    blocks = Blocks(IN_DIMS)
    first = blocks.step(writing(step), given, 3)
    blocks.step(writing(step), (*first, *given[2:]), 3)
    torch.testing.assert_close(given, before, rtol=0, atol=0)


def test_weights_take_turns_between_two_places() -> None:
    given = arguments(7)
    blocks = Blocks(IN_DIMS)
    places, result = [], given[:2]
    for _ in range(6):
        result = blocks.step(writing(step), (*result, *given[2:]), 3)
        places.append((result[0]["w"].data_ptr(), result[0]["start"].data_ptr(), result[1]["momentum"].data_ptr()))
    assert places == places[:2] * 3
    assert len({*places[0], *places[1]}) == 6


def test_a_step_made_again_from_older_tensors() -> None:
    parameters, state, batch, lr = arguments(7)
    blocks = Blocks(IN_DIMS)
    first = blocks.step(writing(step), (parameters, state, batch, lr), 3)
    expected = step(*step(parameters, state, batch, lr), batch, lr)
    for _ in range(3):
        torch.testing.assert_close(blocks.step(writing(step), (*first, batch, lr), 3), expected, rtol=0, atol=1e-13)


def test_runs_may_leave() -> None:
    parameters, state, batch, lr = arguments(9)
    left = torch.tensor([0, 2, 3, 5, 8])

    def kept(parameters: Any, state: Any) -> tuple[Any, Any]:
        own = {name: values[left] for name, values in parameters.items()}
        return own, {"momentum": state["momentum"][left], "count": state["count"]}

    few, rates = {**batch, "target": batch["target"][left]}, lr[left]
    blocks = Blocks(IN_DIMS)
    divided = kept(*blocks.step(writing(step), (parameters, state, batch, lr), 4))
    divided = blocks.step(writing(step), (*divided, few, rates), 4)
    expected = step(*kept(*step(parameters, state, batch, lr)), few, rates)
    torch.testing.assert_close(divided, expected, rtol=0, atol=1e-13)


def test_the_working_set_of_a_block_fits_and_blocks_are_alike() -> None:
    for runs in (1, 5, 64, 100, 4096):
        for bytes_per_run in (1, 1000, 17_408, 10**6, 10**9):
            size = block_size(runs, bytes_per_run, cache=10**6)
            assert 1 <= size <= runs
            assert size == 1 or size * bytes_per_run <= 10**6
            assert size == runs or 2 * size > min(runs, 10**6 // bytes_per_run)  # no smaller than it has to be
            blocks = -(-runs // size)
            assert blocks * size - runs < blocks  # less than one run of each is made twice


def test_many_small_operations_are_made_for_many_runs_at_once() -> None:
    kibibyte, cache = 2**10, 2**25
    # A graph network: 70 MB of 40 KB an operation. A perceptron: as much, of 700 KB an operation.
    assert block_size(5, 70_000 * kibibyte, cache, operations=1750) == 5
    assert block_size(5, 70_000 * kibibyte, cache, operations=100) == 1
    assert block_size(100, 70_000 * kibibyte, cache, operations=1750) == 7


def test_the_cache_is_the_largest_that_the_system_names(tmp_path: Path) -> None:
    for number, size in enumerate(["48K", "32K\n", "1024K", "32M", "", "?"]):
        (tmp_path / f"index{number}").mkdir()
        (tmp_path / f"index{number}" / "size").write_text(size)
    assert cache_size(tmp_path) == 32 * 2**20
    assert cache_size(tmp_path / "nothing") == USUAL
