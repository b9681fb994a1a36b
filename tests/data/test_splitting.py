import pytest
import torch

from expkit.data.splitting import choose, hold_out
from expkit.errors import UserError


def random(seed=0):
    return torch.Generator().manual_seed(seed)


LABELS = torch.tensor([0] * 212 + [1] * 57 + [2] * 31)  # in blocks, as tables often are


def test_every_row_is_either_held_out_or_trained_on():
    train, test = hold_out(LABELS, 0.25, None, random())
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(300))
    assert len(test) == 75


@pytest.mark.parametrize("seed", range(5))
def test_classes_keep_their_proportions_in_both_splits_and_in_parts_of_them(seed):
    train, test = hold_out(LABELS, 0.2, None, random(seed))
    for rows in (test, train, train[:90], train[:30]):
        expected = LABELS.bincount() * len(rows) / 300
        assert (LABELS[rows].bincount(minlength=3) - expected).abs().max() <= 2


def test_each_row_is_held_out_as_often_as_any_other():
    held_out = torch.zeros(300)
    for seed in range(400):
        held_out[hold_out(LABELS, 0.2, None, random(seed))[1]] += 1
    assert abs(float(held_out[LABELS == 2].mean()) / 400 - 0.2) < 0.01
    assert held_out.min() > 400 * 0.2 - 5 * (400 * 0.16) ** 0.5
    assert held_out.max() < 400 * 0.2 + 5 * (400 * 0.16) ** 0.5


def test_real_targets_are_split_at_random():
    train, test = hold_out(torch.arange(100.0), 0.3, 20, random())
    assert len(set(test.tolist())) == 30
    assert len(set(train.tolist()) - set(test.tolist())) == 20
    assert test.tolist() != sorted(test.tolist())


def test_all_rows_keep_their_order():
    assert torch.equal(choose(LABELS, None, random(), "test"), torch.arange(300))


@pytest.mark.parametrize("n", [0, 241, -1])
def test_more_rows_than_there_are_is_an_error_that_says_how_many(n):
    with pytest.raises(UserError, match=rf"data.n_train={n}(?s:.*)1 to 240"):
        hold_out(LABELS, 0.2, n, random())


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 2.0])
def test_a_split_may_not_be_empty(share):
    with pytest.raises(UserError, match="test_fraction"):
        hold_out(LABELS, share, None, random())
