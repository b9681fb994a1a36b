"""`expkit diff` on two real runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from expkit.cli import main
from expkit.errors import UserError
from support import train

TINY = ["data=iris", "model=linear", "trainer.max_steps=3", "logger=none"]


@pytest.fixture(autouse=True)
def still_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever edits this repository meanwhile does not change what a run's record says of its code."""
    facts = {"commit": "a" * 40, "diff": "", "untracked": []}
    monkeypatch.setattr("expkit.records.environment.git", lambda folder: dict(facts))


def pair() -> list[dict]:
    return [train(*TINY), train(*TINY, "optimizer.lr=0.05", "callbacks=best")]


def test_it_tells_the_keys_the_environment_and_the_results(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = pair()
    path = Path(second["path"]) / "environment.json"
    environment = json.loads(path.read_text())
    environment["packages"]["torch"] = "0.0.1"
    environment["git"] = {**environment["git"], "commit": "f" * 40, "untracked": []}
    path.write_text(json.dumps(environment))

    assert main(["diff", first["run_id"], second["run_id"], "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["run_id"] for run in found["runs"]] == [first["run_id"], second["run_id"]]
    assert found["config"].pop("optimizer.lr") == {"first": 0.001, "second": 0.05}
    assert {key.partition(".")[0] for key in found["config"]} == {"callbacks"}
    assert list(found["environment"]) == ["packages.torch"]
    assert found["environment"]["packages.torch"]["second"] == "0.0.1"
    assert found["code"]["commit"]["second"] == "f" * 40
    loss = found["results"]["test/loss"]
    assert loss["first"] == first["summary"]["test/loss"]
    assert loss["change"] == second["summary"]["test/loss"] - first["summary"]["test/loss"]
    assert found["pieces_changed"] is False

    assert main(["diff", first["run_id"], second["run_id"], "--code"]) == 0
    text = capsys.readouterr().out
    for word in (
        "optimizer.lr",
        "0.05",
        "packages.torch",
        "0.0.1",
        "ffffffffffff",
        "test/loss",
        "uncommitted changes on",
    ):
        assert word in text


def test_two_records_of_one_configuration_whose_code_differs_are_told_apart(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(*TINY)
    other = Path(first["path"]).with_name("0123456789ab")
    Path(first["path"]).rename(other)  # as if the source had been another then
    again = train(*TINY)
    assert main(["diff", "0123", again["run_id"]]) == 0
    text = capsys.readouterr().out
    assert "the source of a piece has changed" in text
    assert "The same: configuration, environment, code" in text


def test_control_characters_of_a_record_do_not_reach_the_terminal(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = pair()
    path = Path(second["path"]) / "environment.json"
    environment = json.loads(path.read_text())
    environment["python"] = "\x1b[2J3.99"
    environment["git"] = {"commit": "1", "diff": "diff --git a/\x1b b/\x1b\n+\x1b]0;x\n", "untracked": []}
    path.write_text(json.dumps(environment))
    main(["diff", first["run_id"], second["run_id"], "--code"])
    out = capsys.readouterr().out
    assert "3.99" in out
    assert "\x1b" not in out


def test_a_run_that_is_not_there_is_one_message(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="no run 'nothing'"):
        main(["diff", "nothing", "nothing", "--debug"])
