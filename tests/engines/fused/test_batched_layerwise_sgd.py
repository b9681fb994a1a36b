"""The batched form against R optimizers by themselves."""

from __future__ import annotations

import torch
from torch import nn

from expkit.engines.fused.optimizers import batched_optimizer
from expkit.optim.layerwise_sgd import LayerwiseSGD

TARGET = "expkit.optim.layerwise_sgd.LayerwiseSGD"
SHAPES = {"layers.0.weight": (6, 4), "layers.0.bias": (6,), "head.weight": (2, 6), "head.bias": (2,)}
RATES = [(0.1, 0.3), (0.0, 1.0), (0.02, 0.0), (0.5, 0.05)]
STEPS = 30


def normal(seed):
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: (len(RATES), *shape) for name, shape in SHAPES.items()}
    return {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}


def gradient(params, step):
    """Of a quadratic that changes from step to step."""
    return {name: 0.5 * value + normal(10 + step)[name] for name, value in params.items()}


def test_every_run_is_the_optimizer_by_itself():
    factors = torch.linspace(1.0, 0.2, STEPS, dtype=torch.float64).unsqueeze(1) * torch.tensor([1.0, 0.5, 2.0, 1.0])
    batched = batched_optimizer([{"_target_": TARGET, "lr": lr, "lr_output": out} for lr, out in RATES])
    params = normal(0)
    state = batched.init(params)
    for step in range(STEPS):
        params, state = batched.update(params, gradient(params, step), state, factors[step], batched.hyper)
    assert list(params) == list(SHAPES)

    for run, (lr, lr_output) in enumerate(RATES):
        own = {name: nn.Parameter(value[run].clone()) for name, value in normal(0).items()}
        optimizer = LayerwiseSGD(list(own.items()), lr=lr, lr_output=lr_output)
        for step in range(STEPS):
            for group, rate in zip(optimizer.param_groups, (lr, lr_output), strict=True):
                group["lr"] = rate * float(factors[step, run])
            for name, parameter in own.items():
                parameter.grad = 0.5 * parameter.detach() + normal(10 + step)[name][run]
            optimizer.step()
        for name, parameter in own.items():
            torch.testing.assert_close(params[name][run], parameter.data, rtol=1e-12, atol=1e-14)
