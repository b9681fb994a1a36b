import pytest
import torch


@pytest.fixture
def data(build):
    return build("xor_clusters", dim=30, n_train=20_000, n_test=20_000, mean_norm=6.0, noise_rate=0.15)


def test_the_longer_of_the_two_signal_coordinates_tells_the_clean_label(data):
    for split, label in (("train", "clean"), ("test", "target")):
        signal = data.splits[split]["input"][:, :2].abs()
        assert torch.equal((signal[:, 0] > signal[:, 1]).long(), data.splits[split][label])


def test_clusters_are_balanced_around_their_means_with_unit_noise(data):
    split = data.splits["test"]
    axis = 1 - split["target"]
    along = split["input"].gather(1, axis[:, None]).squeeze(1)
    quarter = torch.stack([axis * 2 + (along > 0)]).flatten().bincount(minlength=4) / len(axis)
    assert torch.allclose(quarter, torch.tensor(0.25), atol=0.02)
    assert float(along.abs().mean()) == pytest.approx(6.0, abs=0.03)
    noise = split["input"] - along.sign()[:, None] * data.means[axis]
    assert torch.allclose(noise.T.cov(), torch.eye(30), atol=0.06)


def test_no_direction_is_correlated_with_the_label(data):
    """The exclusive or: the best linear model does no better than chance."""
    train = data.splits["train"]
    x, y = train["input"], 2.0 * train["clean"] - 1
    weights = torch.linalg.lstsq(x, y.unsqueeze(1)).solution
    test = data.splits["test"]
    right = ((test["input"] @ weights).squeeze(1) > 0) == (test["target"] == 1)
    assert float(right.float().mean()) == pytest.approx(0.5, abs=0.03)


def test_a_share_of_training_labels_is_flipped(data):
    train = data.splits["train"]
    assert float(train["flipped"].float().mean()) == pytest.approx(0.15, abs=0.01)
    assert torch.equal(train["target"] != train["clean"], train["flipped"])
    assert "flipped" not in data.splits["test"]


def test_noise_rate_changes_which_labels_are_flipped_and_nothing_else(build):
    few, many = (build("xor_clusters", dim=5, noise_rate=rate).splits["train"] for rate in (0.1, 0.3))
    assert torch.equal(few["input"], many["input"])
    assert torch.equal(few["clean"], many["clean"])
    assert bool((many["flipped"] | ~few["flipped"]).all())


@pytest.mark.parametrize("wrong", [{"dim": 1}, {"noise_rate": 0.5}, {"noise_rate": -0.1}])
def test_impossible_settings_are_refused(build, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build("xor_clusters", **wrong)
