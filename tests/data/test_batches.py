"""Batches: a function of the seed and their number, whole epochs, and shares of processes."""

from __future__ import annotations

import itertools

import pytest
import torch

from expkit.data.base import Split, TensorData
from expkit.errors import UserError


class Numbers(TensorData):
    """Example i is the number i."""

    def __init__(self, n: int, batch_size: int | str) -> None:
        super().__init__(spec={"shape": [1]}, batch_size=batch_size)  # type: ignore[arg-type]
        self.n = n

    def draw(self) -> dict[str, Split]:
        return {"train": {"input": torch.arange(self.n).float().unsqueeze(1)}}


def drawn(n: int, batch_size: int | str) -> Numbers:
    data = Numbers(n, batch_size)
    data.setup()
    return data


def of(batch: Split) -> list[int]:
    return batch["input"].flatten().int().tolist()


def test_an_epoch_holds_every_example_once_and_each_has_an_order_of_its_own() -> None:
    data = drawn(12, 4)
    epochs = [[of(data.batch(3 * epoch + part, seed=1)) for part in range(3)] for epoch in range(3)]
    orders = [list(itertools.chain(*epoch)) for epoch in epochs]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_a_batch_does_not_depend_on_those_asked_for_before() -> None:
    straight = drawn(10, 3)
    expected = [of(straight.batch(index, seed=5)) for index in range(9)]
    fresh = drawn(10, 3)
    for index in (8, 0, 4, 8, 7):
        assert of(fresh.batch(index, seed=5)) == expected[index]
    assert of(fresh.batch(0, seed=6)) != expected[0]


def test_a_rest_that_makes_no_whole_batch_waits() -> None:
    data = drawn(10, 4)
    assert data.batches_per_epoch == 2
    assert all(len(of(data.batch(index, seed=0))) == 4 for index in range(6))


def test_full_batches_are_the_data_themselves() -> None:
    data = drawn(10, "full")
    assert data.batch(3, seed=0)["input"].data_ptr() == data.splits["train"]["input"].data_ptr()


@pytest.mark.parametrize("batch_size", [7, "full"])
def test_the_shares_of_processes_make_up_the_batch(batch_size: int | str) -> None:
    data = drawn(20, batch_size)
    whole = of(data.batch(1, seed=2))
    shares = [of(data.batch(1, seed=2, rank=rank, world_size=3)) for rank in range(3)]
    assert sorted(itertools.chain(*shares)) == sorted(whole)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("batch_size", [0, 11])
def test_a_batch_size_that_cannot_be_is_refused(batch_size: int) -> None:
    with pytest.raises(UserError, match=f"data.batch_size={batch_size}"):
        drawn(10, batch_size)


def test_data_that_are_not_what_the_spec_says_are_refused() -> None:
    data = Numbers(5, "full")
    data.spec = {"shape": [2]}
    with pytest.raises(UserError, match=r"have shape \[1\]; data.spec.shape says \[2\]"):
        data.setup()
