"""Configurations from strangers: refused with one message, quickly, and nothing that they name is carried out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hydra.types import RunMode

from expkit import compose, yaml_files
from expkit.cli import main
from expkit.commands.replay import replayable
from expkit.errors import ConfigError
from tiny_project import Project, tiny_project

OVERRIDES = {
    "~data": "data.spec.shape",
    "~trainer": "no 'trainer'",
    "~tags": "no 'tags'",
    "+=": "cannot compose",
    "requires=[a]": "name of an extra",
    "paths.runs=[1]": "folder",
    "sweep=3": "mapping",
    "sweep.trial=3": "mapping",
    "+callbacks.x=3": "nothing that can be built",
    "name=${name}": "Recursive",
    "seed=" + "[" * 5000 + "]" * 5000: "nests too deeply",
    "+model." + "a" * 5000 + "=1": "has no argument",
    "seed=" + "1" * 30: "64 bits",
    "tags=['\x1b[2J']": "no text",
    "tags=['${oc.env:PATH}']": "environment",
    "tags=['${product:[1000000000,x]}']": "list of numbers",
    "model=../model/mlp": "no option",
    "hydra.searchpath=[pkg://this]": "folders only",
    "+hydra.callbacks.x._target_=os.system": "trusted",
    "hydra/job_logging=default": "logging",
    "+hydra.job.env_set.PATH=x": "in your shell",
    "model._target_=expkit.cli.main": "not something that experiments are built from",
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_a_hostile_override_gets_one_message(override: str) -> None:
    with pytest.raises(ConfigError) as refused:
        compose.compose(["logger=none", override])
    assert OVERRIDES[override] in str(refused.value)


def test_interpolations_that_multiply_come_to_an_end() -> None:
    names = "abcdefghijklmnopqrst"
    doubling = ",".join(f"{one}: '${{.{next_}}}${{.{next_}}}'" for one, next_ in pairwise(names))
    began = time.process_time()
    with pytest.raises(ConfigError, match="interpolations"):
        compose.compose(["logger=none", f"+paper={{{doubling}, t: xxxxxxxxxxxxxxxx}}"])
    assert time.process_time() - began < 10


def test_a_variable_that_the_project_offers_can_be_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRATCH", "/scratch")
    with pytest.raises(ConfigError, match=r"environment = \[.SCRATCH.\]"):
        compose.compose(["experiment=tiny", "paths.runs=${oc.env:SCRATCH}/runs"])
    project.edit("pyproject.toml", "[tool.expkit]\n", '[tool.expkit]\nenvironment = ["SCRATCH"]\n')
    compose.library.settings.cache_clear()
    assert (
        compose.compose(["experiment=tiny", "paths.runs=${oc.env:SCRATCH}/runs"]).config["paths"]["runs"]
        == "/scratch/runs"
    )
    assert compose.compose(["experiment=tiny", "tags=['${oc.env:UNSET,x}']"]).config["tags"] == ["x"]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "\n".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
TEXTS = {
    BOMB: "more values",
    "a: &a {b: *a}": "stands for nothing",
    "a: " + "[" * 200_000: "nests more than",
    "- " * 100_000: "nests more than",
    "a: !!python/object/apply:os.getcwd []": "tag",
    "a: !!binary x": "tag",
    "a: 1\na: 2": "twice",
    "? [a]\n: b": "a key is",
    "a: " + "9" * 20_000: "characters",
    "a: \x07": "line|control",
    "a: !!int ''": "value that is none",
}


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_a_hostile_file_is_refused_at_once(number: int, tmp_path: Path) -> None:
    text, said = list(TEXTS.items())[number]
    (tmp_path / "x.yaml").write_text(text)
    began = time.process_time()
    with pytest.raises(ConfigError, match=said) as refused:
        yaml_files.read(tmp_path / "x.yaml")
    assert str(tmp_path / "x.yaml") in str(refused.value)
    assert time.process_time() - began < 2


def test_what_is_no_bomb_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: &a {b: [1, 2.5, null, text]}\nc: {<<: *a, d: *a}\ne: !!float 1\n")
    read = yaml_files.read(tmp_path / "x.yaml")
    assert read == {"a": {"b": [1, 2.5, None, "text"]}, "c": {"b": [1, 2.5, None, "text"], "d": read["a"]}, "e": 1.0}


@pytest.fixture
def project(runs: Path, tmp_path: Path) -> Iterator[Project]:
    with tiny_project(tmp_path) as made:
        yield made


@pytest.mark.parametrize("text", ["a: " + "[" * 200_000, BOMB, "# @package _global_\npaper: 3", "\x00"])
def test_one_hostile_experiment_does_not_keep_the_others_from_being_listed(
    project: Project, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.folder / "conf" / "experiment" / "evil.yaml").write_text(text)
    assert main(["list", "tiny"]) == 0
    assert "tiny" in capsys.readouterr().out
    with pytest.raises(ConfigError):
        compose.compose(["experiment=evil"])


SETTINGS = [
    "sweeper: {params: {x: {_target_: os.system, command: touch harm}}}",
    "launcher: {x: {_target_: os.system, command: touch harm}}",
    "sweeper: {params: '${paper.evil}'}",
    "callbacks: {x: {_target_: os.system, command: touch harm}}",
    "job_logging: {handlers: {x: {class: logging.FileHandler, filename: harm}}}",
    "job_logging: {handlers: {x: {'()': os.system, command: touch harm}}}",
]


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_of_hydra_carry_out_nothing(project: Project, setting: str) -> None:
    path = project.folder / "conf" / "experiment" / "tiny.yaml"
    evil = "paper: {evil: {x: {_target_: os.system, command: touch harm}}}"
    path.write_text(f"# @package _global_\n{evil}\nhydra: {{{setting}}}\n")
    with pytest.raises(ConfigError), compose.composing([]):
        compose.loader().load_configuration(compose.ROOT_CONFIG, ["experiment=tiny"], RunMode.MULTIRUN)
    _, status, said = project.expkit("train", "-m", "+experiment=tiny", "seed=1,2")
    assert status == 2
    assert said.count("error:") == 1
    assert not list(project.folder.rglob("harm"))


@pytest.mark.parametrize("range_", ["range(0,1000000000000000)", "range(0,3,0)", "linspace(0,1,99999999999)"])
def test_a_sweep_without_end_is_refused_at_once(project: Project, range_: str) -> None:
    began = time.process_time()
    _, status, said = project.expkit("train", "-m", "+experiment=tiny", f"seed={range_}")
    assert (status, said.count("error:")) == (2, 1)
    assert time.process_time() - began < 5


def test_a_record_that_somebody_has_written_is_checked_before_it_is_run() -> None:
    config = compose.compose(["logger=none"]).config
    for place, value in (("sweep", None), ("paths", "x"), ("model", {"_target_": "os.system"})):
        again = replayable({**config, place: value}, Path("scratch"))
        assert again["paths"] == {"runs": "scratch"}
        if place == "model":
            with pytest.raises(ConfigError, match=r"os\.system"):
                compose.check(again)
