"""Vector quantizers: the nearest code by another route, whose gradients are whose, and what moves which codes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from expkit.models.vector_quantizer import VectorQuantizer, nearest
from expkit.models.vqvae import VQVAE

KINDS = ("plain", "ema", "low_dim", "simvq")


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_the_nearest_code_is_that_of_the_smallest_distance() -> None:
    latents, codes = torch.randn(3, 7, 5), torch.randn(11, 5)
    assert torch.equal(nearest(latents, codes), torch.cdist(latents, codes).argmin(-1))


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_codes_and_have_the_gradient_of_the_latents(kind) -> None:
    quantizer = VectorQuantizer(16, 6, kind).eval()
    latents = torch.randn(4, 5, 6, requires_grad=True)
    quantized = quantizer(latents)
    assert torch.allclose(quantized.values, quantizer.up(quantizer.codebook()[quantized.codes]), atol=1e-6)
    direction = torch.randn_like(latents)
    (own,) = torch.autograd.grad((quantized.values * direction).sum(), latents)
    if kind == "low_dim":  # straight through the code, and through the projections around it
        z = F.normalize(quantizer.down(latents), dim=-1)
        (expected,) = torch.autograd.grad((quantizer.up(z) * direction).sum(), latents)
    else:
        expected = direction
    assert torch.allclose(own, expected, atol=1e-6)


def test_the_loss_is_a_mean_of_squares_with_a_weight_on_one_side() -> None:
    quantizer = VectorQuantizer(16, 6, "plain", commitment=0.3)
    latents = torch.randn(8, 6, requires_grad=True)
    codes = quantizer.basis[nearest(latents, quantizer.basis)]
    loss = quantizer(latents).loss
    assert loss.item() == pytest.approx(1.3 * (latents - codes).square().mean().item(), rel=1e-5)
    (own,) = torch.autograd.grad(loss, latents)
    assert torch.allclose(own, 0.3 * 2 * (latents - codes) / latents.numel(), atol=1e-7)


def moved(kind: str) -> float:
    """The share of codes that one step of training moves."""
    quantizer = VectorQuantizer(32, 6, kind)
    before = quantizer.codebook().detach().clone()
    loss = quantizer(torch.randn(3, 6) * 0.1).loss
    trained = [parameter for parameter in quantizer.parameters() if parameter.requires_grad]
    torch.optim.SGD(trained, lr=1.0).zero_grad()
    loss.backward()
    with torch.no_grad():
        for parameter in trained:
            parameter.sub_(parameter.grad)
    return float((quantizer.codebook() != before).any(-1).float().mean())


def test_a_step_moves_the_chosen_codes_of_a_plain_codebook_and_all_of_a_linear_one() -> None:
    assert 0 < moved("plain") <= 3 / 32
    assert moved("simvq") == 1


def test_running_means_are_those_of_the_latents_that_chose_a_code() -> None:
    quantizer = VectorQuantizer(2, 1, "ema", decay=0.0)
    quantizer.basis.copy_(torch.tensor([[-1.0], [1.0]]))
    quantizer(torch.tensor([[-2.0], [-4.0], [3.0]]))
    assert quantizer.basis.flatten().tolist() == pytest.approx([-3.0, 3.0])
    before = quantizer.basis.clone()
    quantizer.eval()(torch.tensor([[9.0]]))
    assert torch.equal(quantizer.basis, before)


@pytest.mark.parametrize(("shape", "places"), [([1, 8, 8], 4), ([2, 12], 3)])
def test_the_autoencoder_has_a_code_for_each_place(shape, places) -> None:
    size = torch.Size(shape).numel()
    model = VQVAE(shape, size, width=4, downsample=2, n_codes=8, dim=3)
    output, quantized = model.reconstruct(torch.randn(5, *shape))
    assert output.shape == (5, size)
    assert quantized.codes.shape == (5, places)
    with pytest.raises(ValueError, match="cannot be halved"):
        VQVAE([1, 6, 6], 36, downsample=2)
