import torch
from sklearn.datasets import load_digits


def test_pixels_and_labels_are_those_of_the_table(build):
    images, labels = load_digits().images, load_digits().target
    splits = build("digits").splits
    assert {name: len(split["row"]) for name, split in splits.items()} == {"train": 1438, "test": 359}
    for split in splits.values():
        assert torch.equal(split["input"][:, 0] * 16, torch.from_numpy(images).float()[split["row"]])
        assert split["target"].tolist() == labels[split["row"]].tolist()
        assert float(split["input"].max()) == 1.0
    rows = torch.cat([split["row"] for split in splits.values()])
    assert sorted(rows.tolist()) == list(range(1797))


def test_ten_of_each_digit_among_a_hundred(build):
    counts = build("digits", n_train=100).splits["train"]["target"].bincount(minlength=10)
    assert bool(((counts >= 8) & (counts <= 12)).all())


def test_the_nearest_neighbour_tells_the_digit(build):
    train, test = build("digits").splits.values()
    nearest = torch.cdist(test["input"].flatten(1), train["input"].flatten(1)).argmin(1)
    assert float((train["target"][nearest] == test["target"]).float().mean()) > 0.96
