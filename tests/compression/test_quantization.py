"""Quantizers and what is done to a trained network around them, against torch and closed forms."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from expkit.compression.adaround import adaround
from expkit.compression.equalization import equalize
from expkit.compression.fake_quantizer import FakeQuantizer, fake_quantize, integer_limits
from expkit.compression.layer_chain import layer_chain
from expkit.compression.post_training_quantization import PostTrainingQuantization
from expkit.compression.quantizable import QuantizableLayer, quantizable, quantizable_layers
from expkit.compression.quantization_aware_training import QuantizationAwareTraining
from expkit.compression.quantization_range import grid, set_range
from expkit.compression.quantize import correct_biases, fold_norms, folded, quantize
from expkit.models.cnn import CNN
from expkit.models.mobilenet import MobileNet
from expkit.models.resnet import ResNet
from expkit.tasks.supervised import Classification


@torch.no_grad()
def trained(model: nn.Module, shape: tuple[int, ...] = (1, 8, 8)) -> nn.Module:
    """A network whose norms have statistics and parameters of their own."""
    torch.manual_seed(1)
    model.train()
    for _ in range(20):
        model(torch.randn(32, *shape))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.bias.add_(module.weight * torch.empty_like(module.bias).uniform_(-0.5, 0.5))
            module.weight.mul_(torch.empty_like(module.weight).uniform_(0.5, 2.0))
    return model.eval()


def images(n: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("bits", "symmetric"), [(8, True), (4, True), (8, False), (3, False)])
def test_values_and_gradients_are_those_of_torch(bits, symmetric):
    x = torch.randn(500, requires_grad=True)
    own = x.detach().clone().requires_grad_(True)
    scale, zero_point = grid(torch.tensor([-1.1]), torch.tensor([1.7]), bits, symmetric)
    low, high = integer_limits(bits, symmetric)
    reference = torch.fake_quantize_per_tensor_affine(x, float(scale), int(zero_point), int(low), int(high))
    ours = fake_quantize(own, scale, zero_point, low, high)
    torch.testing.assert_close(ours, reference)
    weights = torch.randn(500)
    (reference * weights).sum().backward()
    (ours * weights).sum().backward()
    torch.testing.assert_close(own.grad, x.grad)


def test_scales_per_channel_are_those_of_torch():
    w = torch.randn(6, 3, 3, 3) * torch.logspace(-2, 1, 6).reshape(6, 1, 1, 1)
    quantizer = FakeQuantizer(4, (6, 1, 1, 1))
    set_range(quantizer, w, "min_max")
    scale = w.flatten(1).abs().amax(1) / 7
    reference = torch.fake_quantize_per_channel_affine(w, scale, torch.zeros(6), 0, -8, 7)
    torch.testing.assert_close(quantizer(w), reference)


def test_the_gradient_of_a_learned_scale_is_that_of_lsq():
    x, weights = torch.randn(400), torch.randn(400)
    quantizer = FakeQuantizer(3, learnable=True)
    quantizer.set(torch.tensor([0.3]), torch.zeros(1))
    (quantizer(x) * weights).sum().backward()
    scale = torch.tensor([0.3], requires_grad=True)
    factor = (400 * 3) ** -0.5
    reference = torch._fake_quantize_learnable_per_tensor_affine(x, scale, torch.zeros(1), -4, 3, factor)
    (reference * weights).sum().backward()
    assert quantizer.log_factor is not None
    torch.testing.assert_close(quantizer.log_factor.grad, scale.grad * 0.3)  # by the chain rule for the logarithm


def test_a_quantizer_is_off_until_it_has_a_range():
    x = torch.randn(10)
    quantizer = FakeQuantizer(2)
    assert torch.equal(quantizer(x), x)
    set_range(quantizer, x)
    assert len(quantizer(x).unique()) <= 4


def test_asymmetric_grids_have_zero_and_both_ends():
    scale, zero_point = grid(torch.tensor(-0.5), torch.tensor(3.5), 8, symmetric=False)
    ends = fake_quantize(torch.tensor([-0.5, 0.0, 3.5]), scale, zero_point, 0.0, 255.0)
    assert ends[1] == 0
    torch.testing.assert_close(ends, torch.tensor([-0.5, 0.0, 3.5]), atol=float(scale), rtol=0)


def test_mse_ranges_are_the_best_of_a_finer_search_up_to_its_spacing():
    x = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    quantizer = FakeQuantizer(4)
    set_range(quantizer, x, "mse")
    errors = [
        float((fake_quantize(x, torch.tensor(s), torch.tensor(0.0), -8.0, 7.0) - x).square().mean())
        for s in torch.linspace(0.05, 0.6, 500).tolist()
    ]
    own = float((quantizer(x) - x).square().mean())
    assert min(errors) <= own <= 1.02 * min(errors)
    # The step of the optimal 16-level uniform quantizer of a standard normal (Max 1960, table II: 0.3352).
    assert float(quantizer.scale) == pytest.approx(0.3352, rel=0.08)


@pytest.mark.parametrize(
    "model", [CNN([1, 8, 8], 5, norm="batchnorm", bias=False), MobileNet([1, 8, 8], 5, imbalance=30.0)]
)
def test_folding_and_equalization_keep_the_function(model):
    trained(model)
    flat = folded(model, [images()], 8, 8, per_channel=False)
    assert all(bool(norm.folded) for _, norm in layer_chain(flat, [images()]).norms)
    torch.testing.assert_close(flat(images(8, 1)), model(images(8, 1)), rtol=1e-4, atol=1e-5)
    pairs = equalize(flat, [images()])
    assert pairs == len([one for one in model.features if isinstance(one, nn.Conv2d)]) - 1
    torch.testing.assert_close(flat(images(8, 1)), model(images(8, 1)), rtol=1e-4, atol=1e-4)
    for first, second in layer_chain(flat, [images()]).pairs:
        weight = second.layer.weight
        meets = weight.flatten(1) if weight.shape[1] == 1 else weight.transpose(0, 1).flatten(1)
        torch.testing.assert_close(first.layer.weight.flatten(1).abs().amax(1), meets.abs().amax(1), rtol=1e-2, atol=0)


def test_layers_beside_a_residual_connection_are_left_alone():
    model = trained(ResNet([1, 8, 8], 5))
    flat = folded(model, [images()], 8, 8, per_channel=False)
    equalize(flat, [images()])
    torch.testing.assert_close(flat(images(8, 1)), model(images(8, 1)), rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_equalization_rescues_a_scale_per_layer():
    model = trained(MobileNet([1, 8, 8], 5, imbalance=1000.0))
    x, wanted = images(64, 2), model(images(64, 2))

    def error(**steps) -> float:
        return float((quantize(model, [images(64)], **steps)(x) - wanted).square().mean() / wanted.square().mean())

    ruined, rescued, per_channel = error(), error(equalization=True), error(per_channel=True)
    assert ruined > 0.5, (ruined, rescued, per_channel)
    assert rescued < 0.05, (ruined, rescued, per_channel)
    assert per_channel < 0.5 * ruined, (ruined, rescued, per_channel)


def test_corrected_biases_make_the_mean_output_of_every_channel_right():
    model = trained(CNN([1, 8, 8], 5, norm="batchnorm"))
    flat = folded(model, [images()], 8, 8, per_channel=False)
    quantized = quantize(model, [images()], weight_bits=2)
    assert (quantized(images()).mean(0) - model(images()).mean(0)).abs().max() > 0.01
    correct_biases(quantized, flat, [images()])
    torch.testing.assert_close(quantized(images()).mean(0), model(images()).mean(0), atol=1e-5, rtol=1e-4)


def test_adaptive_rounding_lies_between_the_nearest_and_the_best_of_all_roundings():
    best, found, nearest = zip(*(roundings(seed) for seed in range(3)), strict=True)
    assert all(a <= b * 1.001 and b <= c * 1.001 for a, b, c in zip(best, found, nearest, strict=True))
    assert sum(found) < 0.75 * sum(nearest)


def roundings(seed: int) -> tuple[float, float, float]:
    """Squared error of a neuron's output with the best of all 2^10 roundings, with the one found, with the nearest."""
    torch.manual_seed(seed)
    layer = quantizable(nn.Sequential(nn.Linear(10, 1)), weight_bits=3)[0]
    assert isinstance(layer, QuantizableLayer)
    inputs = torch.randn(200, 4) @ torch.randn(4, 10) + 0.1 * torch.randn(200, 10)  # correlated: errors can cancel
    with torch.no_grad():
        outputs, weight = layer.layer(inputs), layer.layer.weight.clone()
        set_range(layer.weight_quantizer, weight, "min_max")
        scale = layer.weight_quantizer.scale
        codes = torch.tensor([[number >> place & 1 for place in range(10)] for number in range(1024)])
        all_of_them = scale * ((weight / scale).floor() + codes).clamp(-4, 3)
        nearest = layer.weight_quantizer(weight)
    adaround(layer, inputs, outputs, steps=800)
    rounded = layer.layer.weight.detach()
    torch.testing.assert_close(layer.weight_quantizer(rounded).detach(), rounded)  # it lies on the grid
    errors = [(inputs @ (own - weight).T).square().mean(0) for own in (all_of_them, rounded, nearest.detach())]
    return float(errors[0].min()), float(errors[1]), float(errors[2])


