"""Which examples a process is given of each batch: over all processes every one of the batch, and none twice."""

from __future__ import annotations

import pytest
import torch

from expkit.data.base import Split, TensorData
from expkit.data.permuted_tasks import PermutedTasks

SEED = 3
WORLDS = (1, 2, 3, 5)


class Numbered(TensorData):
    """n examples, each its own number."""

    def __init__(self, n: int, batch_size: int | str) -> None:
        super().__init__({"shape": [1]}, batch_size=batch_size)  # type: ignore[arg-type]
        self.n = n

    def draw(self) -> dict[str, Split]:
        return {"train": {"input": torch.arange(float(self.n))[:, None], "row": torch.arange(self.n)}}


def shares(data: TensorData, index: int, world: int) -> list[list[float]]:
    """The examples of each process, by their inputs' sums."""
    batches = [data.batch(index, SEED, rank, world) for rank in range(world)]
    return [batch["input"].double().flatten(1).sum(1).tolist() for batch in batches]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize(("n", "size"), [(20, 5), (23, 5), (23, 7), (23, 23), (23, "full"), (24, "full"), (11, 6)])
def test_an_epoch_is_divided_without_rest_or_repetition(n: int, size: int | str, world: int) -> None:
    data = Numbered(n, size)
    data.setup()
    length = n if size == "full" else int(size)
    for epoch in range(3):
        visited: list[float] = []
        for position in range(data.batches_per_epoch):
            index = epoch * data.batches_per_epoch + position
            own = shares(data, index, world)
            assert max(map(len, own)) - min(map(len, own)) <= 1
            joined = [example for share in own for example in share]
            assert len(joined) == length
            assert sorted(joined) == sorted(shares(data, index, 1)[0])  # the batch of a single process
            visited += joined
        assert len(set(visited)) == len(visited) == n - n % length  # a rest waits for another epoch's order
    assert n % length == 0 or set(visited) != set(range(n))


@pytest.mark.parametrize("world", WORLDS)
def test_every_example_has_its_turn_over_epochs(world: int) -> None:
    data = Numbered(23, 5)
    data.setup()
    seen = {e for index in range(10 * data.batches_per_epoch) for share in shares(data, index, world) for e in share}
    assert seen == set(range(23))


def test_columns_of_an_example_stay_together() -> None:
    data = Numbered(23, 7)
    data.setup()
    for rank in range(3):
        batch = data.batch(4, SEED, rank, 3)
        assert torch.equal(batch["input"][:, 0].long(), batch["row"])


@pytest.mark.parametrize("world", WORLDS)
def test_tasks_that_come_one_after_another_are_divided_alike(world: int) -> None:
    of = Numbered(30, "full")
    of.spec = {"shape": [1]}
    data = PermutedTasks(of=of, spec={"shape": [1]}, n_tasks=2, epochs_per_task=1, batch_size=7)
    data.setup()
    for epoch in range(2):
        tasks, rows = [], []
        for position in range(data.batches_per_epoch):
            for rank in range(world):
                batch = data.batch(epoch * data.batches_per_epoch + position, SEED, rank, world)
                tasks += batch["task"].tolist()
                rows += batch["row"].tolist()
        assert set(tasks) == {epoch}
        assert len(set(rows)) == len(rows) == 28
