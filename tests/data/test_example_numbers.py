import pytest
import torch


def test_every_number_is_there_once_with_its_class(build):
    data = build("example_numbers", counts=[3, 1, 2], classes=3)
    train = data.splits["train"]
    assert train["input"].squeeze(1).tolist() == list(range(6))
    assert train["target"].tolist() == [0, 0, 0, 1, 2, 2]
    assert data.spec["vocab"] == 6
    assert torch.equal(data.splits["test"]["input"], train["input"])


def test_counts_that_do_not_fit_are_refused(build):
    with pytest.raises(ValueError, match="3 numbers"):
        build("example_numbers", counts=[3, 1], classes=3)
