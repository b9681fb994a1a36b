"""Which keys a metric depends on, where the answer is known."""

from __future__ import annotations

import math

import numpy as np
import polars
import pytest

from expkit.dashboard.importance import METHODS, importance
from expkit.errors import UserError


@pytest.fixture
def frame() -> polars.DataFrame:
    rng = np.random.default_rng(0)
    rate = 10 ** rng.uniform(-4, 0, 400)
    frame = polars.DataFrame(
        {
            "optimizer.lr": rate,
            "optimizer.name": rng.choice(["sgd", "adam"], 400),
            "seed": rng.integers(0, 50, 400),
        }
    )
    loss = (np.log10(rate) + 2) ** 2 + 0.4 * (frame["optimizer.name"] == "sgd").to_numpy() + 0.01 * rng.normal(size=400)
    return frame.with_columns(polars.Series("test/loss", loss))


@pytest.mark.parametrize("method", list(METHODS))
def test_what_the_metric_was_made_of_comes_first(frame: polars.DataFrame, method: str) -> None:
    found = importance(frame, ["seed", "optimizer.name", "optimizer.lr"], "test/loss", method, low=True)
    assert next(iter(found)) == "optimizer.lr"
    assert found["seed"] < 0.1
    assert sum(found.values()) == pytest.approx(1.0)


def test_the_shares_are_those_of_the_variance(frame: polars.DataFrame) -> None:
    found = importance(frame, ["optimizer.name", "optimizer.lr"], "test/loss", "fANOVA", low=True)
    # Of u uniform on [-2, 2]: the variance of u^2 is 16/5 - 16/9; of 0.4 times a coin: 0.04.
    expected = 0.04 / (16 / 5 - 16 / 9 + 0.04)
    assert found["optimizer.name"] == pytest.approx(expected, abs=0.02)


def test_runs_that_blew_up_are_not_all_there_is_to_explain(frame: polars.DataFrame) -> None:
    blown = polars.when(polars.col("seed") == 7).then(1e200).otherwise(10 ** polars.col("test/loss"))
    found = importance(
        frame.with_columns(blown.alias("test/loss")), ["seed", "optimizer.lr"], "test/loss", "fANOVA", True
    )
    assert all(map(math.isfinite, found.values()))
    assert found["optimizer.lr"] > 0.5


def test_too_few_runs(frame: polars.DataFrame) -> None:
    with pytest.raises(UserError, match="too few"):
        importance(frame.head(5), ["optimizer.lr"], "test/loss", "fANOVA", low=True)


def test_without_optuna(frame: polars.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="Optuna") as caught:
        importance(frame, ["optimizer.lr"], "test/loss", "fANOVA", low=True)
    assert "pip install" in str(caught.value.hint)
