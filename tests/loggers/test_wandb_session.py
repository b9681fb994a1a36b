"""W&B's runs, read back by W&B's own reader; and everything that may go wrong with W&B beside a training."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.wandb_stand_in import KEY, Server, closed_port, isolate, leet, part, parts, silent_server

from expkit.loggers import wandb_session
from expkit.loggers.wandb_session import WandbSession


@pytest.fixture(autouse=True)
def _nobodys_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


@pytest.fixture
def own_writer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A writer takes over the environment when it starts, and remembers what it found out about the server."""
    monkeypatch.setattr(wandb_session, "_writer", None)
    yield
    if wandb_session._writer is not None:
        wandb_session._writer.kill()


def session(folder: Path, said: list[str], **options: object) -> WandbSession:
    options = {"run_id": "abc123", "name": "a run", "config": {"seed": 0}, "mode": "offline", **options}
    return WandbSession(folder, warn=said.append, **options)  # type: ignore[arg-type]


def test_an_offline_run_holds_all_that_was_told(tmp_path: Path) -> None:
    from PIL import Image

    image = tmp_path / "curve.png"
    Image.new("RGB", (20, 10), "red").save(image)
    said: list[str] = []
    config = {"optimizer": {"lr": 0.1}, "betas": [0.9, 0.99], "name": None}
    run = session(
        tmp_path, said, config=config, group="sweep-1", job_type="train", tags=["xor", "x" * 80], notes="a note"
    )
    for step in (0, 1, 8):
        run.log({"train/loss": 1 / (1 + step), "test/acc": 0.5}, step)
    run.figure("learning_curves", image)
    run.summary({"best/acc": 0.99})
    run.finish()
    assert said == []

    found = leet(tmp_path)
    assert (found["state"], found["exit_code"]) == ("finished", 0)
    assert found["project"] == "expkit"
    assert found["run_id"] == "abc123"
    assert found["name"] == "a run"
    assert found["notes"] == "a note"
    assert found["tags"] == ["xor", "x" * 64]
    assert found["config"] == config
    summary = found["summary"]
    assert summary["train/loss"] == pytest.approx(1 / 9)
    assert (summary["test/acc"], summary["best/acc"], found["step"]) == (0.5, 0.99, 8)
    begun = next(record["run"] for record in found["records"] if record["type"] == "run")
    assert (begun["run_group"], begun["job_type"]) == ("sweep-1", "train")
    rows = [record["history"]["item"] for record in found["records"] if record["type"] == "history"]
    assert [(row["_step"], row["train/loss"]) for row in rows] == [(0, 1), (1, 0.5), (8, pytest.approx(1 / 9))]
    assert any("figures/learning_curves" in str(row) for row in rows)
    (copy,) = part(tmp_path).rglob("*.png")
    assert copy.read_bytes() == image.read_bytes()


@pytest.mark.parametrize(("status", "exit_code"), [("failed", 1), ("interrupted", 255)])
def test_a_run_that_did_not_finish_says_so(tmp_path: Path, status: str, exit_code: int) -> None:
    run = session(tmp_path, [])
    run.finish(status)  # type: ignore[arg-type]
    assert leet(tmp_path)["exit_code"] == exit_code


def test_a_resumed_run_goes_on_under_its_id(tmp_path: Path) -> None:
    for resume in (False, True):
        run = session(tmp_path, [], resume=resume)
        run.log({"loss": 1.0}, step=int(resume))
        run.finish("finished" if resume else "interrupted")
        time.sleep(0 if resume else 1.1)  # W&B names a part by the second it begins
    assert [path.name.split("-")[-1] for path in parts(tmp_path)] == ["abc123", "abc123"]


def test_two_runs_at_once(tmp_path: Path) -> None:
    said: list[str] = []
    first, second = (session(tmp_path / name, said, run_id=name) for name in ("one", "two"))
    first.log({"loss": 1.0}, 0)
    second.log({"loss": 2.0}, 0)
    second.finish("failed")
    first.log({"loss": 3.0}, 1)
    first.finish()
    assert said == []
    assert leet(tmp_path / "one")["summary"]["loss"] == 3
    assert leet(tmp_path / "two")["summary"]["loss"] == 2


@pytest.mark.usefixtures("own_writer")
def test_without_a_login_the_run_is_quietly_kept_offline(tmp_path: Path) -> None:
    said: list[str] = []
    notes: list[str] = []
    session(tmp_path, said, mode="auto", note=notes.append).finish()
    assert said == []
    assert "wandb login" in notes[0]
    assert part(tmp_path).name.startswith("offline-run-")


