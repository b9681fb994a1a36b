"""The law of clicks, of items and of histories."""

import pytest
import torch


@pytest.fixture
def data(build):
    return build("synthetic_interaction", n_users=400, n_items=200, n_categories=20, interests=3, n_train=20_000)


def test_clicks_follow_the_matches_in_the_history(data):
    train = data.splits["train"]
    matches = (train["history"][..., 1] == train["input"][:, 1:]).sum(1)
    expected = torch.sigmoid(2 * (1 - 2 * torch.exp(-matches.float())))
    torch.testing.assert_close(train["probability"], expected)
    for m in (0, 4, 7):
        clicked = train["target"][matches == m].float()
        assert float(clicked.mean()) == pytest.approx(
            float(expected[matches == m][0]), abs=4 * 0.5 / len(clicked) ** 0.5
        )


def test_histories_are_of_a_users_interests_and_belong_to_the_user(data):
    train, test = data.splits["train"], data.splits["test"]
    assert max(len(row.unique()) for row in train["history"][..., 1]) == 3
    assert torch.equal(train["history"][:400], test["history"][:400])
    assert torch.equal(train["user"][:400], torch.arange(400))


def test_half_of_the_candidates_are_of_the_users_interests(data):
    train = data.splits["train"]
    inside = (train["history"][..., 1] == train["input"][:, 1:]).any(1).float().mean()
    assert float(inside) == pytest.approx(0.5, abs=0.02)


def test_items_have_their_category_and_zipf_popularity(data):
    items = torch.cat([split["input"] for split in data.splits.values()])
    assert torch.equal(items[:, 0] % 20, items[:, 1])
    rank = items[:, 0] // 20
    shares = rank.bincount(minlength=10) / len(rank)
    weights = 1 / torch.arange(1.0, 11)
    torch.testing.assert_close(shares, weights / weights.sum(), atol=0.015, rtol=0)


def test_counts_are_those_of_training(data):
    train, test = data.splits["train"], data.splits["test"]
    item = int(test["input"][0, 0])
    seen = int((train["input"][:, 0] == item).sum() + (train["history"][..., 0] == item).sum())
    assert test["input_count"][0, 0] == seen
    assert train["history_count"][5, 3, 1] == sum(
        (train[name][..., 1] == train["history"][5, 3, 1]).sum() for name in ("input", "history")
    )


@pytest.mark.parametrize("wrong", [{"interests": 40}, {"n_items": 30}])
def test_impossible_logs_are_refused(build, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build("synthetic_interaction", **wrong)
