"""`expkit reproduce`, on a study of six quick runs, and on the first experiment in a size for tests."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from expkit.cli import main
from expkit.records.record import Record
from tiny_project import Project, tiny_project


@pytest.fixture
def project(runs: Path, tmp_path: Path) -> Iterator[Project]:
    with tiny_project(tmp_path) as made:
        yield made


def attempts(project: Project) -> list[int]:
    return [json.loads(path.read_text())["attempts"] for path in (project.folder / "runs").glob("tiny/*/status.json")]


def test_verdicts_and_their_numbers(project: Project) -> None:
    printed, status, said = project.expkit("reproduce", "tiny", "--json")
    assert status == 0, said
    (one,) = printed
    assert one["experiment"] == "tiny"
    assert [claim["verdict"] for claim in one["claims"]] == ["reproduced", "not reproduced", "not testable here"]
    learns, changes, scales = one["claims"]
    assert (learns["paper"], learns["seeds"]) == ("training helps", 3)
    assert scales["measured"] == "there is nothing to scale"
    assert changes["interval"] == [0.0, 0.0]

    loss: dict[tuple[int, float], float] = {}  # by another route: from the records themselves
    for folder in (project.folder / "runs" / "tiny").iterdir():
        record = Record(folder)
        loss[record.config["seed"], record.config["optimizer"]["lr"]] = record.summary["test/loss"]
    trained, untrained = ([loss[seed, lr] for seed in range(3)] for lr in (0.5, 0))
    interval = stats.ttest_rel(trained, untrained).confidence_interval(0.95)
    assert learns["interval"] == pytest.approx([interval.low, interval.high], rel=1e-5)
    assert learns["value"] == pytest.approx(sum(trained) / 3 - sum(untrained) / 3, rel=1e-5)

    figure = project.folder / "runs" / ".studies" / "tiny" / "figure.png"
    assert figure.stat().st_size > 10_000
    assert not (project.folder / "experiments" / "tiny" / "results.json").exists()

    table, status, _ = project.expkit("reproduce", "tiny", "hydra/launcher=serial")
    assert status == 0
    assert "3 claims: 1 reproduced, 1 not reproduced, 1 not testable here" in table
    assert attempts(project) == [1] * 6  # nothing was run again


def test_a_failed_run_is_told_of_and_counted(project: Project) -> None:
    _, status, said = project.expkit("reproduce", "tiny", "model.refused=1", "--json")
    assert status == 1
    assert "seed 1 is refused" in said
    table, status, _ = project.expkit("reproduce", "tiny", "model.refused=1")
    assert status == 1
    assert "on 2 of 3 seeds" in table
    assert "2 of 6 runs failed" in table
    _, status, said = project.expkit("reproduce", "tiny", "model.refused=1", "--write")
    assert status == 2
    assert "as it is" in said
    undo = project.edit("conf/model/net.yaml", "refused: null", "refused: 2")
    _, status, said = project.expkit("reproduce", "tiny", "--write")
    assert status == 1
    assert not (project.folder / "experiments" / "tiny" / "results.json").exists()
    undo()


def test_smoke_runs_though_claims_ask_for_later_steps(project: Project) -> None:
    printed, status, said = project.expkit("reproduce", "tiny", "--scale", "smoke", "--json")
    assert status == 0, said
    assert printed[0]["claims"][1]["verdict"] == "not reproduced"  # step 20 is not reached
    project.edit("experiments/tiny/study.py", "(0, 20)", "(0, 15)")
    _, status, said = project.expkit("reproduce", "tiny")
    assert status == 1  # in its own size, that is a mistake in the study
    assert "No run of the study has 'test/loss' at step 15" in said
    assert "It was measured at: 0, 10, 20." in said


def test_a_sweep_recorded_as_one_table_says_the_same(project: Project) -> None:
    project.edit("conf/experiment/tiny.yaml", "model: net", "model: linear")
    project.edit("experiments/tiny/study.py", ".at(step=step)", ".last()")  # a table has the end only
    (folders,), status, said = project.expkit("reproduce", "tiny", "--json")
    assert status == 0, said
    project.edit("conf/experiment/tiny.yaml", "study:\n", "sweep: {dense: true}\nstudy:\n")
    (table,), status, said = project.expkit("reproduce", "tiny", "--json", "--runs", "others")
    assert status == 0, said
    assert list(project.folder.glob("others/.sweeps/*/columns/*.parquet"))
    assert not (project.folder / "others" / "tiny").exists()
    assert table["runs"] == 6
    for one, other in zip(table["claims"][:2], folders["claims"][:2], strict=True):
        assert (one["verdict"], one["seeds"]) == (other["verdict"], other["seeds"])
        assert one["interval"] == pytest.approx(other["interval"], rel=1e-4)


@pytest.mark.slow
def test_several_at_once_and_those_that_are_stale(project: Project) -> None:
    other = project.folder / "conf" / "experiment" / "other.yaml"
    other.write_text(
        (project.folder / "conf" / "experiment" / "tiny.yaml").read_text().replace("max_steps: 20", "max_steps: 30")
    )
    (project.folder / "experiments" / "other").mkdir()
    study = (project.folder / "experiments" / "tiny" / "study.py").read_text()
    (project.folder / "experiments" / "other" / "study.py").write_text(study)
    printed, status, said = project.expkit("reproduce", "--family", "made_up", "--jobs", "2", "--write", "--json")
    assert status == 0, said
    assert [one["experiment"] for one in printed] == ["other", "tiny"]
    assert project.expkit("reproduce", "--family", "made_up", "--stale", "--json")[:2] == ([], 0)
    project.edit("conf/experiment/other.yaml", "lr: 0.5", "lr: 0.4")
    printed, status, _ = project.expkit("reproduce", "--family", "made_up", "--stale", "--json")
    assert [one["experiment"] for one in printed] == ["other"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Reproduce what?"),
        (["tinny"], "There is no experiment 'tinny'.\n  Did you mean 'tiny'?"),
        (["trainability_fractal"], "has no claims"),
        (["--family", "made_down"], "Did you mean 'made_up'?"),
        (["--family", "empty"], "None of these experiments has claims."),
        (["tiny", "--write", "--scale", "smoke"], "as it is"),
        (["tiny", "optimizer.lrr=1"], "optimizer.lrr"),
        (["tiny", "--jobs", "0"], "at least one"),
    ],
)
def test_what_cannot_be_reproduced(project: Project, arguments: list[str], message: str) -> None:
    (project.folder / "conf" / "experiment" / "bare.yaml").write_text("# @package _global_\npaper: {family: empty}\n")
    _, status, said = project.expkit("reproduce", *arguments)
    assert status == 2
    assert message in said


SMALL = "data.dim=4000 data.n_train=100 data.n_test=500 data.mean_norm=16 trainer.max_steps=30 seed=0,1,2,3,4"


def grokking(*overrides: str) -> list[str]:
    """The verdicts on: noise first, generalizes later, linear first, features later."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        assert (
            main(
                [
                    "reproduce",
                    "grokking_xor",
                    "--json",
                    *SMALL.split(),
                    "callbacks=none",
                    "hydra/launcher=fused",
                    *overrides,
                ]
            )
            == 0
        )
    printed: Any = json.loads(out.getvalue())
    return [claim["verdict"] for claim in printed[0]["claims"]]


@pytest.mark.slow
def test_a_wrong_configuration_does_not_reproduce_what_the_right_one_does(runs: Path) -> None:
    first, _, linear, features = grokking()
    assert (first, linear, features) == ("reproduced",) * 3
    assert grokking("data.noise_rate=0")[:2] == ["not reproduced"] * 2  # no noise: there is none to be fitted
    _, later, _, features = grokking("optimizer.lr=1e4")  # stays where the first step has thrown it
    assert (later, features) == ("not reproduced",) * 2
