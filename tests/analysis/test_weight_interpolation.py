"""Barriers of losses that can be written down."""

import pytest
import torch
from torch import nn

from expkit.analysis.loss_function import LossFunction
from expkit.analysis.weight_interpolation import barrier, losses_between
from expkit.models.mlp import MLP
from expkit.tasks.base import Task
from expkit.tasks.supervised import Regression


class OfWeights(Task):
    """A function of the weights alone, as a loss."""

    def __init__(self, function, size=2):
        model = nn.Module()
        model.w = nn.Parameter(torch.zeros(size, dtype=torch.float64))
        super().__init__(model, 1)
        self.function = function

    def objective(self, batch):
        return {"loss": self.function(self.model.w)}


def height(function, start, end, points=101):
    loss = LossFunction(OfWeights(function), {"input": torch.zeros(3, 1)})
    ends = (torch.tensor(values, dtype=torch.float64) for values in (start, end))
    return barrier(*losses_between(loss, *ends, points))


def double_well(w):
    return (w[0] ** 2 - 1) ** 2 + w[1] ** 2


def test_between_the_minima_of_a_double_well_it_is_the_saddle():
    assert height(double_well, [-1.0, 0.0], [1.0, 0.0]) == pytest.approx(1.0)
    assert height(lambda w: 3 * double_well(w) + 5, [-1.0, 0.0], [1.0, 0.0]) == pytest.approx(3.0)


def test_a_slope_that_both_ends_lie_on_does_not_count():
    assert height(lambda w: double_well(w) + 7 * w[0], [-1.0, 0.0], [1.0, 0.0]) == pytest.approx(1.0)


def test_a_convex_function_has_none():
    assert height(lambda w: w.square().sum(), [-1.0, 2.0], [3.0, 0.5]) == 0.0
    assert height(lambda w: (w[0] - w[1]).exp(), [-1.0, 2.0], [3.0, 0.5]) == 0.0


def test_two_networks_that_differ_by_a_permutation_of_units():
    torch.manual_seed(0)
    model = MLP([3], 1, width=4, depth=1).double()
    task = Regression(model, 1)
    x = torch.randn(50, 3, dtype=torch.float64)
    split = {"input": x, "target": model(x).detach()}
    loss = LossFunction(task, split, chunk=16)
    start = loss.point
    order = torch.tensor([1, 2, 3, 0])
    with torch.no_grad():
        for parameter in (model.hidden[0].weight, model.hidden[0].bias):
            parameter.copy_(parameter[order])
        model.readout.weight.copy_(model.readout.weight[:, order])
    end = loss.point
    shares, losses = losses_between(loss, start, end, 5)
    assert shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert losses[[0, -1]].tolist() == pytest.approx([0, 0], abs=1e-30)
    assert torch.equal(loss.point, end)  # the model is as it was

    def at(share):
        own = MLP([3], 1, width=4, depth=1).double()
        nn.utils.vector_to_parameters((1 - share) * start + share * end, own.parameters())
        return float((own(x) - split["target"]).square().mean().detach())

    assert losses.tolist() == pytest.approx([at(share) for share in shares.tolist()], rel=1e-10, abs=1e-30)
    assert barrier(shares, losses) == pytest.approx(max(losses.tolist()))


def test_two_points_show_no_barrier():
    with pytest.raises(ValueError, match="points"):
        height(double_well, [-1.0, 0.0], [1.0, 0.0], points=2)
