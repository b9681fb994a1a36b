"""The wheel alone, in a clean environment and an empty folder, runs the experiments it carries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_wheel_runs_an_experiment_in_an_empty_folder(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("expkit-*.whl")
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
