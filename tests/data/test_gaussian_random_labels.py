import pytest
import torch
from scipy import stats


def test_inputs_and_targets_are_standard_normal_and_independent(build):
    train = build("gaussian_random_labels", dim=4, n_train=20_000).splits["train"]
    assert stats.kstest(train["input"].flatten().numpy(), "norm").pvalue > 0.01
    assert stats.kstest(train["target"].flatten().numpy(), "norm").pvalue > 0.01
    columns = torch.cat([train["input"], train["target"]], dim=1)
    correlations = torch.corrcoef(columns.T) - torch.eye(5)
    assert float(correlations.abs().max()) < 4 / 20_000**0.5


def test_nothing_carries_over_from_training_to_test(build):
    splits = build("gaussian_random_labels", n_train=2000, n_test=20_000).splits
    fitted = torch.linalg.lstsq(splits["train"]["input"], splits["train"]["target"]).solution
    test_error = (splits["test"]["input"] @ fitted - splits["test"]["target"]).square().mean()
    assert float(test_error) == pytest.approx(1 + 16 / 2000, abs=0.04)  # the noise, plus its fit: dim / n_train


def test_seeds_differ_and_repeat_and_the_test_split_can_be_left_out(build):
    one, again, other = (build("gaussian_random_labels", seed=seed, n_test=0).splits for seed in (0, 0, 1))
    assert list(one) == ["train"]
    assert torch.equal(one["train"]["target"], again["train"]["target"])
    assert not torch.equal(one["train"]["target"], other["train"]["target"])


@pytest.mark.parametrize("wrong", [{"dim": 0}, {"targets": 0}, {"n_train": 0}, {"n_test": -1}])
def test_impossible_sizes_are_refused(build, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build("gaussian_random_labels", **wrong)