@pytest.mark.usefixtures("own_writer")
def test_a_login_kept_in_netrc_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    with server.running() as url:
        (tmp_path / "netrc").write_text(f"machine {url.removeprefix('http://')}\n  login user\n  password {KEY}\n")
        monkeypatch.setenv("WANDB_BASE_URL", url)
        said: list[str] = []
        run = session(tmp_path, said, mode="auto", note=said.append)
        assert run.wait(20)
        run.finish()
    assert said == []
    assert server.exit_codes == {"abc123": 0}


@pytest.mark.usefixtures("own_writer")
def test_an_online_run_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    said: list[str] = []
    with server.running() as url:
        isolate(monkeypatch, tmp_path, WANDB_API_KEY=KEY, WANDB_BASE_URL=url)
        run = session(tmp_path, said, mode="auto")
        run.log({"loss": 0.25}, 3)
        assert run.wait(20)
        assert run.url == f"{url}/me/expkit/runs/abc123"
        run.finish()
    assert said == []
    assert [(row["_step"], row["loss"]) for row in server.history["abc123"]] == [(3, 0.25)]
    assert server.exit_codes == {"abc123": 0}


@pytest.mark.usefixtures("own_writer")
def test_a_server_that_is_away_leaves_the_run_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolate(monkeypatch, tmp_path, WANDB_API_KEY=KEY, WANDB_BASE_URL=f"http://127.0.0.1:{closed_port()}")
    said: list[str] = []
    notes: list[str] = []
    run = session(tmp_path, said, mode="auto", note=notes.append)
    run.log({"loss": 1.0}, 0)
    run.finish()
    assert said == []
    assert "does not answer" in notes[0]
    assert leet(tmp_path)["summary"]["loss"] == 1

    session(tmp_path / "online", said, mode="online", run_id="b").finish()
    assert len(said) <= 1  # told once by this process, and not again


@pytest.mark.usefixtures("own_writer")
def test_online_by_demand_warns_where_it_cannot_be(tmp_path: Path) -> None:
    said: list[str] = []
    session(tmp_path, said, mode="online").finish()
    assert len(said) == 1
    assert "offline" in said[0]
    assert leet(tmp_path)["state"] == "finished"


@pytest.mark.usefixtures("own_writer")
def test_a_bad_key_is_one_warning_and_the_run_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(refuses=True)
    said: list[str] = []
    with server.running() as url:
        isolate(monkeypatch, tmp_path, WANDB_API_KEY=KEY, WANDB_BASE_URL=url)
        for name in ("one", "two"):
            run = session(tmp_path / name, said, mode="auto", run_id=name)
            run.log({"loss": 0.5}, 7)
            run.finish()
    assert server.requests
    assert len(said) == 1
    assert "offline" in said[0]
    assert "login" in said[0]
    for name in ("one", "two"):
        found = leet(tmp_path / name)  # which is the only part: nothing is left of the attempt
        assert (found["state"], found["summary"]["loss"]) == ("finished", 0.5)
        assert part(tmp_path / name).name.startswith("offline-run-")


def test_a_server_that_never_answers_delays_neither_the_end_nor_the_exit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with silent_server() as url:
        script = """
            import sys, time
            from pathlib import Path
            from expkit.loggers.wandb_session import WandbSession
            run = WandbSession(Path(sys.argv[1]), "abc", warn=lambda text: print("WARNED", text))
            run.log({"loss": 1.0}, 0)
            time.sleep(1.5)
            begun = time.monotonic()
            run.finish(timeout=1.0)
            print("FINISH", time.monotonic() - begun)
        """
        isolate(monkeypatch, tmp_path, WANDB_API_KEY=KEY, WANDB_BASE_URL=url)
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=30,
        )
        seconds = time.monotonic() - begun
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.count("WARNED") == 1
    assert float(done.stdout.split("FINISH")[1]) < 2
    assert seconds < 8


def test_a_folder_that_cannot_be_written_is_one_warning(tmp_path: Path) -> None:
    (tmp_path / "wandb").write_text("a file where W&B's folder should be")
    said: list[str] = []
    run = session(tmp_path, said)
    run.log({"loss": 1.0}, 0)
    run.finish()
    assert len(said) == 1
    assert "left out" in said[0]


