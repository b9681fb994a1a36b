"""The network of depthwise separable convolutions."""

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from expkit.models.mobilenet import MobileNet


@pytest.mark.parametrize("shape", [(12,), (2, 12), (2, 8, 8)])
def test_vectors_signals_and_images(shape):
    model = MobileNet(shape, 3, stem=4, channels=[6, 8], strides=[2, 1])
    model(torch.randn(5, *shape)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_block_is_a_depthwise_and_a_pointwise_convolution():
    model = MobileNet([3, 8, 8], 10, stem=16, channels=[32], strides=[1])
    # stem 3 x 3 x 3 x 16, depthwise 3 x 3 x 16, pointwise 16 x 32, two numbers per norm and channel, readout
    assert sum(p.numel() for p in model.parameters()) == 432 + 144 + 512 + 2 * (16 + 16 + 32) + 330


@pytest.mark.parametrize("training", [True, False])
def test_imbalance_leaves_the_function_as_it_is(training):
    outputs = []
    for imbalance in (1.0, 100.0):
        torch.manual_seed(0)
        model = MobileNet([1, 8, 8], 4, imbalance=imbalance).double().train(training)
        outputs.append(model(torch.randn(6, 1, 8, 8, dtype=torch.double, generator=torch.Generator().manual_seed(1))))
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-5, atol=1e-6)


def test_imbalance_is_the_ratio_of_gains():
    norm = MobileNet([1, 8, 8], 4, imbalance=50.0).features[1]
    assert float(norm.weight.detach().max() / norm.weight.detach().min()) == pytest.approx(50.0, rel=1e-4)


def test_stacked_networks_have_the_gradients_of_each():
    models = [MobileNet([1, 8, 8], 3, stem=4, channels=[4], strides=[2]).eval() for _ in range(2)]
    x = torch.randn(4, 1, 8, 8)

    def loss(parameters, buffers):
        return functional_call(models[0], (parameters, buffers), (x,)).square().sum()

    together = vmap(grad(loss))(*stack_module_state(models))
    for number, model in enumerate(models):
        model(x).square().sum().backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(together[name][number], parameter.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "wrong", [{"channels": [], "strides": []}, {"strides": [1]}, {"kernel": 2}, {"imbalance": 0.5}]
)
def test_what_makes_no_network_is_refused(wrong):
    with pytest.raises(ValueError, match="got"):
        MobileNet([1, 8, 8], 3, **wrong)
