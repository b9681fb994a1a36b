import pytest
import torch
from torch import nn

from expkit.models.transformer import Transformer, TransformerBlock


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("causal", [False, True])
def test_a_block_agrees_with_torch(activation, causal):
    block = TransformerBlock(8, 2, causal, 20, activation, "layernorm", dropout=0.0, bias=True)
    theirs = nn.TransformerEncoderLayer(8, 2, 20, 0.0, activation, batch_first=True, norm_first=True)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter)
    pairs = {
        "attention_norm": theirs.norm1,
        "attention.out": theirs.self_attn.out_proj,
        "mlp_norm": theirs.norm2,
        "mlp_in": theirs.linear1,
        "mlp_out": theirs.linear2,
    }
    for name, module in pairs.items():
        block.get_submodule(name).load_state_dict(module.state_dict())
    block.attention.qkv.load_state_dict(
        {"weight": theirs.self_attn.in_proj_weight, "bias": theirs.self_attn.in_proj_bias}
    )
    x = torch.randn(3, 6, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(6) if causal else None
    torch.testing.assert_close(block(x), theirs(x, src_mask=mask, is_causal=causal), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
def test_number_of_parameters(bias):
    width, depth, length = 8, 3, 5
    model = Transformer(length, width, depth, heads=2, causal=True, mlp_ratio=4, bias=bias)
    weights = depth * (4 * width**2 + 2 * 4 * width**2)
    biases = depth * (3 * width + width + 4 * width + width)
    norms = (2 * depth + 1) * width * (1 + bias)
    assert sum(p.numel() for p in model.parameters()) == weights + bias * biases + norms + length * width


def test_the_residual_stream_does_not_grow_with_depth_at_initialization():
    torch.manual_seed(0)
    x = torch.randn(4, 16, 64)

    def growth(depth):
        model = Transformer(16, 64, depth, heads=4, causal=False, positions="none", init_std=0.1)
        return (model.blocks(x) - x).square().mean().item()

    assert growth(16) == pytest.approx(growth(2), rel=0.5)


def test_shorter_sequences_take_the_first_positions_and_longer_ones_are_refused():
    model = Transformer(6, 8, 1, heads=2, causal=True)
    x = torch.randn(2, 6, 8)
    torch.testing.assert_close(model(x[:, :4]), model(x)[:, :4])
    with pytest.raises(ValueError, match="longer than the context of 6"):
        model(torch.randn(2, 7, 8))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="positions is"):
        Transformer(6, 8, 1, heads=2, causal=True, positions="rotary")
    with pytest.raises(ValueError, match="norm is"):
        Transformer(6, 8, 1, heads=2, causal=True, norm="rms")
