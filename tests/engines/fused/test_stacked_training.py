"""The core of a fused training: a thousand runs without a thousand tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from fits import alone, configs, settings, stacked, trainings

from expkit.engines.fused.builds import build_all

DOUBLE = ["trainer.precision=64-true"]


def test_gradient_descent_on_a_linear_model_is_its_closed_form() -> None:
    # Mean squared error on X w with outputs y: w_t = w* + (1 - 2 lr X'X / n)^t (w_0 - w*).
    rates = torch.linspace(0.001, 0.02, 300, dtype=torch.float64)
    (base,) = configs(
        "data=diabetes", "model=linear", "optimizer=sgd", "trainer.max_steps=7", *DOUBLE, sweep=["seed=0"]
    )
    runs = [{**base, "optimizer": {**base["optimizer"], "lr": float(rate)}} for rate in rates]
    training = stacked(runs)
    train = {name: values.double() for name, values in training.stack.splits["train"].items()}
    x = torch.cat([train["input"].flatten(1), torch.ones(len(train["input"]), 1)], dim=1)  # the bias is a weight
    names = sorted(training.stack.parameters, key=lambda name: name.endswith("bias"))

    def weights() -> torch.Tensor:
        return torch.cat([training.stack.parameters[name].flatten(1) for name in names], dim=1)

    initial = weights()
    for _ in range(7):
        training.advance()
    n = len(x)
    solution = torch.linalg.lstsq(x, train["target"].reshape(n, 1)).solution.squeeze(1)
    shrink = torch.linalg.matrix_power(torch.eye(x.shape[1]) - 2 * rates[:, None, None] * (x.T @ x) / n, 7)
    torch.testing.assert_close(weights(), solution + torch.einsum("rij,rj->ri", shrink, initial - solution))
    loss = (x @ weights().T - train["target"].reshape(n, 1)).square().mean(0)
    torch.testing.assert_close(training.evaluate()["train/loss"], loss)


def test_a_run_of_many_is_what_it_is_alone(tmp_path: Path) -> None:
    runs = configs(
        "data=wine", "model.width=6", "data.batch_size=20", "trainer.max_steps=12", *DOUBLE,
        sweep=["seed=0 data.seed=3", "seed=1 data.seed=3", "seed=1 data.seed=4"],
    )  # fmt: skip
    assert not stacked(runs).batches.same
    training = stacked(runs * 4)
    for _ in range(12):
        training.advance()
    training.keep([9, 1, 5])
    metrics = training.evaluate()
    for place, number in enumerate((0, 1, 2)):
        _, rows = alone(runs[number], tmp_path / str(number))
        for name, values in metrics.items():
            assert float(values[place]) == pytest.approx(rows[-1][name], rel=1e-10)


def test_runs_that_take_the_same_batches_are_handed_them_once(tmp_path: Path) -> None:
    runs = configs(
        "data=wine", "model.width=6", "data.batch_size=20", "trainer.max_steps=15", *DOUBLE,
        sweep=["optimizer.lr=0.001", "optimizer.lr=0.01", "optimizer.lr=0.1"],
    )  # fmt: skip
    training = stacked(runs)
    assert training.batches.same
    for step in range(15):
        training.advance()
        if step == 4:
            training.keep([2, 0])
    losses = training.evaluate()["test/loss"]
    for loss, number in zip(losses, (2, 0), strict=True):
        assert float(loss) == pytest.approx(alone(runs[number], tmp_path / str(number))[1][-1]["test/loss"], rel=1e-10)


def test_buffers_that_steps_leave_alone_are_not_copied(tmp_path: Path) -> None:
    """Masks and remembered weights stay the same tensors; running statistics are those of a run by itself."""
    runs = configs(
        "data=wine", "model=mlp", "model.width=6", "model.norm=batchnorm", "transforms=[prunable]",
        "trainer.max_steps=5", *DOUBLE, sweep=["seed=0", "seed=1"],
    )  # fmt: skip
    training = stacked(runs)
    before = dict(training.stack.buffers)
    while training.step < training.max_steps:
        training.advance()
    changed = {name for name, own in training.stack.buffers.items() if own is not before[name]}
    assert changed == {name for name in before if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    assert len(before) > len(changed) > 0
    for place, run in enumerate(runs):
        (own,) = trainings([run], tmp_path / str(place))
        settings(run).fit(own)
        for name in changed:
            assert torch.allclose(training.stack.buffers[name][place], own.task.get_buffer(name), rtol=1e-10), name


def test_what_runs_share_is_read_and_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = configs("data=two_moons", sweep=["seed=0"])
    (other,) = configs("data=two_moons", "data.seed=0", sweep=["seed=1"])
    runs = [
        {**config, "optimizer": {**config["optimizer"], "lr": 1e-5 * n}} for n in range(2000) for config in (one, other)
    ]
    read: list[int] = []
    dumps = json.dumps
    monkeypatch.setattr(json, "dumps", lambda part, **how: read.append(id(part)) or dumps(part, **how))
    builds = build_all(runs)
    assert len(read) == len(set(read)) <= 8  # data, model, transforms and task of two configurations
    assert len(builds.tasks) == len(builds.data) == 4000
    assert [len(set(map(id, each))) for each in (builds.tasks[::2], builds.tasks[1::2], builds.data)] == [1, 1, 1]
    assert builds.tasks[0] is not builds.tasks[1]


def test_equal_parts_need_not_be_the_same_object() -> None:
    runs = configs("data=two_moons", sweep=["optimizer.lr=0.1", "optimizer.lr=0.2", "data.noise=0.2", "seed=2"])
    builds = build_all(runs)
    assert [builds.tasks.index(task) for task in builds.tasks] == [0, 0, 0, 3]
    assert [builds.data.index(one) for one in builds.data] == [0, 0, 2, 3]


@pytest.mark.parametrize("size", [1, 3, 5])
def test_blocks_of_runs_give_the_same_as_all_at_once(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    runs = configs(
        "data=wine", "model.width=6", "data.batch_size=20", "optimizer=adamw", "trainer.max_steps=15", *DOUBLE,
        sweep=[f"seed={seed}" for seed in range(11)],
    )  # fmt: skip

    def trained() -> dict[str, torch.Tensor]:
        training = stacked(runs)
        for step in range(15):
            if step == 8:
                training.keep([10, 0, 3, 4, 7, 2, 9])
            training.advance()
        return training.evaluate()

    whole = trained()
    monkeypatch.setattr("expkit.engines.fused.pace.block_size", lambda runs, *_: min(runs, size))
    for name, values in trained().items():
        torch.testing.assert_close(values, whole[name], rtol=1e-12, atol=1e-14)
