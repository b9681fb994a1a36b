from __future__ import annotations

import pytest

from expkit.engines.evaluation_points import evaluation_points, fibonacci


def test_log_is_the_fibonacci_numbers_with_both_ends() -> None:
    assert sorted(evaluation_points("log", 100)) == [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 100]
    assert sorted(evaluation_points("log", 1)) == [0, 1]
    numbers = fibonacci(10**6)
    assert all(a + b == c for a, b, c in zip(numbers, numbers[1:], numbers[2:], strict=False))


def test_every_n_steps() -> None:
    assert sorted(evaluation_points(4, 10)) == [0, 4, 8, 10]


def test_a_list_is_cut_at_the_last_step() -> None:
    assert sorted(evaluation_points([3, 7, 50], 10)) == [0, 3, 7, 10]


@pytest.mark.parametrize("wrong", ["sometimes", 0, -1, [1, -2], [1.5]])
def test_anything_else_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="eval_at"):
        evaluation_points(wrong, 10)  # type: ignore[arg-type]
