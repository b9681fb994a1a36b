"""Clipping of stacked gradients against torch's, run by run."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from expkit.engines.fused.clipping import clip_by_norm


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_each_run_is_clipped_by_its_own_norm(dtype, tolerance):
    generator = torch.Generator().manual_seed(0)
    size = torch.tensor([1e-3, 1.0, 1.0, 100.0, 100.0, 0.0]).view(-1, 1, 1)
    grads = {
        "weight": size * torch.randn(6, 4, 3, generator=generator),
        "bias": size[..., 0] * torch.randn(6, 4, generator=generator),
        "gain": size[:, 0, 0] * torch.randn(6, generator=generator),
    }
    grads = {name: grad.to(dtype) for name, grad in grads.items()}
    max_norm = torch.tensor([1.0, 1.0, math.inf, 0.5, math.inf, 1.0], dtype=torch.float64)
    clipped = clip_by_norm(grads, max_norm)
    for run, limit in enumerate(max_norm.tolist()):
        parameters = [nn.Parameter(torch.zeros_like(grad[run])) for grad in grads.values()]
        for parameter, grad in zip(parameters, grads.values(), strict=True):
            parameter.grad = grad[run].clone()
        if math.isfinite(limit):
            nn.utils.clip_grad_norm_(parameters, limit)
        for parameter, found in zip(parameters, clipped.values(), strict=True):
            torch.testing.assert_close(found[run], parameter.grad, rtol=tolerance, atol=0)


def test_a_run_that_has_diverged_leaves_the_others_alone():
    grads = {"w": torch.tensor([[3.0, 4.0], [math.inf, 1.0], [math.nan, 1.0], [math.inf, 1.0]])}
    clipped = clip_by_norm(grads, torch.tensor([1.0, 1.0, 1.0, math.inf]))["w"]
    torch.testing.assert_close(clipped[0], torch.tensor([0.6, 0.8]))
    assert not clipped[1].isfinite().all()
    assert torch.equal(clipped[3], grads["w"][3])
