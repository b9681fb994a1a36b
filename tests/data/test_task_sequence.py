"""Tasks one after another: what an epoch visits, in both engines, and what is permuted."""

from __future__ import annotations

import pytest
import torch

from expkit.data.base import TensorData
from expkit.data.permuted_tasks import PermutedTasks
from expkit.errors import UserError

SPEC = {"shape": [2, 3], "classes": 4}


class Counting(TensorData):
    """Inputs whose values say where they are."""

    def draw(self):
        inputs = torch.arange(6.0).view(2, 3) + 10 * torch.arange(12).view(12, 1, 1)
        split = {"input": inputs, "target": torch.arange(12) % 4}
        return {"train": split, "test": {name: values[:5] for name, values in split.items()}}


def made(**arguments) -> PermutedTasks:
    data = PermutedTasks(Counting(SPEC), SPEC, n_tasks=3, epochs_per_task=2, batch_size=5, seed=1, **arguments)
    data.setup()
    return data


def test_tasks_are_the_same_examples_in_other_orders() -> None:
    data = made()
    assert {name: len(split["task"]) for name, split in data.splits.items()} == {"train": 36, "test": 15}
    parts = data.splits["train"]["input"].view(3, 12, 6)
    assert torch.equal(parts[0], Counting(SPEC).draw()["train"]["input"].flatten(1))
    for part in parts[1:]:
        assert not torch.equal(part, parts[0])
        order = part[0].argsort()
        assert torch.equal(part[:, order], parts[0])  # one order for all examples
    assert not torch.equal(parts[1], parts[2])
    assert torch.equal(data.splits["train"]["target"].view(3, 12)[2], torch.arange(12) % 4)


def test_an_epoch_visits_its_own_task() -> None:
    data = made()
    assert (data.batches_per_epoch, data.steps_per_task) == (2, 4)
    for epoch, task in [(0, 0), (1, 0), (2, 1), (5, 2), (9, 2)]:
        assert data.epoch_order(epoch, seed=0).sort().values.tolist() == list(range(12 * task, 12 * task + 12))
    tasks = [data.batch(index, seed=0)["task"].unique().tolist() for index in range(14)]
    assert tasks == [[0]] * 4 + [[1]] * 4 + [[2]] * 6
    assert not torch.equal(data.epoch_order(0, seed=0), data.epoch_order(1, seed=0))


def test_replay_draws_its_share_from_earlier_tasks() -> None:
    data = made(replay=0.5)
    assert data.epoch_order(0, seed=0).max() < 12  # there is nothing earlier
    tasks = torch.stack([data.epoch_order(4, seed) // 12 for seed in range(400)])
    shares = [(tasks == task).float().mean().item() for task in range(3)]
    assert shares == pytest.approx([0.25, 0.25, 0.5], abs=0.03)


def test_a_batch_of_everything_is_refused() -> None:
    with pytest.raises(UserError, match="of all tasks at once"):
        PermutedTasks(Counting(SPEC), SPEC)
