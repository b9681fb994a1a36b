import pytest
import torch


def test_solutions_have_as_many_dimensions_as_are_not_constrained(build):
    train = build("quadratic_constraints").splits["train"]
    assert torch.linalg.matrix_rank(train["input"]) == 10
    theta = torch.linalg.pinv(train["input"]) @ train["target"]
    assert torch.allclose(theta.view(10, 100).sum(1), torch.arange(1.0, 11))


def test_a_length_that_cannot_be_cut_is_refused(build):
    with pytest.raises(ValueError, match="multiple"):
        build("quadratic_constraints", dim=1001)
