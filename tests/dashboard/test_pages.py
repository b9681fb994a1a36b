"""Every page of the dashboard, opened and used in a browser."""

from __future__ import annotations

import json
import time
from pathlib import Path

import polars
import pytest

from dashboard.browser import Browser
from dashboard.conftest import Served
from dashboard.example import HOSTILE, written
from expkit.records import runs
from expkit.records.store import Store
from expkit.sweeps.results import results
from expkit.sweeps.sweep import find

PAGES = ("", "compare", "sweeps?sweep=broken", "library", "library?experiment=moons", "run?id=badc0ffee000")


def test_runs_are_filtered_sorted_and_grouped(browser: Browser, served: Served) -> None:
    browser.open("")
    frame = runs("moons", "curves", "hostile", "broken", root=served.runs)
    browser.sees("Runs", f"{len(frame):,} recorded", "complete", "diverged")
    assert "▶ running" in browser.column("state")

    browser.write("Filter", "optimizer.lr>0.05 and seed==2")
    wanted = frame.filter((polars.col("optimizer.lr") > 0.05) & (polars.col("seed") == 2))
    assert len(wanted) == 2
    browser.wait(lambda: set(browser.column("run")) == set(wanted["run_id"]), "the runs that the filter leaves")

    browser.write("Filter", "optimizer.lr>>3")
    browser.sees("optimizer.lr>>3")
    browser.wait(lambda: not browser.all("stDataFrame"), "the table to be gone")

    browser.write("Filter", "experiment=='moons' and seed<5")
    browser.choose("Sort by", "test/loss")

    def losses() -> list[float]:
        return [float(value) for value in browser.column("test/loss")]

    browser.wait(lambda: losses() == sorted(losses(), reverse=True), "the largest first")
    assert len(losses()) == 12

    browser.choose("Group by", "optimizer.name")
    browser.sees("2 groups of 12 runs")
    browser.settle()
    means = dict(zip(browser.column("optimizer.name"), map(float, browser.column("test/acc")), strict=True))
    own = frame.filter((polars.col("experiment") == "moons") & (polars.col("seed") < 5))
    expected = dict(own.group_by("optimizer.name").agg(polars.col("test/acc").mean()).iter_rows())
    assert means == pytest.approx(expected, rel=1e-4)
    assert browser.column("runs") == ["6", "6"]


def test_marked_runs_are_compared(browser: Browser) -> None:
    browser.open("")
    browser.write("Filter", "experiment=='moons' and seed<2")
    browser.wait(lambda: len(browser.column("run")) == 8, "two seeds of four kinds of runs")
    marked = browser.column("run")[:2]
    browser.mark(0)
    browser.mark(1)
    browser.click("Compare 2")
    browser.sees("Compare", "2 chosen runs")
    assert set(browser.driver.current_url.partition("runs=")[2].replace("%2C", ",").split(",")) == set(marked)
    drawn = browser.figures()[0]
    assert len([trace for trace in drawn["traces"] if trace["mode"] != "none"]) >= 2


def test_curves_have_means_bands_and_logarithmic_axes(browser: Browser, served: Served) -> None:
    browser.open("compare")
    browser.write("Filter", "experiment=='moons' and seed<5")
    loss, accuracy = browser.figures()
    assert loss["y"]["title"] == "test/loss"
    assert accuracy["y"]["title"] == "test/acc"
    assert loss["x"] == {"type": "log", "title": "step"}
    lines = {trace["name"]: trace for trace in accuracy["traces"] if "runs)" in (trace["name"] or "")}
    own = runs("moons", root=served.runs, where="seed<5")
    key = "optimizer.lr" if "lr" in next(iter(lines)) else "optimizer.name"
    ends = {key: dict(own.group_by(key).agg(polars.col("test/acc").mean()).iter_rows())}[key]
    assert len(lines) == 2
    assert sorted(line["y"][-1] for line in lines.values()) == pytest.approx(sorted(ends.values()))

    browser.click("Log step")
    browser.click("Log value")
    browser.wait(lambda: browser.figures()[0]["x"]["type"] == "linear", "a linear axis of steps")
    browser.wait(lambda: browser.figures()[0]["y"]["type"] == "log", "a logarithmic axis of losses")

    browser.click("Results")
    (bars,) = browser.figures()
    assert sorted(bars["traces"][0]["x"]) == pytest.approx(
        sorted(dict(own.group_by(key).agg(polars.col("test/loss").mean()).iter_rows()).values())
    )

    browser.click("What differs")
    rows = {row[0]: row[1:] for row in browser.cells[1:]}
    assert rows["optimizer.name"] == ["2", "adam, sgd"]
    assert rows["seed"][0] == "3"


def test_a_sweep_is_drawn_in_all_ways(browser: Browser, served: Served) -> None:
    browser.open("sweeps?sweep=map")
    browser.sees("complete", "48 runs")
    (drawn,) = browser.figures()
    (trace,) = drawn["traces"]
    assert trace["type"] == "heatmap"
    assert trace["shape"] == [6, 8]
    assert drawn["x"] == {"type": "log", "title": "optimizer.lr"}
    assert drawn["y"] == {"type": "log", "title": "model.init_scale"}
    assert trace["x"] == pytest.approx([10 ** (-3 + 4 * k / 7) for k in range(8)])

    browser.click("All keys")
    (drawn,) = browser.figures()
    assert drawn["traces"][0]["dimensions"] == ["optimizer.lr", "model.init_scale", "test/loss"]

    browser.click("Importance")
    (drawn,) = browser.figures()
    assert set(drawn["traces"][0]["y"]) == {"optimizer.lr", "model.init_scale"}
    assert sum(drawn["traces"][0]["x"]) == pytest.approx(1)

    browser.click("Best runs")
    frame = results(find(Store(served.runs), "map")).filter(polars.col("test/loss").is_finite())
    assert float(browser.column("test/loss")[0]) == pytest.approx(frame["test/loss"].min(), rel=1e-3)