def data(n: int = 64) -> SimpleNamespace:
    target = torch.randint(5, (n,), generator=torch.Generator().manual_seed(0))
    split = {"input": images(n), "target": target}
    return SimpleNamespace(splits={"train": split, "test": split})


@torch.no_grad()
def test_the_probe_measures_every_combination_and_leaves_the_model():
    model = trained(CNN([1, 8, 8], 5, norm="batchnorm"))
    before = copy.deepcopy(model.state_dict())
    task = Classification(model, 5).eval()
    probe = PostTrainingQuantization(
        bits={"w8": {"weight_bits": 8}, "w3": {"weight_bits": 3}},
        methods={"min_max": {"ranges": "min_max"}, "mse": {"ranges": "mse"}},
    )
    found = probe.conclude(task, data())
    assert {name.rsplit("/", 1)[0] for name in found} == {
        f"ptq/{b}/{m}" for b in ("w8", "w3") for m in ("min_max", "mse")
    }
    # Each bit more is worth 20 log10(2) = 6.02 dB, for as far as weights dominate the noise.
    assert found["ptq/w8/mse/sqnr"] > found["ptq/w3/mse/sqnr"] + 10
    assert task.model is model
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


@torch.no_grad()
def test_training_with_quantizers_starts_from_the_quantized_network():
    model = trained(CNN([1, 8, 8], 5, norm="batchnorm"))
    wanted = quantize(model, [images(64)], weight_bits=4, activation_bits=4, ranges="mse")
    task = Classification(quantizable(copy.deepcopy(model), 4.0, 4.0), 5).eval()
    torch.testing.assert_close(task.model(images()), model(images()))
    QuantizationAwareTraining(start=3).act(task, data(), 3)
    torch.testing.assert_close(task.model(images()), wanted(images()))
    assert all(bool(layer.input_quantizer.enabled) for layer in quantizable_layers(task.model))


def test_folded_norms_stay_folded_in_training():
    model = quantizable(trained(CNN([1, 8, 8], 5, norm="batchnorm")))
    model.eval()
    fold_norms(model, [images()])
    before = model(images())
    model.train()
    torch.testing.assert_close(model(images()), before)
