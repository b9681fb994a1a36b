import pytest
import torch

from expkit.models.gpt import GPT


def n_parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_gpt_2_small_has_the_published_size():
    with torch.device("meta"):
        model = GPT([1024], 50257, vocab=50257, width=768, depth=12, heads=12, tie_weights=True)
    assert n_parameters(model) == 124_439_808


@pytest.mark.parametrize("tie_weights", [True, False])
def test_number_of_parameters(tie_weights):
    width, depth, vocab, length = 8, 3, 11, 6
    model = GPT([length], vocab, vocab=vocab, width=width, depth=depth, heads=2, tie_weights=tie_weights)
    blocks = depth * (12 * width**2 + 13 * width)
    assert n_parameters(model) == (2 - tie_weights) * vocab * width + length * width + blocks + 2 * width


def test_the_last_output_is_that_of_the_last_position():
    torch.manual_seed(0)
    every = GPT([6], 7, vocab=5, width=8, heads=2)
    torch.manual_seed(0)
    last = GPT([6], 7, vocab=5, width=8, heads=2, per_position=False)
    tokens = torch.randint(5, (4, 6))
    torch.testing.assert_close(last(tokens), every(tokens)[:, -1])


@pytest.mark.parametrize("context", [6, 64, 300])
def test_later_tokens_do_not_change_a_bit_of_earlier_outputs(context):
    model = GPT([context], 5, vocab=5, width=16, heads=2).eval()
    tokens = torch.randint(5, (2, context))
    for position in (1, context // 2, context - 1):
        changed = tokens.clone()
        changed[:, position:] = (changed[:, position:] + 1) % 5
        before, after = model(tokens), model(changed)
        assert torch.equal(before[:, :position], after[:, :position])
        assert not torch.allclose(before[:, position], after[:, position])


def test_an_untrained_model_is_near_the_uniform_distribution():
    model = GPT([32], 50, vocab=50)
    tokens = torch.randint(50, (8, 32))
    loss = torch.nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
    assert loss.item() == pytest.approx(torch.tensor(50.0).log().item(), abs=0.1)


def test_learns_to_copy_the_token_before_and_cannot_learn_the_one_after():
    torch.manual_seed(0)
    tokens = torch.randint(4, (256, 8))
    losses = {}
    for offset in (1, -1):
        model = GPT([8], 4, vocab=4, width=32, depth=1, heads=2)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(60):
            loss = torch.nn.functional.cross_entropy(
                model(tokens)[:, 1:-1].flatten(0, 1), tokens.roll(offset, 1)[:, 1:-1].flatten()
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses[offset] = loss.item()
    assert losses[1] < 0.1
    assert losses[-1] > 1.0


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="an output per token, 5, but the task needs 7"):
        GPT([6], 7, vocab=5, tie_weights=True)
    with pytest.raises(ValueError, match="sequences of tokens"):
        GPT([2, 6], 5, vocab=5)
