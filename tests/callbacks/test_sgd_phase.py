"""A phase of gradient descent on linear least squares, whose course is known, and inside of runs."""

from pathlib import Path

import pytest
import torch
from torch import nn

from expkit.callbacks.sgd_phase import SGDPhase
from expkit.data.base import TensorData
from expkit.records.arrays import read_arrays
from expkit.tasks.supervised import Regression
from support import train

N, D = 40, 5


class Linear(TensorData):
    def draw(self):
        draw = self.generator("train")
        inputs = torch.randn(N, D, generator=draw, dtype=torch.float64)
        target = inputs @ torch.randn(D, 1, generator=draw, dtype=torch.float64)
        return {"train": {"input": inputs, "target": target}}


@pytest.fixture
def data():
    data = Linear(spec={"shape": [D], "targets": 1})
    data.setup()
    return data


@pytest.fixture
def task():
    torch.manual_seed(0)
    return Regression(nn.Linear(D, 1, bias=False).double(), 1).eval()


def act(phase, task, data):
    with torch.no_grad():
        return phase.act(task, data, 0)


def test_full_batches_follow_the_closed_form(task, data):
    x, y = data.splits["train"]["input"], data.splits["train"]["target"]
    covariance = 2 * x.T @ x / N
    best = torch.linalg.solve(covariance, 2 * x.T @ y / N)
    start = task.model.weight.detach().T.clone()
    expected = best + torch.linalg.matrix_power(torch.eye(D) - 0.05 * covariance, 30) @ (start - best)
    metrics = act(SGDPhase(n_steps=30, lr=0.05), task, data)
    assert torch.allclose(task.model.weight.T, expected, rtol=1e-10)
    assert metrics["sgd_phase/loss"] == pytest.approx(float((x @ expected - y).square().mean()))
    assert not task.training
    assert task.model.weight.grad is None


def test_small_batches_visit_every_example_once_an_epoch(task, data):
    seen = []
    own = task.objective
    task.objective = lambda batch: seen.append(batch["input"][:, 0]) or own(batch)
    act(SGDPhase(n_steps=12, lr=0.0, batch_size=7), task, data)
    batches = torch.stack(seen[:12])
    assert batches.shape == (12, 7)
    for epoch in (batches[:5], batches[5:10]):  # 40 examples: five whole batches
        assert len(epoch.flatten().unique()) == 35
    assert not torch.equal(batches[:5], batches[5:10])


def test_momentum_is_torchs(task, data):
    other = Regression(nn.Linear(D, 1, bias=False).double(), 1)
    other.load_state_dict(task.state_dict())
    optimizer = torch.optim.SGD(other.parameters(), lr=0.01, momentum=0.9)
    for _ in range(10):
        optimizer.zero_grad()
        other.objective(data.splits["train"])["loss"].backward()
        optimizer.step()
    act(SGDPhase(n_steps=10, lr=0.01, momentum=0.9), task, data)
    assert torch.allclose(task.model.weight, other.model.weight, rtol=1e-12)


def test_a_batch_larger_than_the_data_is_an_error(task, data):
    with pytest.raises(ValueError, match="batch_size"):
        act(SGDPhase(batch_size=41), task, data)
    with pytest.raises(ValueError, match="n_steps"):
        SGDPhase(n_steps=0)


COMMON = ("data=two_moons", "data.n_train=64", "data.n_test=32", "model.width=8", "logger=none", "optimizer=sgd")


@pytest.mark.slow
def test_a_phase_and_the_same_steps_as_a_run_lead_to_the_same(runs):
    steps = ("data.batch_size=full", "optimizer.lr=0.2")
    plain = train(*COMMON, *steps, "trainer.max_steps=31")
    phased = train(
        *COMMON, *steps, "trainer.max_steps=1", "callbacks=[sgd_phase]",
        "callbacks.sgd_phase.n_steps=30", "callbacks.sgd_phase.lr=0.2",
    )  # fmt: skip
    assert phased["summary"]["train/loss"] == pytest.approx(plain["summary"]["train/loss"], rel=1e-5)


@pytest.mark.slow
def test_snapshots_are_taken_restored_and_looked_at(runs):
    """Down to a solution, remembered; back to the start; at the end the line leads from there to here."""
    run = train(
        *COMMON, "data.batch_size=8", "optimizer.lr=0.0", "trainer.max_steps=2",
        "transforms=[snapshots]", "callbacks=[sgd_phase,take_snapshot,restore_snapshot]",
        "callbacks.sgd_phase.n_steps=50", "probes=[barrier]", "probes.barrier.names=[initialization,before]",
    )  # fmt: skip
    summary = run["summary"]
    assert summary["sgd_phase/loss"] < summary["train/loss"]
    assert summary["barrier/initialization_distance"] == 0
    assert summary["barrier/before_distance"] > 0
    losses = read_arrays(Path(run["path"]))
    assert losses["barrier/before_losses"][0] == pytest.approx(summary["sgd_phase/loss"], rel=1e-5)
    assert losses["barrier/before_losses"][-1] == pytest.approx(summary["train/loss"], rel=1e-5)