@pytest.mark.usefixtures("own_writer")
def test_a_disk_that_fills_up_is_one_warning(tmp_path: Path) -> None:
    # A limit on the size of files looks to the writer, and to what it starts, like a disk without space.
    said: list[str] = []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    run = session(tmp_path, said)
    assert run.wait(20)
    assert wandb_session._writer is not None
    process = wandb_session._writer._process.pid
    resource.prlimit(process, resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    for step in range(100):
        run.log({"loss": 1.0}, step)
    run.finish()
    assert len(said) == 1
    assert "File too large" in said[0]


def test_a_figure_that_is_missing_is_one_warning_and_the_run_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    run = session(tmp_path, said)
    run.figure("curve", tmp_path / "missing.png")
    run.figure("curve", tmp_path / "missing.png")
    run.log({"loss": 1.0}, 0)
    run.finish()
    assert len(said) == 1
    assert "figure" in said[0]
    assert leet(tmp_path)["state"] == "finished"


@pytest.mark.usefixtures("own_writer")
def test_a_writer_that_is_killed_is_one_warning_and_the_next_run_has_another(tmp_path: Path) -> None:
    said: list[str] = []
    run = session(tmp_path / "one", said)
    assert run.wait(20)
    assert wandb_session._writer is not None
    os.kill(wandb_session._writer._process.pid, signal.SIGKILL)
    begun = time.monotonic()
    run.finish()
    assert time.monotonic() - begun < 5
    assert len(said) == 1
    session(tmp_path / "two", said).finish()
    assert len(said) == 1
    assert leet(tmp_path / "two")["state"] == "finished"


@pytest.mark.usefixtures("own_writer")
def test_disabled_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv("WANDB_MODE", "disabled")
    for mode in ("disabled", "auto"):
        run = session(tmp_path, said, mode=mode)
        run.log({"loss": 1.0}, 0)
        run.finish()
    assert said == []
    assert not list(tmp_path.iterdir())
    assert wandb_session._writer is None


@pytest.mark.parametrize("ending", ["ctrl-c", "exit", "kill"])
def test_a_process_that_ends_without_finishing_leaves_a_whole_run(tmp_path: Path, ending: str) -> None:
    script = """
        import os, signal, sys, time
        from pathlib import Path
        from expkit.loggers.wandb_session import WandbSession
        run = WandbSession(Path(sys.argv[1]), "abc", mode="offline")
        assert run.wait(20)
        run.log({"loss": 0.5}, 4)
        if sys.argv[2] == "exit":
            print("ready", flush=True)
            sys.exit(3)
        try:
            print("ready", flush=True)
            time.sleep(30)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            raise SystemExit(130)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path), ending],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    if ending == "ctrl-c":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    elif ending == "kill":
        time.sleep(0.3)  # what is in the queue is lost with the process
        process.kill()
    out, errors = process.communicate(timeout=20)
    assert process.returncode == {"ctrl-c": 130, "exit": 3, "kill": -signal.SIGKILL}[ending]
    assert out == ("interrupted\n" if ending == "ctrl-c" else "")
    assert errors == ""
    deadline = time.monotonic() + 10
    while (found := leet(tmp_path))["state"] == "running" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert (found["exit_code"], found["summary"]["loss"], found["step"]) == (255, 0.5, 4)


def test_the_training_thread_is_not_kept_waiting(tmp_path: Path) -> None:
    run = session(tmp_path, [])
    begun = time.perf_counter()
    for step in range(2000):  # far more than a pipe holds, while the writer is still importing W&B
        run.log({f"metric/{index}": float(step) for index in range(10)}, step)
    seconds = time.perf_counter() - begun
    run.finish()
    assert seconds / 2000 < 200e-6
    assert leet(tmp_path)["step"] == 1999


def test_a_forked_process_leaves_the_run_to_its_parent(tmp_path: Path) -> None:
    run = session(tmp_path, [])
    assert run.wait(20)
    child = os.fork()
    if child == 0:
        run.log({"loss": 9.0}, 5)
        run.finish("failed", timeout=1)
        os._exit(0 if wandb_session._writer is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    run.log({"loss": 1.0}, 6)
    run.finish()
    found = leet(tmp_path)
    assert (found["exit_code"], found["summary"]["loss"], found["step"]) == (0, 1, 6)


def test_the_session_imports_neither_torch_nor_lightning_nor_wandb() -> None:
    script = "import sys, expkit.loggers.wandb_session; print({'torch', 'lightning', 'wandb'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_slurm_variables_but_those_of_the_job_are_hidden_from_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    """W&B uploads every variable whose name begins with SLURM."""
    from expkit.loggers.wandb_writer import forget_slurm

    monkeypatch.setattr("os.environ", {"SLURM_JWT": "a key", "SLURM_JOB_ID": "17", "HOME": "/home"})
    forget_slurm()
    assert os.environ == {"SLURM_JOB_ID": "17", "HOME": "/home"}
