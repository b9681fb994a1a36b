"""Squared error on one-hot labels against its definition."""

import pytest
import torch
from torch.func import vmap
from torch.nn import functional as F

from expkit.tasks.one_hot_regression import OneHotRegression


@pytest.mark.parametrize("centred", [False, True])
def test_the_loss_is_the_squared_distance(centred):
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 5)
    batch = {"input": torch.randn(9, 4), "target": torch.randint(5, (9,))}
    difference = model(batch["input"]) - F.one_hot(batch["target"], 5)
    projection = torch.eye(5) - centred / 5
    metrics = OneHotRegression(model, 5, centred=centred).objective(batch)
    torch.testing.assert_close(metrics["loss"], (difference @ projection).square().sum() / 9)
    shifted = OneHotRegression(model, 5, centred=centred)
    with torch.no_grad():
        model.bias += 3.0
    assert torch.isclose(shifted.objective(batch)["loss"], metrics["loss"]) == centred
    torch.testing.assert_close(shifted.objective(batch)["acc"], metrics["acc"])


def test_runs_with_other_targets_can_be_stacked():
    torch.manual_seed(0)
    inputs, targets = torch.randn(2, 6, 4), torch.randint(3, (2, 6))
    weights = torch.randn(2, 3, 4)
    scored = OneHotRegression(torch.nn.Identity(), 3)

    def loss(weight, x, y):
        return scored.objective({"input": x @ weight.T, "target": y})["loss"]

    losses = vmap(loss)(weights, inputs, targets)
    for run in range(2):
        wanted = (inputs[run] @ weights[run].T - F.one_hot(targets[run], 3)).square().sum() / 6
        torch.testing.assert_close(losses[run], wanted)
