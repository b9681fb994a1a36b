"""Objectives against closed forms, and evaluation against the objective."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from expkit.errors import ConfigError
from expkit.tasks.supervised import BinaryClassification, Classification, LanguageModelling, Reconstruction, Regression


class Fixed(nn.Module):
    """Puts out the same whatever comes in."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: Tensor) -> Tensor:
        return self.output[: len(x)]


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_number_of_classes() -> None:
    task = Classification(Fixed(torch.zeros(4, 10)), n_outputs=10)
    values = task.objective({"input": torch.zeros(4, 1), "target": torch.tensor([0, 1, 0, 3])})
    assert values["loss"].item() == pytest.approx(math.log(10))
    assert values["acc"].item() == 0.5  # of equal logits the first wins


def test_label_smoothing() -> None:
    logits = torch.tensor([[2.0, 0.0, 0.0]])
    task = Classification(Fixed(logits), n_outputs=3, label_smoothing=0.3)
    log_p = logits.log_softmax(1)[0]
    expected = -(0.8 * log_p[0] + 0.1 * log_p[1] + 0.1 * log_p[2])
    loss = task.objective({"input": torch.zeros(1, 1), "target": torch.tensor([0])})["loss"]
    assert loss.item() == pytest.approx(expected.item())


def test_logistic_loss() -> None:
    task = BinaryClassification(Fixed(torch.tensor([[3.0], [-1.0]])), n_outputs=1)
    values = task.objective({"input": torch.zeros(2, 1), "target": torch.tensor([1, 1])})
    assert values["loss"].item() == pytest.approx((math.log1p(math.exp(-3)) + math.log1p(math.exp(1))) / 2)
    assert values["acc"].item() == 0.5


@pytest.mark.parametrize(("loss", "expected"), [("mse", 2.5), ("mae", 1.5), ("huber", (0.5 + 1.5) / 2)])
def test_regression_losses(loss: str, expected: float) -> None:
    task = Regression(Fixed(torch.tensor([[1.0], [2.0]])), n_outputs=1, loss=loss)  # type: ignore[arg-type]
    values = task.objective({"input": torch.zeros(2, 1), "target": torch.tensor([[0.0], [0.0]])})
    assert values["loss"].item() == pytest.approx(expected)
    assert values["mse"].item() == 2.5
    assert values["mae"].item() == 1.5


def test_reconstruction_compares_with_the_flattened_input() -> None:
    task = Reconstruction(Fixed(torch.zeros(2, 4)), n_outputs=4)
    assert task.objective({"input": torch.full((2, 1, 2, 2), 3.0)})["loss"].item() == 9.0


def test_positions_that_do_not_count_change_nothing() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 5)
    target = torch.tensor([[-100, 1, 2], [-100, 4, 0]])
    task = LanguageModelling(Fixed(logits), n_outputs=5)
    values = task.objective({"input": torch.zeros(2, 3, dtype=torch.long), "target": target})
    alone = LanguageModelling(Fixed(logits[:, 1:]), n_outputs=5)
    expected = alone.objective({"input": torch.zeros(2, 2, dtype=torch.long), "target": target[:, 1:]})
    assert values["loss"].item() == pytest.approx(expected["loss"].item())
    assert values["acc"].item() == pytest.approx(expected["acc"].item())


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_an_evaluation_in_parts_is_that_of_the_whole(chunk: int) -> None:
    torch.manual_seed(0)
    task = Classification(nn.Linear(4, 3), n_outputs=3)
    split = {"input": torch.randn(10, 4), "target": torch.randint(3, (10,))}
    whole = {name: value.item() for name, value in task.objective(split).items()}
    assert task.evaluate(split, chunk=chunk) == pytest.approx(whole, rel=1e-6)


def test_outputs_of_the_wrong_shape_are_named() -> None:
    task = Classification(nn.Linear(4, 2), n_outputs=3)
    with pytest.raises(ConfigError, match=r"\[2, 2\] for 2 examples.*needs \[2, 3\]"):
        task.check({"input": torch.zeros(5, 4), "target": torch.zeros(5).long()})


def test_inputs_that_the_model_does_not_take_are_named() -> None:
    task = Classification(nn.Linear(7, 3), n_outputs=3)
    with pytest.raises(ConfigError, match=r"an input has shape \[4\]"):
        task.check({"input": torch.zeros(5, 4), "target": torch.zeros(5).long()})


def test_checking_leaves_running_statistics_alone() -> None:
    norm = nn.BatchNorm1d(4)
    task = Classification(nn.Sequential(norm, nn.Linear(4, 3)), n_outputs=3)
    task.check({"input": torch.randn(5, 4), "target": torch.zeros(5).long()})
    assert norm.num_batches_tracked == 0
    assert norm.training
