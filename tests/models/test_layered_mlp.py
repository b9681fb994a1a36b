"""Networks whose layers differ in width."""

import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from expkit.models.layered_mlp import LayeredMLP


def test_it_is_lenet_300_100_on_mnist():
    model = LayeredMLP([1, 28, 28], 10)
    weights = sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear))
    assert weights == 266_200  # "266K" in arXiv 1803.03635, figure 2
    assert model(torch.randn(3, 1, 28, 28)).shape == (3, 10)


def test_without_hidden_layers_it_is_affine():
    model, x = LayeredMLP([4], 2, widths=[]), torch.randn(5, 4)
    torch.testing.assert_close(model(x) + model(-x), 2 * model.readout.bias.expand(5, 2))


def test_stacked_networks_compute_what_each_does():
    models, x = [LayeredMLP([4], 2, widths=[5, 3]) for _ in range(3)], torch.randn(6, 4)
    together = vmap(lambda p, b: functional_call(models[0], (p, b), (x,)))(*stack_module_state(models))
    torch.testing.assert_close(together, torch.stack([model(x) for model in models]))
