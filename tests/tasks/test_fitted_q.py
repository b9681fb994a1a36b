"""Values of actions: targets by hand, and in a small world the optimal ones, learned by each loss."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from expkit.data.gridworld_transitions import GridworldTransitions
from expkit.tasks.fitted_q import FittedQ
from support import train


def test_the_target_is_the_reward_and_what_the_target_network_expects_next() -> None:
    torch.manual_seed(0)
    task = FittedQ(nn.Linear(3, 2, bias=False), n_outputs=2, discount=0.5)
    with torch.no_grad():
        task.target.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]))
    batch = {
        "input": torch.eye(3)[:2],
        "action": torch.tensor([0, 1]),
        "reward": torch.tensor([0.3, -1.0]),
        "next": torch.tensor([[1.0, 1.0, 0.0], [5.0, 5.0, 0.0]]),
        "ends": torch.tensor([0.0, 1.0]),
        "target": torch.zeros(2, 2),
    }
    q = task.model(batch["input"])
    expected = ((q[0, 0] - (0.3 + 0.5 * 2.0)) ** 2 + (q[1, 1] + 1.0) ** 2) / 2
    measured = task.objective(batch)
    assert measured["loss"].item() == pytest.approx(expected.item())
    assert measured["q_error"].item() == pytest.approx(q.abs().mean().item())
    measured["loss"].backward()
    assert task.target.weight.grad is None
    task.update_target()
    assert torch.equal(task.target.weight, task.model.weight)


@pytest.mark.parametrize("loss", ["mse", "two_hot", "hl_gauss"])
def test_fitted_iteration_finds_the_optimal_values_of_a_small_world(runs, loss: str) -> None:
    """With a weight for each cell there is nothing to generalize, and no noise to average."""
    bins = 1 if loss == "mse" else 21
    arguments = ["data=gridworld_transitions", "data.side=3", "data.slip=0.0", "data.discount=0.8", "data.n_train=400"]
    arguments += ["model=mlp", "model.depth=1", "model.width=64", f"task.loss={loss}", f"task.bins={bins}"]
    arguments += [
        "task.low=-2.0",
        "task.high=2.0",
        "task.smoothing=0.5",
        "optimizer.lr=0.01",
        "callbacks=update_target",
    ]
    arguments += ["callbacks.update_target.every=30", "probes=greedy_return", "trainer.max_steps=600", "logger=none"]
    summary = train(*arguments, "trainer.eval_at=300")["summary"]
    assert summary["greedy/share"] == pytest.approx(1.0, abs=1e-6)
    assert summary["train/q_error"] < 0.06


def test_bins_and_loss_go_together() -> None:
    with pytest.raises(ValueError, match="needs more than one bin"):
        FittedQ(nn.Linear(3, 2), n_outputs=2, loss="two_hot")
    assert GridworldTransitions({"shape": [6], "targets": 4}, side=3).world.side == 3