def test_failures_of_a_sweep_and_how_far_it_is(browser: Browser) -> None:
    browser.open("sweeps?sweep=broken")
    browser.sees("interrupted", "4 of 5 runs have ended", "Failures (3)")
    browser.click("Failures (3)")
    assert browser.column("state") == ["✕ failed", "↗ diverged", "✕ failed"]
    assert browser.column("error")[0].startswith("the 1th is wrong")
    browser.click("Command")
    browser.sees("expkit resume broken --runs")


def test_the_library_shows_claims_with_their_evidence(browser: Browser) -> None:
    browser.open("library")
    browser.sees("with evidence", "modern_hopfield")  # on the first page
    browser.choose("Families", "lunar")
    browser.wait(lambda: "modern_hopfield" not in browser.text, "one family only")
    browser.sees("A paper on moons", "✓ reproduced · 1", "✕ not reproduced · 1")
    browser.click("moons")
    browser.sees("The accuracy is far above chance at the end", "test accuracy above 80 %", "[0.894, 0.93]", "0.912")
    browser.sees("· not testable here", "needs a data centre", "arXiv 2310.02541")
    picture = browser.driver.find_element("css selector", '[data-testid="stImage"] img')
    assert browser.wait(lambda: browser.script("return arguments[0].naturalWidth", picture), "the figure") == 120
    browser.click("Its page")
    browser.sees("A page.")


def test_one_run_with_all_that_is_known_of_it(browser: Browser, served: Served) -> None:
    (row,) = runs("curves", root=served.runs).to_dicts()
    browser.open(f"run?id={row['run_id']}")
    browser.sees(f"curves / {row['run_id']}", "✓ complete", "test/acc")
    titles = {drawn["y"]["title"] for drawn in browser.figures()}
    assert titles >= {"loss", "acc"}
    browser.click("Configuration")
    browser.sees("name=curves", "_target_: expkit.models.mlp.MLP")
    browser.click("Environment")
    assert dict(row[:2] for row in browser.cells[1:])["python"].startswith("3.")
    browser.click("Figures")
    picture = browser.driver.find_element("css selector", '[data-testid="stImage"] img')
    assert browser.wait(lambda: browser.script("return arguments[0].naturalWidth", picture), "the figure") > 200
    browser.click("Log")
    browser.sees("no log of its own")
    browser.click("Commands")
    browser.sees("expkit train data=two_moons", "--force", f"expkit eval {row['run_id']}")
    again = browser.all("stCode")[1]
    assert browser.copied_from(again) == again.text
    assert again.text.endswith("--force")


def test_what_comes_from_runs_is_text_and_nothing_is_fetched_from_elsewhere(browser: Browser, served: Served) -> None:
    browser.requested()
    for page in PAGES:
        browser.open(page)
        assert not browser.script("return window.hacked"), page
        assert not browser.driver.find_elements("css selector", 'img[src="x"], img[src*="192.0.2.1"]'), page
    browser.sees("RuntimeError: <script>window.hacked=1</script>")
    browser.click("Log")
    browser.sees("red  <script>", "the last line")
    browser.click("Metrics")
    titles = {drawn["y"]["title"].replace("&lt;", "<").replace("&gt;", ">") for drawn in browser.figures()}
    assert HOSTILE in titles
    assert not browser.script("return window.hacked")
    own = (f"http://127.0.0.1:{served.port}/", f"ws://127.0.0.1:{served.port}/", "data:", "blob:", "about:")
    asked = browser.requested()
    assert any(address.startswith("ws:") for address in asked)
    assert [address for address in asked if not address.startswith(own)] == []


def test_a_page_follows_the_runs(browser: Browser, served: Served) -> None:
    browser.open("")
    browser.write("Filter", "experiment=='late'")
    browser.sees("No run matches")
    folder = written(served.runs, "late", "1a7e00000000", {"seed": 3}, [{"step": 1, "test/acc": 0.5}])
    began = time.monotonic()
    browser.wait(lambda: browser.all("stDataFrame"), "the new run")
    assert time.monotonic() - began < 15
    assert browser.column("run") == ["1a7e00000000"]
    status = folder / "status.json"
    aside = folder / "aside"
    aside.write_text(json.dumps({**json.loads(status.read_text()), "status": "diverged"}))
    aside.replace(status)
    browser.wait(lambda: browser.column("state") == ["↗ diverged"], "its new state")


@pytest.mark.parametrize(("width", "dark"), [(480, True), (480, False), (1400, True)])
def test_pages_fit_the_window(browser: Browser, width: int, dark: bool, tmp_path: Path) -> None:
    browser.resize(width, 900, dark)
    for page in ("", "compare", "sweeps?sweep=map"):
        browser.open(page)
        assert browser.script("return document.documentElement.scrollWidth") <= width, page
        background = browser.script("return getComputedStyle(document.querySelector('.stApp')).backgroundColor")
        assert background == ("rgb(18, 22, 28)" if dark else "rgb(255, 255, 255)")
