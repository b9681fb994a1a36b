"""Zooms of trainability_fractal on boundaries that are known, and its control."""

import sys
from pathlib import Path

import numpy as np
import pytest

from expkit.analysis.trainability_map import Map

sys.path.append(str(Path(__file__).parents[1]))
from experiments.trainability_fractal.quadratic_control import quadratic_control
from experiments.trainability_fractal.zoom import agreement, decades, median_dimension, next_window, zoom


def of(train_map, low, high, n):
    axis = np.logspace(low, high, n)
    return Map(axis, axis, train_map(axis, axis))


def test_the_boundary_of_a_quadratic_is_smooth_over_ten_decades():
    levels = zoom(quadratic_control, of(quadratic_control, -2, 1, 64), zooms=12)
    assert decades(levels) > 10
    assert len(levels) == 13
    assert median_dimension(levels) == pytest.approx(1, abs=0.03)
    assert [level.dimension.dimension for level in levels] == pytest.approx([1.0] * 13, abs=0.12)
    for level in levels:  # the true boundary, lr + lr_output = 2, goes through every window
        corner_sums = np.add.outer(level.map.y[[0, -1]], level.map.x[[0, -1]])
        assert corner_sums.min() < 2 < corner_sums.max()
        expected = np.add.outer(level.map.y, level.map.x) < 2
        assert (expected == level.map.converged).mean() > 0.99


def carpet(x, y):
    """Of the squares that are removed from Sierpinski's carpet, those removed at an even depth."""
    depth = np.zeros((len(y), len(x)), dtype=int)
    x, y = np.log10(x) % 1, np.log10(y) % 1
    for level in range(1, 32):
        x, y = x * 3, y * 3
        hole = np.logical_and.outer(np.floor(y) == 1, np.floor(x) == 1)
        depth = np.where((depth == 0) & hole, level, depth)
        x, y = x % 1, y % 1
    return np.where(depth % 2 == 0, 1.0, -1.0)


def test_a_carpet_has_its_dimension_on_every_scale():
    levels = zoom(carpet, of(carpet, 0.013, 0.987, 128), zooms=6, resolution=64)
    assert median_dimension(levels) == pytest.approx(np.log(8) / np.log(3), abs=0.1)


def test_the_window_is_where_most_of_the_boundary_is():
    value = -np.ones((16, 16))
    value[2, 4:12] = 1.0  # a line, its boundary two cells thick
    value[8:12:2, 12:16:2] = 1.0  # and a chequered corner
    x_low, x_high, y_low, y_high = next_window(
        Map(np.arange(16.0), np.arange(16.0), value, "linear", "linear"), factor=4
    )
    assert 9.5 <= x_low < x_high <= 15.5
    assert 6.5 <= y_low < y_high <= 12.5
    assert x_high - x_low == y_high - y_low == 4


def test_of_a_square_a_typical_window_shows_a_side_and_the_busiest_a_corner():
    """A side is 3 cells of boundary in a window of 4, a corner up to 5; there are more of sides."""
    value = -np.ones((32, 32))
    value[8:24, 8:24] = 1.0
    trained = Map(np.arange(32.0), np.arange(32.0), value, "linear", "linear")

    def converged(window):
        x_low, x_high, y_low, y_high = window
        inside = np.ix_((trained.y > y_low) & (trained.y < y_high), (trained.x > x_low) & (trained.x < x_high))
        return trained.converged[inside]

    corner, side = (converged(next_window(trained, factor=8, quantile=quantile)) for quantile in (1.0, 0.5))
    assert [len(np.unique(corner.sum(axis=axis))) for axis in (0, 1)] == [2, 2]
    assert {len(np.unique(side.sum(axis=0))), len(np.unique(side.sum(axis=1)))} == {1, 2}


def test_a_map_without_a_boundary_ends_the_zoom():
    levels = zoom(lambda x, y: np.ones((len(y), len(x))), of(quadratic_control, -2, 1, 32), zooms=5)
    assert len(levels) == 2
    assert np.isnan(levels[1].dimension.dimension)


def test_maps_that_share_nothing_but_how_much_converges_do_not_agree():
    random = np.random.default_rng(0)
    axis = np.arange(100.0)
    one, other = (Map(axis, axis, np.where(random.random((100, 100)) < 0.9, 1.0, -1.0)) for _ in range(2))
    assert agreement(one, one) == 1
    assert agreement(one, other) == pytest.approx(0, abs=0.04)
    assert (one.converged == other.converged).mean() > 0.8


def test_maps_are_trained_as_the_lightning_engine_trains_them(runs):
    from experiments.trainability_fractal.zooms import trained_map

    from support import train

    x, y = np.array([1.0, 300.0]), np.array([10.0, 200.0])
    value = trained_map(["scale=smoke", "seed=3"])(x, y)
    assert value.shape == (2, 2)
    for row, lr_output in enumerate(y):
        for column, lr in enumerate(x):
            rates = [f"optimizer.lr={lr}", f"optimizer.lr_output={lr_output}"]
            alone = train("+experiment=trainability_fractal", "scale=smoke", "seed=3", *rates)["summary"]
            assert value[row, column] == pytest.approx(alone["convergence/value"], rel=1e-8)
            assert (value[row, column] > 0) == bool(alone["convergence/converged"])


def test_every_arm_can_be_zoomed_into():
    from experiments.trainability_fractal.zooms import arm

    for name in ("tanh", "relu", "identity", "minibatch", "single_datapoint"):
        _, (x, y) = arm(name)
        assert x[0] < x[1]
        assert y[0] < y[1]
    assert "model.activation=identity" in arm("identity")[0]


def test_the_map_is_recorded_and_drawn(runs):
    from support import train

    axes = ["optimizer.lr=logspace(0,3,8)", "optimizer.lr_output=logspace(1,2.5,6)"]
    printed = train("-m", "+experiment=trainability_fractal", "scale=smoke", *axes)
    assert len(printed) == 48
    assert {run["status"] for run in printed} == {"complete"}
    (sweep,) = (runs / ".sweeps").iterdir()
    assert (sweep / "figures" / "sweep.png").stat().st_size > 10_000
