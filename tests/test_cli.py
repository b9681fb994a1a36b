"""The commands, as a user types them."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import Run, train

TINY = ["+experiment=grokking_xor", "scale=smoke", "logger=none"]


def in_a_terminal(*arguments: str, folder: Path, width: int = 100, **variables: str) -> str:
    """What a person sees: the output of a command whose standard streams are a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(width), **variables}
    command = [sys.executable, "-m", "expkit", *arguments]
    process = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the terminal is closed
            break
        if not part:
            break
        seen += part
    os.close(ours)
    assert process.wait(timeout=10) == 0, seen.decode()
    return seen.decode()


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_the_first_page_names_every_command_and_what_to_type_first(expkit: Run, arguments: list[str]) -> None:
    done = expkit(*arguments)
    assert done.returncode == 0
    for word in ("train", "eval", "list", "show", "runs", "sync", "doctor", "+experiment=grokking_xor"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", ["train", "eval", "list", "show", "runs", "sync", "doctor", "completion"])
def test_every_command_has_help(expkit: Run, command: str) -> None:
    done = expkit(command, "--help")
    assert done.returncode == 0
    assert f"usage: expkit {command}" in done.stdout


def test_version(expkit: Run) -> None:
    from expkit import __version__

    assert expkit("--version").stdout == f"expkit {__version__}\n"


def test_a_mistyped_command_is_answered_with_the_closest(expkit: Run) -> None:
    done = expkit("trian")
    assert done.returncode == 2
    assert "Did you mean 'train'?" in done.stderr


def test_list(expkit: Run) -> None:
    assert "grokking_xor" in expkit("list").stdout
    entries = {entry["name"]: entry for entry in json.loads(expkit("list", "--json").stdout)}
    assert entries["grokking_xor"]["family"] == "dynamics"
    assert entries["grokking_xor"]["paper"]["arxiv"] == "2310.02541"
    assert {"claims", "verdicts", "stale"} <= set(entries["grokking_xor"])
    assert "grokking_xor" in expkit("list", "benign").stdout
    assert expkit("list", "--family", "dynamcs").returncode == 1


def test_show(expkit: Run, runs: Path) -> None:
    shown = expkit("show", "grokking_xor").stdout
    for part in ("2310.02541", "Benign Overfitting", "scale=paper", "noise_rate", "xor_clusters"):
        assert part in shown
    run = train(*TINY)
    facts = json.loads(expkit("show", "grokking_xor", "--json").stdout)
    assert facts["runs"][0]["run_id"] == run["run_id"]
    done = expkit("show", "grokking_xr")
    assert done.returncode == 2
    assert "'grokking_xor'" in done.stderr


def test_train_prints_plain_lines_into_a_pipe(expkit: Run) -> None:
    done = expkit("train", *TINY)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert re.match(r"grokking_xor [0-9a-f]{12} -> runs/grokking_xor/", lines[0])
    assert [line.split()[0] for line in lines[1:7]] == ["step", "0", "1", "2", "3", "5"]
    assert any(line.startswith("complete in") for line in lines)
    again = expkit("train", *TINY)
    assert "complete already" in again.stdout
    assert "--force" in again.stdout


def test_train_in_a_terminal_shows_the_configuration_the_rows_and_a_panel(runs: Path, tmp_path: Path) -> None:
    seen = in_a_terminal("train", *TINY, folder=tmp_path)
    assert "\x1b[" in seen
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen)
    for part in ("data: xor_clusters", "noise_rate: 0.1", "train/loss", "complete", "record", "next", "expkit eval"):
        assert part in plain
    assert all(len(line) <= 100 for line in plain.replace("\r", "\n").splitlines())


