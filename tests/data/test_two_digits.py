import pytest
import torch
from sklearn.datasets import load_digits


def test_images_and_targets_are_those_of_the_table(build):
    data = build("two_digits", digits=[3, 8], n_train=100)
    pixels, labels = load_digits(return_X_y=True)
    for split in data.splits.values():
        row = split["row"].numpy()
        assert set(labels[row]) == {3, 8}
        assert torch.equal(split["target"].squeeze(1), torch.from_numpy(labels[row] == 8).float() * 2 - 1)
        assert torch.equal(split["input"].flatten(1) * 16, torch.from_numpy(pixels[row]).float())


def test_every_image_of_both_is_in_one_split(build):
    splits = build("two_digits", digits=[0, 2], n_train=128).splits
    rows = [set(splits[name]["row"].tolist()) for name in ("train", "test")]
    labels = load_digits(return_X_y=True)[1]
    assert len(rows[0]) == 128
    assert not rows[0] & rows[1]
    assert rows[0] | rows[1] == {row for row, label in enumerate(labels) if label in (0, 2)}


def test_the_seed_decides_the_split_alone(build):
    torch.manual_seed(1)
    first = build("two_digits", seed=3).splits["train"]["row"]
    torch.manual_seed(2)
    assert torch.equal(build("two_digits", seed=3).splits["train"]["row"], first)
    assert not torch.equal(build("two_digits", seed=4).splits["train"]["row"], first)


@pytest.mark.parametrize("wrong", [{"digits": [1, 1]}, {"digits": [1, 10]}, {"digits": [1]}, {"n_train": 100_000}])
def test_impossible_settings_are_refused(build, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build("two_digits", **wrong)
