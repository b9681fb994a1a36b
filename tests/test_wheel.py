"""What is built: the same bytes each time, and a wheel that alone, in an empty folder, runs what it carries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def built(source: Path, target: Path) -> tuple[Path, Path]:
    """The source archive and the wheel."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(target)]
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (archive,), (wheel,) = target.glob("expkit-*.tar.gz"), target.glob("expkit-*.whl")
    return archive, wheel


@pytest.mark.slow
def test_the_wheel_runs_an_experiment_in_an_empty_folder(tmp_path: Path) -> None:
    archive, wheel = built(ROOT, tmp_path / "built")
    # The same from files that were written at another time, by somebody with other rights, who has run something.
    copy = tmp_path / "copy"
    for name in ("src", "conf", "experiments"):
        shutil.copytree(
            ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copyfile
        )
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copyfile(ROOT / name, copy / name)
    (copy / "experiments" / "grokking_xor" / "__pycache__").mkdir()
    (copy / "experiments" / "grokking_xor" / "__pycache__" / "study.cpython-311.pyc").write_bytes(b"compiled")
    assert [path.read_bytes() for path in built(copy, tmp_path / "again")] == [archive.read_bytes(), wheel.read_bytes()]

    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    # The packages that expkit needs are those of this environment, found by a path file: what is tested is what the
    # wheel itself brings. expkit's own editable install is not among them.
    packages = tmp_path / "packages"
    packages.mkdir()
    own = Path(next(path for path in sys.path if path.endswith("site-packages")))
    for entry in own.iterdir():
        if "expkit" not in entry.name:
            (packages / entry.name).symlink_to(entry)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "needed.pth").write_text(str(packages))
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)

    empty = tmp_path / "empty"
    empty.mkdir()
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "EXPKIT_RUNS")}
    command = [environment / "bin" / "expkit", "train", "+experiment=grokking_xor", "scale=smoke", "--json"]
    done = subprocess.run(command, cwd=empty, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["status"] == "complete"
    assert Path(printed["path"]).is_relative_to(empty / "runs")
    where = subprocess.run(
        [python, "-c", "import expkit; print(expkit.__file__)"], cwd=empty, env=clean, capture_output=True, text=True
    )
    assert str(site) in where.stdout
    shown = subprocess.run([environment / "bin" / "expkit", "show", "grokking_xor"], cwd=empty, env=clean, check=True)
    assert shown.returncode == 0
