"""The pages' logic without a browser: Streamlit runs the app and says what it would show."""

from __future__ import annotations

from pathlib import Path

import polars
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.example import written
from expkit.dashboard import reading, server
from expkit.records import runs


@pytest.fixture
def app(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("EXPKIT_RUNS", str(store))
    monkeypatch.chdir(tmp_path)
    return AppTest.from_file(str(server.FOLDER / "app.py"), default_timeout=30)


def test_an_empty_store_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: AppTest) -> None:
    monkeypatch.setenv("EXPKIT_RUNS", str(tmp_path / "nothing"))
    app.run()
    assert not app.exception
    assert [code.value for code in app.code] == ["expkit train +experiment=grokking_xor"]


def test_runs_are_filtered(app: AppTest, store: Path) -> None:
    app.run()
    assert not app.exception
    app.text_input(key="runs_where").set_value("seed==1").run()
    shown = app.dataframe[0].value
    known = runs("moons", "curves", "hostile", "broken", root=store)
    expected = known.filter(polars.col("seed") == 1)
    assert len(expected) > 0
    assert set(shown["run_id"]) == set(expected["run_id"])
    app.multiselect(key="runs_states").select("failed").run()
    app.text_input(key="runs_where").set_value("").run()
    assert set(app.dataframe[0].value["run_id"]) == set(known.filter(polars.col("state") == "failed")["run_id"])


def test_runs_of_dense_sweeps_are_shown_on_request(app: AppTest, store: Path) -> None:
    app.run()
    app.toggle(key="runs_dense").set_value(True).run()
    app.text_input(key="runs_where").set_value("experiment=='map'").run()
    assert len(app.dataframe[0].value) == 48


def test_a_damaged_record_is_reported(app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "damaged"
    written(root, "some", "a" * 12, {"seed": 0}, [{"step": 1, "test/acc": 0.5}])
    folder = written(root, "some", "b" * 12, {"seed": 1}, [{"step": 1, "test/acc": 0.5}])
    (folder / "status.json").write_text("{")
    monkeypatch.setenv("EXPKIT_RUNS", str(root))
    app.run()
    assert not app.exception
    assert "1 damaged record is left out" in app.warning[0].value.replace("\\", "")
    assert app.dataframe[0].value["run_id"].tolist() == ["a" * 12]


def test_the_state_of_a_store_changes_with_what_happens(tmp_path: Path) -> None:
    states = [reading.store_state(tmp_path)]
    folder = written(tmp_path, "some", "a" * 12, {"seed": 0}, [{"step": 1, "test/acc": 0.5}])
    states.append(reading.store_state(tmp_path))
    (folder / "aside").write_text("{}")
    (folder / "aside").replace(folder / "status.json")
    states.append(reading.store_state(tmp_path))
    assert len(set(states)) == 3
    assert reading.store_state(tmp_path) == states[-1]


def test_keys_that_only_repeat_others_are_not_offered() -> None:
    frame = polars.DataFrame(
        {
            "run_id": ["a", "b"], "experiment": ["e", "e"], "seed": [0, 1], "data.seed": [0, 1], "init.seed": [5, 5],
            "model._target_": ["x.A", "x.B"], "model.name": ["a", "b"], "data.spec.shape": ["[1]", "[2]"],
            "optimizer.lr": [None, 0.1], "test/acc": [0.1, 0.2], "val/acc": [None, None],
        }
    )  # fmt: skip
    assert reading.differing(frame) == ["model.name", "optimizer.lr", "seed"]
    assert reading.metrics(frame) == ["test/acc"]


def test_numbers_too_large_for_a_table_are_written_out(
    app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "huge"
    written(root, "some", "a" * 12, {"seed": 0}, [{"step": 1, "test/mse": 2.48e33}])
    written(root, "some", "b" * 12, {"seed": 1}, [{"step": 1, "test/mse": 0.5}])
    monkeypatch.setenv("EXPKIT_RUNS", str(root))
    app.run()
    assert not app.exception
    shown = app.dataframe[0].value
    assert dict(zip(shown["run_id"], shown["test/mse"], strict=True)) == {"a" * 12: "2.48e+33", "b" * 12: "0.5000"}
