"""Parametrizations by what they are for: how outputs and the changes of features scale with width."""

import copy
import math

import pytest
import torch
from torch import nn

from expkit.models.gpt import GPT
from expkit.models.mlp import MLP
from expkit.models.resnet import ResNet
from expkit.transforms.parametrization import parametrization, roles
from support import train

WIDTHS = (64, 256, 1024)
SEEDS = 4


def rms(values):
    return float(values.double().square().mean().sqrt())


def exponent(of_width):
    """The slope of the logarithm over that of the width."""
    x = torch.tensor([math.log(width) for width in of_width], dtype=torch.float64)
    y = torch.tensor([math.log(value) for value in of_width.values()], dtype=torch.float64)
    return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())


def feature_changes(updates, **arguments):
    """The RMS over units of how much the last hidden preactivations have moved in four steps, by width.

    The mean over draws of the weights; `updates` makes an optimizer of parameters.
    """
    found = {}
    for width in WIDTHS:
        moved = []
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            x, y = torch.randn(8, 4), torch.randn(8, 1)
            model = MLP([4], 1, width=width, depth=2, activation="tanh", init="lecun")
            parametrization(model, width, base_width=64, **arguments)
            features, optimizer = model.hidden[:4], updates(model.parameters())
            before = features(x).detach()
            for _ in range(4):
                optimizer.zero_grad()
                (model(x) - y).square().mean().backward()
                optimizer.step()
            moved.append(rms(features(x).detach() - before))
        found[width] = sum(moved) / len(moved)
    return found


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.02)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.003, eps=1e-12)


@pytest.mark.parametrize(
    ("updates", "arguments", "expected"),
    [
        (sgd, {"kind": "mup"}, 0),
        (sgd, {"kind": "ntk"}, -0.5),
        (sgd, {"kind": "standard", "lr_exponent": 1.0}, -0.5),
        (adam, {"kind": "mup", "optimizer": "adam"}, 0),
    ],
    ids=["mup", "ntk", "standard", "mup with adam"],
)
def test_how_the_change_of_features_scales(updates, arguments, expected):
    found = feature_changes(updates, **arguments)
    assert exponent(found) == pytest.approx(expected, abs=0.1), found


def test_the_standard_parametrization_diverges_at_a_fixed_learning_rate():
    assert exponent(feature_changes(sgd, kind="standard")) > 1


@pytest.mark.parametrize(("kind", "expected"), [("standard", 0), ("ntk", 0), ("mup", -0.5)])
def test_how_outputs_at_initialization_scale(kind, expected):
    """Their standard deviation: of order one, but falls as 1 / sqrt(width) in muP."""
    found = {}
    for width in (64, 512, 2048):
        torch.manual_seed(0)
        model = MLP([4], 300, width=width, depth=1, init="lecun")
        with torch.no_grad():
            found[width] = rms(parametrization(model, width, base_width=64, kind=kind)(torch.ones(1, 4)))
    assert exponent(found) == pytest.approx(expected, abs=0.1), found


@pytest.mark.parametrize("kind", ["ntk", "mup"])
def test_nothing_changes_at_base_width(kind):
    torch.manual_seed(0)
    model, x = MLP([4], 2, width=8, norm="layernorm"), torch.randn(5, 4)
    own = parametrization(copy.deepcopy(model), width=8, base_width=8, kind=kind)
    for one in (model, own):
        one(x).square().mean().backward()
        with torch.no_grad():
            for parameter in one.parameters():
                parameter -= 0.1 * parameter.grad
    torch.testing.assert_close(own(x), model(x))


@pytest.mark.parametrize("kind", ["standard", "ntk"])
def test_the_function_at_initialization_is_the_models_own(kind):
    torch.manual_seed(0)
    model = GPT([6], 5, vocab=5, width=32, depth=1, heads=2, positions="none")
    tokens = torch.randint(5, (2, 6))
    own = parametrization(copy.deepcopy(model), width=32, base_width=8, kind=kind)
    torch.testing.assert_close(own(tokens), model(tokens))


def test_roles_in_a_convolutional_network():
    model = ResNet([3, 8, 8], 10, width=16)
    found = roles(model, 16)
    assert [found[layer][0] for layer in model.modules() if isinstance(layer, nn.Conv2d)][:2] == ["input", "hidden"]
    assert [found[layer] for layer in model.modules() if isinstance(layer, nn.Linear)] == [("output", "fixed")]
    assert {found[layer] for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)} <= {("input", "input")}


def test_models_that_cannot_be_parametrized_are_refused():
    model = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 4), nn.Linear(4, 1))
    with pytest.raises(ValueError, match="GRU"):
        parametrization(nn.Sequential(nn.GRU(2, 4)), width=4, base_width=2)
    with pytest.raises(ValueError, match="2308"):
        parametrization(model, width=4, base_width=2, kind="ntk", optimizer="adam")
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    with pytest.raises(ValueError, match="share"):
        parametrization(tied, width=4, base_width=2)


@pytest.mark.slow
def test_runs_fuse_and_agree_with_single_ones(runs):
    common = ["data=teacher_student", "data.dim=4", "data.n_train=16", "model=mlp", "model.width=32", "optimizer=sgd"]
    common += ["transforms=[parametrization]", "transforms.parametrization.base_width=8", "optimizer.lr=0.05"]
    common += ["trainer.max_steps=10", "logger=none"]
    fused = train("-m", *common, "transforms.parametrization.kind=ntk,mup", "seed=0,1", "hydra/launcher=fused")
    losses = [one["summary"]["train/loss"] for one in fused]
    assert len(set(losses)) == 4
    alone = train(*common, "transforms.parametrization.kind=mup", "seed=1", f"paths.runs={runs}/alone")
    assert alone["summary"]["train/loss"] == pytest.approx(losses[-1], rel=1e-4)
