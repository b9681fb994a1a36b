import pytest
import torch

from expkit.models.transformer_encoder import TransformerEncoder

PERMUTATION = torch.tensor([3, 0, 5, 1, 4, 2])


def encoder(**arguments: object) -> TransformerEncoder:
    torch.manual_seed(0)
    return TransformerEncoder([3, 6], 2, width=8, heads=2, init_std=0.3, **arguments)


def test_without_positions_outputs_are_permuted_like_the_steps():
    model = encoder(positions="none", per_position=True)
    x = torch.randn(4, 3, 6)
    torch.testing.assert_close(model(x[..., PERMUTATION]), model(x)[:, PERMUTATION])


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_without_positions_the_pooled_output_is_invariant(pooling):
    model = encoder(positions="none", pooling=pooling)
    x = torch.randn(4, 3, 6)
    torch.testing.assert_close(model(x[..., PERMUTATION]), model(x))


def test_learned_positions_tell_steps_apart():
    model = encoder(positions="learned")
    x = torch.randn(4, 3, 6)
    assert not torch.allclose(model(x[..., PERMUTATION]), model(x), atol=1e-3)


def test_a_position_sees_the_future():
    model = encoder(per_position=True)
    x = torch.randn(4, 3, 6)
    changed = x.clone()
    changed[..., -1] += 1
    assert not torch.allclose(model(x)[:, 0], model(changed)[:, 0], atol=1e-3)


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_pooling_commutes_with_the_affine_readout(pooling):
    pooled, every = encoder(pooling=pooling), encoder(per_position=True)
    x = torch.randn(4, 3, 6)
    outputs = every(x)
    torch.testing.assert_close(pooled(x), outputs.mean(1) if pooling == "mean" else outputs[:, -1])


def test_the_cls_step_is_not_a_position():
    assert encoder(pooling="cls", per_position=True)(torch.randn(4, 3, 6)).shape == (4, 6, 2)


def test_patches_of_an_image():
    model = TransformerEncoder([3, 8, 8], 5, width=8, heads=2, depth=1, patch=4)
    per_block = 12 * 8**2 + 13 * 8
    expected = (3 * 16 * 8 + 8) + 4 * 8 + per_block + 2 * 8 + (8 * 5 + 5)
    assert sum(p.numel() for p in model.parameters()) == expected
    assert model(torch.randn(2, 3, 8, 8)).shape == (2, 5)


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="holds several"):
        encoder(patch=2, per_position=True)
    with pytest.raises(ValueError, match="mean, cls, last"):
        encoder(pooling="max")
    with pytest.raises(ValueError, match="cannot be divided among 3 heads"):
        TransformerEncoder([6], 2, width=8, heads=3)
