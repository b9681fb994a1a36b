"""Weights drawn anew are those that the constructor would have drawn."""

import pytest
import torch
from torch import nn

from expkit.errors import UserError
from expkit.models.cnn import CNN
from expkit.models.mlp import MLP
from expkit.models.resnet import ResNet
from expkit.models.two_layer_relu import TwoLayerReLU
from expkit.seeding import stream
from expkit.transforms.reinitialize import reinitialized

NETWORKS = {
    "mlp": lambda: MLP([40], 10, width=16, norm="batchnorm"),
    "mlp of tokens": lambda: MLP([6], 10, vocab=5, width=16, init="he", init_scale=0.5),
    "cnn": lambda: CNN([1, 40], 10, channels=[4, 8], init="orthogonal", init_scale=2.0, norm="groupnorm"),
}
OWN = {"mlp of tokens": ("he", 0.5), "cnn": ("orthogonal", 2.0)}


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_those_of_the_constructor_with_that_seed(name):
    with stream(7, "initialization"):
        wanted = NETWORKS[name]().state_dict()
    with stream(1, "initialization"):
        model = NETWORKS[name]()
    for buffer in model.buffers():
        buffer.add_(1)
    anew = reinitialized(model, 7, *OWN.get(name, ())).state_dict()
    for key, value in wanted.items():
        assert torch.equal(anew[key], value), key


def test_global_generators_go_on_as_if_nothing_was_drawn():
    model = NETWORKS["mlp"]()
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    reinitialized(model, 7)
    assert torch.equal(torch.rand(2), wanted)


def test_a_module_that_does_not_say_how_it_draws_is_named():
    model = nn.Sequential(nn.Linear(3, 3), TwoLayerReLU([3], width=4))
    with pytest.raises(UserError, match=r"TwoLayerReLU \(1\) cannot be drawn anew"):
        reinitialized(model, 0)


def test_networks_with_normalization_can_be_drawn_anew():
    with stream(7, "initialization"):
        model = ResNet([1, 40], 10)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    reinitialized(model, 8)
    changed = [name for name, value in model.named_parameters() if not torch.equal(value, before[name])]
    assert len(changed) >= sum(1 for m in model.modules() if isinstance(m, nn.Conv1d | nn.Linear))
