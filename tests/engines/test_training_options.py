"""Precision, accumulation, clipping and compilation against a plain loop in float32."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import trainings
from torch import nn
from torch.nn import functional as F

from expkit.compose import compose
from expkit.engines import compiler
from expkit.errors import ConfigError
from expkit.records.metrics import Row

STEPS = 12


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def plain_loop(
    batches_per_step: int = 1, clip: float | None = None, batch_size: int = 20, make: Callable[[], nn.Module] = network
) -> list[float]:
    """The training loss after every third step, as `trainings.fit` has it, by nothing but torch."""
    data = trainings.mixture(batch_size)
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.5)
    train = data.splits["train"]
    losses = [F.cross_entropy(model(train["input"]), train["target"]).item()]
    for step in range(STEPS):
        optimizer.zero_grad()
        for part in range(batches_per_step):
            batch = data.batch(step * batches_per_step + part, seed=4)
            (F.cross_entropy(model(batch["input"]), batch["target"]) / batches_per_step).backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if (step + 1) % 3 == 0:
            losses.append(F.cross_entropy(model(train["input"]), train["target"]).item())
    return losses


def difference(rows: list[Row], losses: list[float]) -> float:
    assert [row["step"] for row in rows] == [0, 3, 6, 9, 12]
    return max(abs(row["train/loss"] - loss) for row, loss in zip(rows, losses, strict=True))


def test_single_precision_is_that_of_the_loop(tmp_path: Path) -> None:
    assert difference(trainings.fit(tmp_path), plain_loop()) < 1e-6


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("64-true", 1e-5), ("bf16-mixed", 0.01), ("16-mixed", 0.002), ("bf16-true", 0.03)]
)
def test_other_precisions_agree_with_single_precision_within_theirs(
    precision: str, tolerance: float, tmp_path: Path
) -> None:
    found = difference(trainings.fit(tmp_path, precision=precision), plain_loop())
    assert 0 < found < tolerance


def test_accumulated_gradients_are_those_of_the_loop(tmp_path: Path) -> None:
    rows = trainings.fit(tmp_path, batch_size=7, accumulate_grad_batches=3)
    assert difference(rows, plain_loop(batches_per_step=3, batch_size=7)) < 1e-6


@pytest.mark.parametrize("batches", [1, 2])
def test_gradients_are_clipped_as_in_the_loop(batches: int, tmp_path: Path) -> None:
    rows = trainings.fit(tmp_path, gradient_clip_val=0.1, accumulate_grad_batches=batches)
    expected = plain_loop(batches_per_step=batches, clip=0.1)
    assert difference(rows, expected) < 1e-6
    assert abs(expected[-1] - plain_loop(batches_per_step=batches)[-1]) > 1e-3  # the limit is below the norms


class Counting(nn.Linear):
    """Knows how often it was run as it is written, which the compiled form is not."""

    runs = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.compiler.is_compiling():
            type(self).runs += 1
        return super().forward(x)


def test_a_compiled_model_trains_like_the_loop_and_is_itself_again_afterwards(tmp_path: Path) -> None:
    made: list[Counting] = []

    def make() -> Counting:
        made.append(Counting(5, 3))
        return made[-1]

    expected = plain_loop(make=make)
    Counting.runs = 0
    assert difference(trainings.fit(tmp_path, model=make), expected) < 1e-6
    as_written, Counting.runs = Counting.runs, 0
    assert difference(trainings.fit(tmp_path, model=make, compile=True), expected) < 1e-5
    assert as_written - Counting.runs == STEPS  # evaluation runs it as it is written, steps do not
    assert made[-1]._compiled_call_impl is None


def test_it_is_a_key_of_the_trainer() -> None:
    assert compose(["data=iris", "trainer.compile=true"]).config["trainer"]["compile"] is True
    with pytest.raises(ConfigError, match=r"trainer\.compile: has to be true or false"):
        compose(["data=iris", "trainer.compile=3"])


def test_without_a_compiler_the_model_runs_as_it_is_and_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "can_compile", lambda: False)
    warnings: list[str] = []
    assert trainings.fit(tmp_path, compile=True, warnings=warnings) == trainings.fit(tmp_path)
    assert "no C++ compiler" in warnings[0]
