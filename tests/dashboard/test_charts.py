"""Figures: that they show what they should, and do not send more than a browser can draw."""

from __future__ import annotations

import numpy as np
import polars
import pytest

from dashboard.example import HOSTILE
from expkit.dashboard import charts
from expkit.dashboard.points import LINES, POINTS, binned

PALETTE = ("#0072b2", "#d55e00", "#009e73")


def history(runs: int, steps: int) -> polars.DataFrame:
    return polars.DataFrame(
        {
            "run_id": np.repeat([f"r{run}" for run in range(runs)], steps),
            "step": np.tile(np.arange(steps), runs),
            "test/acc": np.random.default_rng(0).uniform(size=runs * steps),
        }
    )


@pytest.mark.parametrize(("runs", "steps"), [(3, 50_000), (100, 2_000)])
@pytest.mark.parametrize("averaged", [False, True])
def test_long_curves_become_a_few_thousand_points(runs: int, steps: int, averaged: bool) -> None:
    names = {f"r{run}": f"group {run % 3}" for run in range(runs)}
    figure = charts.curves(history(runs, steps), "test/acc", names, PALETTE, averaged=averaged, log_x=True)
    assert sum(len(trace.x) for trace in figure.data) <= 1.1 * POINTS
    for trace in figure.data:
        assert {0.5, steps - 1} <= set(trace.x)  # step 0 to the left of step 1, and the last


def test_runs_of_one_name_share_a_colour_and_a_line_in_the_legend() -> None:
    names = {"r0": "a", "r1": "b", "r2": "a"}
    figure = charts.curves(history(3, 10), "test/acc", names, PALETTE)
    assert [trace.line.color for trace in figure.data] == [PALETTE[0], PALETTE[1], PALETTE[0]]
    assert [trace.name for trace in figure.data if trace.showlegend] == ["a", "b"]


def test_more_names_than_colours_are_told_apart_by_their_lines() -> None:
    names = {f"r{run}": f"name {run}" for run in range(6)}
    figure = charts.curves(history(6, 10), "test/acc", names, PALETTE)
    assert len({(trace.line.color, trace.line.dash) for trace in figure.data}) == 6


def test_names_are_text() -> None:
    frame = history(2, 5).rename({"test/acc": f"test/{HOSTILE}"})
    figure = charts.curves(frame, f"test/{HOSTILE}", {"r0": HOSTILE, "r1": "b"}, PALETTE)
    assert "<script" not in figure.to_json().replace("\\u003c", "<")


def test_a_quarter_of_a_million_runs_fit_into_a_figure() -> None:
    x, y = np.meshgrid(np.logspace(0, 3, 512), np.logspace(2, 2.5, 512))
    loss = np.random.default_rng(0).lognormal(size=x.size)
    frame = polars.DataFrame({"x": x.ravel(), "y": y.ravel(), "train/loss": loss})
    grid = binned(frame, "x", "y", "train/loss")
    assert len(charts.heat_map(grid, "x", "y", "train/loss", "mean", False, "#eee").to_json()) < 400_000
    figure = charts.parallel(frame, ["x", "y"], "train/loss", best_low=True, dark=False)
    values = figure.data[0].dimensions[-1]["values"]
    assert len(values) == LINES
    assert np.min(values) == pytest.approx(np.log10(loss.min()))  # the best are among them
    assert np.log10(figure.data[0].dimensions[0]["values"].max() + 1) < 1  # logarithms, as on a logarithmic axis


def test_values_of_keys_are_text_on_both_axes_of_a_map() -> None:
    words = [f"{HOSTILE}a", f"{HOSTILE}b"]
    frame = polars.DataFrame(
        {"x": [*words, *words], "y": [words[0]] * 2 + [words[1]] * 2, "test/acc": [0.1, 0.2, 0.3, 0.4]}
    )
    drawn = charts.heat_map(binned(frame, "x", "y", "test/acc"), "x", "y", "test/acc", "mean", False, "#fff").data[0]
    assert len(drawn.x) == len(drawn.y) == 2
    assert not any("<" in label for label in (*drawn.x, *drawn.y))
