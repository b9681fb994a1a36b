"""Fewer points that show the same."""

from __future__ import annotations

import numpy as np
import polars
import pytest
from scipy import stats

from expkit.dashboard.points import binned, is_logarithmic, mean_and_band, smoothed, spans_decades, thinned


def test_the_band_is_students_interval() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(7, 3))
    rows = [{"step": step, "m": values[run, step]} for run in range(7) for step in range(3)]
    frame = polars.DataFrame([*rows, {"step": 1, "m": float("nan")}, {"step": 2, "m": None}, {"step": 9, "m": 4.0}])
    band = mean_and_band(frame, "m", ["step"])
    assert band["step"].to_list() == [0, 1, 2, 9]
    for step in range(3):
        low, high = stats.t.interval(0.95, 6, values[:, step].mean(), stats.sem(values[:, step]))
        assert band.row(step, named=True) == pytest.approx(
            {"step": step, "mean": values[:, step].mean(), "low": low, "high": high, "runs": 7}
        )
    assert band.row(3) == (9, 4.0, 1, 4.0, 4.0)  # one run has no interval


def test_smoothing_is_the_weighted_mean_of_the_past() -> None:
    values = [3.0, -1.0, 4.0, 1.0]
    expected = []
    for place in range(4):
        weights = 0.6 ** np.arange(place, -1, -1)
        expected.append(float(np.dot(weights, values[: place + 1]) / weights.sum()))
    assert smoothed(polars.Series(values), 0.6).to_list() == pytest.approx(expected)
    assert smoothed(polars.Series(values), 0.0).to_list() == values


@pytest.mark.parametrize("log", [False, True])
def test_thinning_keeps_ends_and_spreads_the_rest(log: bool) -> None:
    kept = thinned(100_000, 300, log)
    assert len(kept) <= 300
    assert (kept[0], kept[-1]) == (0, 99_999)
    assert np.all(np.diff(kept) > 0)
    below = int((kept < 1000).sum())
    assert (below > 100) if log else (below < 10)
    assert thinned(5, 300, log).tolist() == [0, 1, 2, 3, 4]


def test_a_map_holds_the_mean_of_each_cell_whatever_the_order_of_rows() -> None:
    rng = np.random.default_rng(1)
    x, y = np.meshgrid(np.logspace(-2, 2, 300), np.linspace(0, 1, 200))
    frame = polars.DataFrame({"x": x.ravel(), "y": y.ravel(), "m": rng.normal(size=x.size)})
    m = frame["m"].to_numpy().copy()
    m[0] = np.inf
    frame = frame.with_columns(polars.Series("m", m)).sample(fraction=1.0, shuffle=True, seed=0)
    grid = binned(frame, "x", "y", "m", cells=50)
    assert grid.values.shape == (50, 50)
    assert grid.merged == (6, 4)
    assert np.unique(grid.runs).tolist() == [24]
    cube = m.reshape(200, 300).reshape(50, 4, 50, 6)
    assert np.allclose(grid.values[1:, 1:], cube.mean(axis=(1, 3))[1:, 1:])
    corner = m.reshape(200, 300)[:4, :6]
    assert grid.values[0, 0] == pytest.approx(corner[np.isfinite(corner)].mean())
    assert grid.x[0] == pytest.approx(np.exp(np.log(np.logspace(-2, 2, 300)[:6]).mean()))
    assert grid.y[0] == pytest.approx(np.linspace(0, 1, 200)[:4].mean())


def test_a_map_over_words_and_missing_values() -> None:
    frame = polars.DataFrame(
        {"a": ["sgd", "adam", None, "adam"], "b": [1, 2, 2, 2], "m": [1.0, 2.0, float("nan"), 4.0]}
    )
    grid = binned(frame, "a", "b", "m")
    assert grid.x == ["adam", "null", "sgd"]
    assert np.array_equal(grid.values, [[np.nan, np.nan, 1.0], [3.0, np.nan, np.nan]], equal_nan=True)
    assert binned(frame, "a", "b", "m", "max").values[1, 0] == 4.0


def test_which_axes_are_logarithmic() -> None:
    rng = np.random.default_rng(2)
    assert is_logarithmic(np.logspace(-4, 0, 9))
    assert is_logarithmic([0.001, 0.01, 0.1, 1.0])
    assert is_logarithmic(10 ** rng.uniform(-4, 0, 200))
    assert not is_logarithmic(np.linspace(1, 1000, 50))
    assert not is_logarithmic([0.0, 0.1, 1.0, 10.0])
    assert not is_logarithmic([1.0, 100.0])


def test_which_colours_are_logarithmic() -> None:
    assert spans_decades(np.logspace(0, 8, 100))
    assert not spans_decades(np.linspace(1, 50, 100))
    assert not spans_decades(np.linspace(-1, 1e9, 100))