def test_no_color_is_respected(runs: Path, tmp_path: Path) -> None:
    seen = in_a_terminal("train", *TINY, folder=tmp_path, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[1-7]m", seen)


def test_runs_lists_what_was_run(expkit: Run, runs: Path) -> None:
    assert "No runs" in expkit("runs").stdout
    first, second = train(*TINY), train(*TINY, "seed=1")
    shown = expkit("runs").stdout
    assert first["run_id"] in shown
    assert "seed=1" in shown
    listed = json.loads(expkit("runs", "--json").stdout)
    assert [run["run_id"] for run in listed] == [second["run_id"], first["run_id"]]
    assert json.loads(expkit("runs", "--status", "failed", "--json").stdout) == []
    assert json.loads(expkit("runs", "another", "--json").stdout) == []
    elsewhere = expkit("runs", "--runs", str(runs / "nowhere"), "--json")
    assert json.loads(elsewhere.stdout) == []


def test_eval_repeats_the_last_metrics_of_the_run(expkit: Run) -> None:
    run = train(*TINY)
    again = json.loads(expkit("eval", run["run_id"][:6], "--json").stdout)["metrics"]
    for name, value in again.items():
        assert value == pytest.approx(run["summary"][name], rel=1e-6)
    assert set(again) == {"train/loss", "train/acc", "test/loss", "test/acc"}


def test_eval_on_other_data(expkit: Run) -> None:
    run = train(*TINY)
    easy = json.loads(expkit("eval", run["path"], "--split", "test", "data.seed=9", "--json").stdout)["metrics"]
    hard = json.loads(expkit("eval", run["path"], "--split", "test", "data.mean_norm=0", "--json").stdout)["metrics"]
    assert set(easy) == {"test/loss", "test/acc"}
    assert easy["test/acc"] > 0.95
    assert 0.3 < hard["test/acc"] < 0.7  # without a signal there is only chance


def test_eval_says_what_is_wrong(expkit: Run) -> None:
    run = train(*TINY)
    unknown = expkit("eval", "ffffffffffff")
    assert unknown.returncode == 1
    assert "no run 'ffffffffffff'" in unknown.stderr
    split = expkit("eval", run["run_id"], "--split", "tset")
    assert "'test'" in split.stderr
    misfit = expkit("eval", run["run_id"], "data=iris")
    assert misfit.returncode == 2
    assert "Traceback" not in misfit.stderr


def test_doctor(expkit: Run) -> None:
    done = expkit("doctor")
    assert done.returncode == 0
    for part in ("python", "torch", "cpu", "gpu", "compiler", "W&B", "records", "tensorboard"):
        assert part in done.stdout
    findings = {finding["what"]: finding for finding in json.loads(expkit("doctor", "--json").stdout)}
    assert findings["torch"]["state"] == "ok"


def test_doctor_fails_where_records_cannot_be_written(expkit: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = expkit("doctor", "--runs", str(tmp_path / "file" / "runs"), "--json")
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert findings["records"]["state"] == "broken"
    assert done.returncode == 1


def test_a_multirun_reports_each_run_and_those_that_failed(expkit: Run) -> None:
    done = expkit("train", "-m", *TINY, "model.width=10,wide", "seed=0,1")
    assert done.returncode == 1
    assert "4 runs: 2 complete, 2 failed" in done.stdout
    assert "model.width: has to be a whole number, but is 'wide'" in done.stderr
    assert "#3  model.width=wide  seed=1  failed" in done.stderr
    again = expkit("train", "-m", *TINY, "model.width=10", "seed=range(0,2)", "--json")
    assert again.returncode == 0
    assert len(json.loads(again.stdout)) == 2


@pytest.mark.parametrize(
    ("launcher", "saved", "begun"),
    [("serial", "*/*/checkpoints/last.ckpt", 1), ("fused", ".sweeps/*/stacks/*.ckpt", 2)],
)
def test_stopping_a_multirun_saves_it_and_the_same_command_goes_on(
    runs: Path, tmp_path: Path, launcher: str, saved: str, begun: int
) -> None:
    overrides = ["-m", "data=digits", "trainer.max_steps=300", "trainer.checkpoint_steps=10", "seed=0,1", "logger=none"]
    command = [sys.executable, "-m", "expkit", "train", *overrides, f"hydra/launcher={launcher}", "--json"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(runs.glob(saved)) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "expkit resume digits-mlp" in error
    assert "Traceback" not in error
    assert len(list(runs.glob("*/*/status.json"))) == begun
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert [run["status"] for run in json.loads(again.stdout)] == ["complete", "complete"]
    assert not list(runs.glob(saved)) or launcher == "serial"


def test_the_serial_launcher_is_what_it_says(expkit: Run) -> None:
    done = expkit("train", "-m", *TINY, "seed=0,1", "hydra/launcher=serial", "--json")
    assert [run["status"] for run in json.loads(done.stdout)] == ["complete", "complete"]


def test_a_multirun_with_an_unknown_option_runs_nothing(expkit: Run, runs: Path) -> None:
    done = expkit("train", "-m", *TINY, "optimizer=sgd,sdg")
    assert done.returncode == 2
    assert "'sgd'" in done.stderr
    assert not list(runs.glob("*/*/status.json"))


def test_a_multirun_with_an_unknown_key_runs_nothing(expkit: Run, runs: Path) -> None:
    done = expkit("train", "-m", *TINY, "model.widht=10,20")
    assert done.returncode == 2
    assert "'width'" in done.stderr
    assert not list(runs.glob("*/*/status.json"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("expkit tr", {"train "}),
        ("expkit train +exp", {"+experiment="}),
        ("expkit train +experiment=grok", {"+experiment=grokking_xor"}),
        ("expkit train optimizer=ada", {"optimizer=adam", "optimizer=adamw", "optimizer=adagrad"}),
        ("expkit train model.wi", {"model.width="}),
        ("expkit show gro", {"grokking_xor"}),
    ],
)
def test_completion(expkit: Run, line: str, expected: set[str]) -> None:
    done = expkit("completion", "query", COMP_LINE=line)
    assert expected <= set(done.stdout.splitlines()), done


def test_completion_in_bash(tmp_path: Path) -> None:
    folder = Path(sys.executable).parent
    script = f"""
    export PATH={folder}:$PATH
    eval "$(expkit completion bash)"
    COMP_LINE="expkit train optimizer=adamw" COMP_POINT=28
    _expkit; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "adamw" in done.stdout.split()  # what follows the '=', where readline starts a new word


def test_ctrl_c_in_the_middle_of_an_import_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from expkit.cli import main
    from expkit.commands import doctor

    def half_imported(options: object) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise AttributeError("a library that tidies up what is not there")

    monkeypatch.setattr(doctor, "doctor", half_imported)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"


def test_ctrl_c_while_a_configuration_is_made_is_no_mistake_in_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from expkit.cli import main
    from expkit.commands import doctor
    from expkit.errors import ConfigError

    def half_made(options: object) -> None:
        try:
            try:
                raise KeyboardInterrupt
            finally:
                raise AttributeError("a library that tidies up what is not there")
        except AttributeError as error:
            raise ConfigError(f"conf/train.yaml: {error}.") from error

    monkeypatch.setattr(doctor, "doctor", half_made)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"
