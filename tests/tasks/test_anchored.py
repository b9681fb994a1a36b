"""The penalty of elastic weight consolidation: its Fisher information by another route, and several tasks as one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from expkit.tasks.anchored import AnchoredClassification

N, D, CLASSES = 40, 3, 4


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def linear(**arguments) -> AnchoredClassification:
    return AnchoredClassification(nn.Linear(D, CLASSES).double(), CLASSES, **arguments)


def examples() -> dict[str, torch.Tensor]:
    return {"input": torch.randn(N, D, dtype=torch.float64), "target": torch.randint(CLASSES, (N,))}


def test_the_fisher_information_of_a_linear_classifier() -> None:
    """d log p_c / dW_kj = (1[k = c] - p_k) x_j, so its expected square is p_k (1 - p_k) x_j^2."""
    task, split = linear(), examples()
    found = task.fisher(split, chunk=7)
    p = task.model(split["input"]).softmax(-1).detach()
    variance = p * (1 - p)
    assert torch.allclose(found["bias"], variance.mean(0))
    assert torch.allclose(found["weight"], torch.einsum("nk,nj->kj", variance, split["input"] ** 2) / N)


def test_it_is_the_expected_hessian_of_the_loss() -> None:
    """For softmax, minus the expected second derivative of log p is the covariance of its first ones."""
    task, split = linear(), examples()
    expected = torch.func.hessian(
        lambda bias: nn.functional.cross_entropy(split["input"] @ task.model.weight.T + bias, split["target"])
    )(task.model.bias)
    assert torch.allclose(task.fisher(split)["bias"], expected.detach().diagonal())


def test_the_penalties_of_several_tasks_have_the_gradient_of_their_sum() -> None:
    task = linear(strength=3.0, examples=N)
    anchors, importances = [], []
    for _ in range(3):
        split = examples()
        anchors.append(task.model.weight.detach().clone())
        importances.append(task.fisher(split)["weight"])
        task.consolidate(split)
        with torch.no_grad():
            for parameter in task.model.parameters():
                parameter.add_(torch.randn_like(parameter))
    (own,) = torch.autograd.grad(1.5 * task.distance(), [task.model.weight])
    weight = task.model.weight.detach()
    expected = sum(3.0 * f * (weight - anchor) for f, anchor in zip(importances, anchors, strict=True))
    assert torch.allclose(own, expected)


def test_the_penalty_counts_in_training_only() -> None:
    task, split = linear(strength=2.0, importance="identity"), examples()
    task.consolidate(split)
    with torch.no_grad():
        task.model.weight.add_(0.5)
    plain = nn.functional.cross_entropy(task.model(split["input"]), split["target"])
    penalty = 2.0 / 2 * 0.25 * CLASSES * D
    assert task.train().objective(split)["loss"].item() == pytest.approx(plain.item() + penalty)
    metrics = task.eval().objective(split)
    assert (float(metrics["loss"]), float(metrics["penalty"])) == pytest.approx((plain.item(), penalty))


def test_before_the_first_task_is_learned_nothing_is_pulled() -> None:
    task, split = linear(strength=1e6), examples()
    with torch.no_grad():
        task.model.weight.add_(1.0)
    assert float(task.objective(split)["penalty"]) == 0
