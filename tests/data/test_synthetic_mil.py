"""Bags: who is positive, and that only the motifs tell."""

import pytest
import torch


def test_a_bag_is_positive_where_it_has_witnesses(build):
    data = build("synthetic_mil", n_train=1000, n_test=1000, witnesses=2)
    for split in data.splits.values():
        assert (split["witness"].sum(1) == 2 * split["target"]).all()
        assert split["target"].float().mean() == pytest.approx(0.5, abs=0.01)
    assert data.splits["train"]["witness"].sum(0).min() > 0  # at any position


def test_the_rest_is_standard_normal(build):
    data = build("synthetic_mil", n_train=500, signal=6.0)
    split = data.splits["train"]
    others = split["input"][~split["witness"]]
    assert others.mean().abs() < 0.01
    assert others.std() == pytest.approx(1, abs=0.01)
    distance = torch.cdist(split["input"][split["witness"]], data.motifs).amin(1)
    assert (distance**2).mean() == pytest.approx(16, abs=1)  # chi^2 with 16 degrees of freedom
    torch.testing.assert_close(data.motifs.norm(dim=1), torch.full((4,), 6.0))
