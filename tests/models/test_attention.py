import pytest
import torch
from torch import nn
from torch.func import vmap

from expkit.models.attention import SelfAttention


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [1, 4])
def test_agrees_with_torch(causal, heads):
    ours = SelfAttention(8, heads, causal)
    theirs = nn.MultiheadAttention(8, heads, batch_first=True)
    nn.init.normal_(theirs.in_proj_bias)
    ours.qkv.load_state_dict({"weight": theirs.in_proj_weight, "bias": theirs.in_proj_bias})
    ours.out.load_state_dict(theirs.out_proj.state_dict())
    x = torch.randn(3, 6, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(6) if causal else None
    expected = theirs(x, x, x, attn_mask=mask, is_causal=causal, need_weights=False)[0]
    torch.testing.assert_close(ours(x), expected)
    stacked = torch.randn(2, 3, 6, 8)
    torch.testing.assert_close(vmap(ours)(stacked), torch.stack([ours(x) for x in stacked]))


def test_dropout_of_attention_weights_keeps_the_mean():
    torch.manual_seed(0)
    attention = SelfAttention(4, 1, causal=False, dropout=0.3)
    x = torch.randn(1, 5, 4)
    expected = attention.eval()(x)
    for draws in (
        attention.train()(x.expand(20000, 5, 4)),
        vmap(lambda _: attention(x)[0], randomness="different")(torch.zeros(20000)),
    ):
        standard_error = draws.std(0) / 20000**0.5
        assert (standard_error > 0).all()
        assert ((draws.mean(0) - expected[0]).abs() < 5 * standard_error).all()


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="width 10 cannot be divided among 4 heads"):
        SelfAttention(10, 4, causal=True)
