"""`expkit init` and `expkit new`, from the wheel alone: what they make trains, sweeps, and passes its own tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from expkit import library
from expkit.cli import main
from expkit.commands.init import package_name

ROOT = Path(__file__).resolve().parents[2]
Python = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Python:
    """Runs a clean environment's Python, in which expkit is what the wheel has, and nothing of this repository."""
    folder = tmp_path_factory.mktemp("environment")
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (wheel,) = folder.glob("expkit-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    packages = folder / "packages"  # those that expkit needs are this environment's; see tests/test_wheel.py
    packages.mkdir()
    own = Path(next(path for path in sys.path if path.endswith("site-packages")))
    for entry in own.iterdir():
        if "expkit" not in entry.name:
            (packages / entry.name).symlink_to(entry)
    (site / "needed.pth").write_text(str(packages))
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "EXPKIT_RUNS")}

    def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        command = [str(site.parents[2] / "bin" / "python"), "-m", *arguments]
        done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def lab(python: Python, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that the wheel has made."""
    folder = tmp_path_factory.mktemp("somewhere")
    python("expkit", "init", "My-Lab", folder=folder)
    return folder / "My-Lab"


@pytest.mark.slow
def test_the_projects_own_tests_pass(python: Python, lab: Path) -> None:
    assert "5 passed" in python("pytest", "-q", "-p", "no:cacheprovider", folder=lab).stdout


@pytest.mark.slow
def test_it_trains_its_own_pieces_and_the_librarys(python: Python, lab: Path) -> None:
    listed = json.loads(python("expkit", "list", "--json", folder=lab).stdout)
    assert {"two_rings", "grokking_xor"} <= {entry["name"] for entry in listed}
    mixed = ["data=rings", "model=mlp", "trainer.max_steps=2", "logger=none", "--json"]
    assert json.loads(python("expkit", "train", *mixed, folder=lab).stdout)["status"] == "complete"
    swept = python("expkit", "train", "-m", "+experiment=two_rings", "seed=0,1,2", "--json", folder=lab).stdout
    assert [run["status"] for run in json.loads(swept)] == ["complete"] * 3
    assert all(run["summary"]["test/acc"] > 0.95 for run in json.loads(swept))
    engines = [json.loads(p.read_text())["engine"] for p in lab.glob("runs/two_rings/*/environment.json")]
    assert engines == ["fused"] * 3  # the project's model and data train as one program
    config = yaml.safe_load(next(lab.glob("runs/two_rings/*/config.yaml")).read_text())
    assert config["model"]["_target_"] == "my_lab.models.sine_network.SineNetwork"


@pytest.mark.slow
def test_its_study_finds_its_claims_true(python: Python, lab: Path) -> None:
    (found,) = json.loads(python("expkit", "reproduce", "two_rings", "--write", "--json", folder=lab).stdout)
    assert [claim["verdict"] for claim in found["claims"]] == ["reproduced"] * 2
    assert (lab / "experiments" / "two_rings" / "figure.png").is_file()
    assert "**reproduced**" in (lab / "experiments" / "two_rings" / "README.md").read_text()


@pytest.mark.slow
def test_a_new_experiment_runs_as_it_is(python: Python, lab: Path) -> None:
    python("expkit", "new", "experiment", "double_descent", "--arxiv", "1912.02292", folder=lab)
    study = python("expkit", "reproduce", "double_descent", "--scale", "smoke", "logger=none", "--json", folder=lab)
    (found,) = json.loads(study.stdout)
    assert [claim["claim"] for claim in found["claims"]] == ["Say here what is claimed"]
    trained = ["expkit", "train", "+experiment=double_descent", "scale=smoke", "logger=none", "--json"]
    assert json.loads(python(*trained, folder=lab).stdout)["summary"]["step"] == 5
    entries = json.loads(python("expkit", "list", "double_descent", "--json", folder=lab).stdout)
    (entry,) = (entry for entry in entries if entry["name"] == "double_descent")  # the library has relatives of it
    assert entry["paper"]["arxiv"] == "1912.02292"


@pytest.mark.slow
def test_the_projects_code_keeps_to_expkits_style(lab: Path) -> None:
    for command in (["check"], ["format", "--check"]):
        settings = ["--isolated", "--line-length", "120"]
        check = [sys.executable, "-m", "ruff", *command, *settings, "."]
        done = subprocess.run(check, cwd=lab, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that passes for expkit's own repository."""
    (tmp_path / "src" / "expkit").mkdir(parents=True)
    monkeypatch.setattr(library, "root", lambda: tmp_path)
    monkeypatch.setattr(library, "project", lambda: None)
    monkeypatch.chdir(tmp_path / "src")
    return tmp_path


def test_in_expkits_own_repository_a_new_experiment_goes_there(repository: Path) -> None:
    assert main(["new", "experiment", "thing"]) == 0
    made = {str(path.relative_to(repository)) for path in repository.rglob("*") if path.is_file()}
    assert made == {"conf/experiment/thing.yaml", "experiments/thing/study.py", "experiments/thing/README.md"}
    assert yaml.safe_load((repository / "conf/experiment/thing.yaml").read_text())["paper"]["arxiv"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Upper"], "cannot be the name"),
        (["../x"], "cannot be the name"),
        (["thing"], "already"),
        (["other", "--arxiv", "23.1"], "not an arXiv id"),
    ],
)
def test_a_new_experiment_that_cannot_be_is_refused(
    repository: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    main(["new", "experiment", "thing"])
    before = sorted(repository.rglob("*"))
    assert main(["new", "experiment", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert sorted(repository.rglob("*")) == before


def test_outside_any_project_there_is_nowhere_for_it(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    assert main(["new", "experiment", "thing"]) == 2
    assert not list(elsewhere.iterdir())


def test_a_folder_with_files_is_left_alone_and_with_force_added_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "waves"
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    assert main(["init", str(folder)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["README.md"]
    assert main(["init", str(folder), "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == ["README.md"]
    assert (folder / "README.md").read_text() == "mine"
    assert (folder / "waves" / "__init__.py").is_file()


@pytest.mark.parametrize("name", ["torch", "json", "tests", "numpy", "class", "2fast", "été", "expkit"])
def test_names_that_no_package_of_a_project_can_have_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["init", str(tmp_path / name)]) == 2
    assert "--package NAME" in capsys.readouterr().err
    assert not (tmp_path / name).exists()
    assert main(["init", str(tmp_path / name), "--package", "waves"]) == 0
    assert 'trusted = ["waves"]' in (tmp_path / name / "pyproject.toml").read_text()


def test_a_package_is_named_after_its_folder() -> None:
    assert [package_name(name) for name in ("lab", "My-Lab", "a b.c", "_x_")] == ["lab", "my_lab", "a_b_c", "x"]


def test_the_current_folder_can_become_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "waves").mkdir()
    monkeypatch.chdir(tmp_path / "waves")
    assert main(["init", "."]) == 0
    assert (tmp_path / "waves" / "waves" / "models" / "sine_network.py").is_file()
