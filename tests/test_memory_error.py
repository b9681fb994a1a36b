"""What is said where memory is used up."""

from __future__ import annotations

from pathlib import Path

import pytest

from expkit.memory_error import memory_error
from support import Run


@pytest.mark.parametrize("sweep", [[], ["-m", "seed=0,1"]], ids=["alone", "fused"])
def test_what_does_not_fit_fails_with_one_message_that_says_what_to_do(
    expkit: Run, tmp_path: Path, sweep: list[str]
) -> None:
    done = expkit("train", *sweep, "data=gaussian_product", "data.n_train=100000000000000", "--runs", str(tmp_path))
    assert done.returncode == 1
    assert "Out of memory" in done.stdout + done.stderr
    assert "Lower data.batch_size" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_errors_of_another_kind_are_left_alone() -> None:
    assert memory_error(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert "Out of memory" in str(memory_error(MemoryError()))
