"""Evidence is stale when the study would have other runs or other claims, and not when a comment changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from expkit import compose, library
from expkit.errors import UserError
from expkit.studies.claims import study_file
from expkit.studies.evidence import evidence, is_stale, write
from expkit.studies.readme import BEGIN, END, HEADING, replaced
from expkit.studies.study import study
from tiny_project import Project, tiny_project

WITH_EVIDENCE = sorted(name for name in compose.experiments() if evidence(name))


@pytest.fixture
def project(runs: Path, tmp_path: Path) -> Iterator[Project]:
    with tiny_project(tmp_path) as made:
        yield made


@pytest.mark.parametrize("experiment", WITH_EVIDENCE)
def test_committed_evidence_is_not_stale(experiment: str) -> None:
    command = f"expkit reproduce {experiment} --write"
    assert is_stale(experiment) is False, f"{command}  makes it anew"
    assert is_stale(experiment, thorough=True) is False, f"{command}  makes it anew"


def test_there_is_evidence_to_look_at() -> None:
    assert "grokking_xor" in WITH_EVIDENCE
    assert study_file("grokking_xor") == library.root() / "experiments" / "grokking_xor" / "study.py"


def test_evidence_knows_what_it_rests_on(project: Project) -> None:
    listed, status, _ = project.expkit("list", "tiny", "--json")
    assert (listed[0]["stale"], listed[0]["verdicts"]) == (None, [])
    printed, status, said = project.expkit("reproduce", "tiny", "--write", "--json")
    assert status == 0, said
    folder = project.folder / "experiments" / "tiny"
    written = json.loads((folder / "results.json").read_text())
    assert written["claims"] == printed[0]["claims"]
    rests = written["rests_on"]
    recorded = {path.name for path in (project.folder / "runs" / "tiny").iterdir()}
    assert {run for arm in rests["runs"].values() for run in arm["ids"]} == recorded
    assert len(recorded) == 6
    assert {"data/two_moons", "experiment/tiny", "model/net", "train"} <= set(rests["inputs"]["configs"])
    assert {"tiny_lab.net", "expkit.data.two_moons", "experiments.tiny.study"} <= set(rests["inputs"]["modules"])

    readme = (folder / "README.md").read_text()
    assert readme.index(HEADING) < readme.index(BEGIN) < readme.index("**reproduced**") < readme.index(END)
    assert readme.index(END) < readme.index("## Differences")

    figure = (folder / "figure.png").read_bytes()
    _, status, said = project.expkit("reproduce", "tiny", "--write", "--json")
    assert status == 0, said
    assert (folder / "figure.png").read_bytes() == figure
    assert (folder / "README.md").read_text() == readme

    for name, old, new in (
        ("tiny_lab/net.py", "A linear classifier", "A linear map"),
        ("experiments/tiny/study.py", "@figure\n", "# how it goes\n@figure\n"),
        ("conf/model/net.yaml", "refused: null", "refused: null   # none"),
        ("conf/experiment/tiny.yaml", "title: A paper", "title: Some paper"),
    ):
        undo = project.edit(name, old, new)
        assert is_stale("tiny") is False, name
        assert is_stale("tiny", thorough=True) is False, name
        undo()
    for name, old, new in (
        ("tiny_lab/net.py", "self.layer(inputs)", "self.layer(2 * inputs)"),
        ("experiments/tiny/study.py", "end < first", "end < 0.9"),
        ("conf/model/net.yaml", "refused: null", "refused: 99"),
        ("conf/experiment/tiny.yaml", "range(0,3)", "range(0,4)"),
        ("conf/experiment/tiny.yaml", "lr: 0.5", "lr: 0.25"),
    ):
        undo = project.edit(name, old, new)
        assert is_stale("tiny") is True, name
        (listed,), *_ = project.expkit("list", "tiny", "--json")
        assert listed["stale"] is True, name
        assert "stale" in project.expkit("list", "tiny")[0]
        undo()
        assert is_stale("tiny") is False, name
    (listed,), *_ = project.expkit("list", "tiny", "--json")
    assert listed["claims"] == [claim["claim"] for claim in written["claims"]]
    assert listed["verdicts"] == ["reproduced", "not reproduced", "not testable here"]
    assert "stale: its runs" not in project.expkit("show", "tiny")[0]


def test_a_study_edited_while_it_ran_writes_nothing(project: Project) -> None:
    studied = study("tiny", runs=str(project.folder / "runs"))
    undo = project.edit("experiments/tiny/study.py", "end < first", "end < 0.9")
    with pytest.raises(UserError, match="changed while the study ran"):
        write(studied)
    assert evidence("tiny") is None
    undo()
    write(study("tiny", runs=str(project.folder / "runs")))
    assert is_stale("tiny") is False


def test_the_block_takes_the_place_of_the_one_before() -> None:
    once = replaced("# x\n\ntext\n", f"{BEGIN}\nfirst\n{END}")
    assert once == f"# x\n\ntext\n\n{HEADING}\n\n{BEGIN}\nfirst\n{END}\n"
    assert replaced(once, f"{BEGIN}\nsecond\n{END}") == once.replace("first", "second")


def test_a_damaged_results_file_is_no_evidence(project: Project) -> None:
    path: Path = project.folder / "experiments" / "tiny" / "results.json"
    path.write_text('{"claims": [')
    assert is_stale("tiny") is None
    (listed,), status, _ = project.expkit("list", "tiny", "--json")
    assert (status, listed["stale"]) == (0, None)
