import pytest
import torch


def pairs(data, split):
    inputs = data.splits[split]["input"]
    if inputs.shape[1] == 3:
        return [tuple(row) for row in inputs[:, :2].tolist()]
    return [tuple(half.index(1.0) for half in (row[: data.p], row[data.p :])) for row in inputs.tolist()]


@pytest.mark.parametrize("name", ["modular_addition", "modular_addition_onehot"])
def test_every_pair_is_in_one_split_with_its_sum(build, name):
    data = build(name, p=11, train_fraction=0.4)
    train, test = pairs(data, "train"), pairs(data, "test")
    assert sorted(train + test) == [(a, b) for a in range(11) for b in range(11)]
    assert len(train) == round(0.4 * 121)
    for split, members in (("train", train), ("test", test)):
        assert data.splits[split]["target"].tolist() == [(a + b) % 11 for a, b in members]


def test_tokens_end_with_a_token_of_their_own(build):
    data = build("modular_addition", p=11)
    inputs = data.splits["train"]["input"]
    assert inputs.dtype == torch.int64
    assert bool((inputs[:, 2] == 11).all())
    assert bool((inputs[:, :2] < 11).all())
    assert data.spec["vocab"] == 12


def test_onehot_vectors_have_two_ones(build):
    data = build("modular_addition_onehot", p=11)
    inputs = data.splits["train"]["input"]
    assert inputs.dtype == torch.float32
    assert inputs.shape[1] == 22
    assert torch.equal(inputs.unique(), torch.tensor([0.0, 1.0]))
    assert torch.equal(inputs.unflatten(1, (2, 11)).sum(2), torch.ones(len(inputs), 2))


def test_both_encodings_split_alike(build):
    tokens = build("modular_addition", p=7, train_fraction=0.5)
    onehot = build("modular_addition_onehot", p=7, train_fraction=0.5)
    assert pairs(tokens, "train") == pairs(onehot, "train")


def test_a_larger_share_only_moves_pairs_into_training(build):
    small, large = (build("modular_addition", p=11, train_fraction=share) for share in (0.3, 0.6))
    assert set(pairs(small, "train")) < set(pairs(large, "train"))
    assert set(pairs(large, "test")) < set(pairs(small, "test"))


@pytest.mark.parametrize("wrong", [{"train_fraction": 0.0}, {"train_fraction": 1.0}, {"p": 1}])
def test_impossible_settings_are_refused(build, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build("modular_addition", **wrong)


@pytest.mark.parametrize(("name", "encoding"), [("modular_addition", "onehot"), ("modular_addition_onehot", "tokens")])
def test_the_other_encoding_is_the_other_data_set(build, name, encoding):
    with pytest.raises(ValueError, match="data=modular_addition_onehot"):
        build(name, encoding=encoding)
