"""Snapshots in a model: what they hold, what they leave alone, and what goes wrong."""

import pytest
import torch
from torch import nn

from expkit.errors import ConfigError
from expkit.models.mlp import MLP
from expkit.transforms.snapshots import restore, snapshot, snapshots, take


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MLP([3], 2, width=4, depth=1)


def test_one_holds_the_initialization_until_it_is_taken(model):
    x = torch.randn(5, 3)
    outputs = {"start": model(x).detach()}
    snapshots(model, ["start", "later"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    outputs["later"] = model(x).detach()
    take(model, "later")
    for name in ("start", "later", "start"):
        restore(model, name)
        assert torch.equal(model(x), outputs[name])
    assert len(snapshot(model, "later")) == sum(p.numel() for p in model.parameters())


def test_what_is_restored_is_no_view_of_the_snapshot(model):
    snapshots(model, ["start"])
    before = snapshot(model, "start").clone()
    restore(model, "start")
    with torch.no_grad():
        model.readout.weight.add_(1.0)
    assert torch.equal(snapshot(model, "start"), before)


def test_checkpoints_have_them_and_frozen_parameters_are_left_out(model):
    model.readout.requires_grad_(False)
    snapshots(model, ["start"])
    assert model.state_dict()["snapshot_start"].shape == (16,)
    frozen = model.readout.weight.clone()
    restore(model, "start")
    assert torch.equal(model.readout.weight, frozen)


def test_what_cannot_be_is_said(model):
    with pytest.raises(ConfigError, match="no room") as nothing:
        snapshot(model, "start")
    assert "transforms=[snapshots]" in str(nothing.value.hint)
    snapshots(model, ["start"])
    with pytest.raises(ConfigError, match="no room") as wrong:
        snapshot(model, "strat")
    assert "start" in str(wrong.value.hint)
    model.extra = nn.Linear(2, 2)
    with pytest.raises(ConfigError, match="last in the list"):
        take(model, "start")
    for names in (["a b"], ["a", "a"]):
        with pytest.raises(ValueError, match="identifiers"):
            snapshots(model, names)
