from itertools import product
from math import log

import pytest
import torch

from expkit.data.markov_text import MarkovText
from expkit.errors import UserError


def by_power_iteration(transitions, vocab, order):
    """The stationary distribution of contexts as a dictionary from tuples, found without any matrix."""
    contexts = list(product(range(vocab), repeat=order))
    share = dict.fromkeys(contexts, 1 / len(contexts))
    for _ in range(300):
        following = dict.fromkeys(contexts, 0.0)
        for number, context in enumerate(contexts):
            for token in range(vocab):
                following[(*context[1:], token)] += share[context] * float(transitions[number, token])
        share = following
    return share


@pytest.mark.parametrize(("vocab", "order"), [(4, 1), (3, 2), (2, 3)])
def test_stationary_distribution_and_entropy_rate_agree_with_power_iteration(build, vocab, order):
    data = build("markov_text", vocab=vocab, order=order, concentration=1.0)
    share = by_power_iteration(data.transitions, vocab, order)
    assert data.stationary.tolist() == pytest.approx(list(share.values()), abs=1e-8)
    joint = [pi * float(p) for pi, row in zip(share.values(), data.transitions, strict=True) for p in row]
    block_entropies = [-sum(p * log(p) for p in shares) for shares in (joint, share.values())]
    assert data.entropy_rate == pytest.approx(block_entropies[0] - block_entropies[1], abs=1e-7)


def test_two_tokens_in_closed_form(build):
    data = build("markov_text", vocab=2, order=1, concentration=1.0)
    a, b = float(data.transitions[0, 1]), float(data.transitions[1, 0])
    entropy = [-p * log(p) - (1 - p) * log(1 - p) for p in (a, b)]
    assert data.entropy_rate == pytest.approx((b * entropy[0] + a * entropy[1]) / (a + b), abs=1e-9)


@pytest.mark.parametrize(("vocab", "order"), [(16, 1), (3, 3)])
def test_the_chain_itself_has_the_entropy_rate_as_its_loss(build, vocab, order):
    data = build("markov_text", vocab=vocab, order=order, length=20, n_train=5000)
    train = data.splits["train"]
    contexts = train["input"].unfold(1, order, 1) @ vocab ** torch.arange(order).flip(0)
    following = train["target"][:, order - 1 :]
    loss = -data.transitions[contexts, following].log().mean(1)
    standard_error = float(loss.std()) / 5000**0.5
    assert float(loss.mean()) == pytest.approx(data.entropy_rate, abs=4 * standard_error)
    assert data.entropy_rate < log(vocab)


def test_a_table_of_counts_finds_the_transitions(build):
    data = build("markov_text", vocab=3, order=2, length=50, n_train=4000, concentration=1.0)
    train = data.splits["train"]
    context = 3 * train["input"][:, :-1] + train["input"][:, 1:]
    counts = torch.zeros(9, 3, dtype=torch.float64)
    counts.index_put_((context.flatten(), train["target"][:, 1:].flatten()), torch.ones(1).double(), accumulate=True)
    assert torch.allclose(counts / counts.sum(1, keepdim=True), data.transitions, atol=0.02)


def test_windows_are_stationary_from_their_first_token(build):
    data = build("markov_text", vocab=4, length=10, n_train=20_000)
    train = data.splits["train"]
    for position in (0, 5, 9):
        shares = train["input"][:, position].bincount(minlength=4) / 20_000
        assert torch.allclose(shares.double(), data.stationary, atol=0.02)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_target_is_the_next_token_where_the_context_is_whole(build, order):
    train = build("markov_text", vocab=4, order=order, length=12).splits["train"]
    assert torch.equal(train["target"][:, order - 1 : -1], train["input"][:, order:])
    assert bool((train["target"][:, : order - 1] == -100).all())
    assert bool((train["target"][:, order - 1 :] >= 0).all())


def test_transitions_have_the_moments_of_a_dirichlet(build):
    rows = build("markov_text", vocab=4, order=5, concentration=0.5).transitions
    assert torch.allclose(rows.sum(1), torch.ones(1024).double())
    assert torch.allclose(rows.mean(0), torch.full((4,), 1 / 4).double(), atol=0.04)
    assert float(rows.var()) == pytest.approx(1 / 4 * 3 / 4 / (4 * 0.5 + 1), rel=0.1)


def test_a_chain_of_two_unconnected_parts_is_an_error():
    data = MarkovText(vocab=2, order=1, concentration=0.01, length=4, n_train=1, n_test=1, spec={})
    data.transitions = torch.eye(2, dtype=torch.float64)
    with pytest.raises(UserError, match="concentration"):
        data.setup()


def test_a_small_concentration_makes_the_next_token_nearly_certain(build):
    """Of Beta(a, a) with small a, a share of a ln 9 lies between 0.1 and 0.9."""
    rows = build("markov_text", vocab=2, order=10, concentration=0.01).transitions
    assert float((rows.max(1).values < 0.9).double().mean()) == pytest.approx(0.022, abs=0.015)


@pytest.mark.parametrize("wrong", [{"order": 4}, {"order": 0}, {"vocab": 1}, {"concentration": 0.001}, {"length": 0}])
def test_impossible_settings_are_refused(build, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build("markov_text", **wrong)
