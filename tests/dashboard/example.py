"""A run store and a project for the dashboard's tests: small real runs, and what no run should do but might."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars
import yaml

from expkit.records.record import Record
from support import train

HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"
ESCAPES = "\x1b[31mred\x1b[0m \x1b]0;title\x07"
ERROR = f"{HOSTILE} {ESCAPES} ![x](http://192.0.2.1/x.png)"

MOONS = ["data=two_moons", "data.n_train=64", "data.n_test=64", "model=mlp", "model.width=4", "trainer.max_steps=40"]
QUIET = ["logger=none", "callbacks=none"]


def sweeps(runs: Path) -> None:
    """Two real sweeps: `moons`, a grid with seeds and a folder for each run, and `map`, recorded as one table."""
    where = f"paths.runs={runs}"
    grid = ["optimizer=sgd,adam", "optimizer.lr=0.01,0.1", "seed=range(0,3)", "sweep.name=moons", "name=moons"]
    train("-m", *MOONS, *QUIET, *grid, where, "hydra/launcher=fused")
    rates = ["optimizer.lr=logspace(-3,1,8)", "model.init_scale=logspace(-2,1,6)"]
    train("-m", *MOONS, *QUIET, *rates, "optimizer=sgd", "sweep.name=map", "sweep.dense=true", "name=map", where)


def with_figure(runs: Path) -> Path:
    """A real run that draws its learning curves."""
    done = train(*MOONS, "logger=none", "callbacks=learning_curves", "name=curves", "seed=7", f"paths.runs={runs}")
    return Path(done["path"])


def hostile(runs: Path) -> Path:
    """A failed run whose names and messages are markup and terminal sequences."""
    folder = written(
        runs,
        "hostile",
        "badc0ffee000",
        config={"seed": 0, "data": {"note": HOSTILE}, "tags": [ESCAPES]},
        rows=[{"step": step, f"test/{HOSTILE}": 0.5, "test/acc": 0.5} for step in range(3)],
        status="failed",
        error={"type": "RuntimeError", "message": ERROR, "traceback": f"Traceback\n{ERROR}"},
        overrides=[f"note={HOSTILE}"],
    )
    (folder / "run.log").write_text(f"{ESCAPES} {HOSTILE}\nthe last line\n")
    return folder


def written(
    runs: Path,
    experiment: str,
    run_id: str,
    config: dict[str, Any],
    rows: list[dict[str, float]],
    status: str = "complete",
    error: dict[str, str] | None = None,
    overrides: list[str] | None = None,
    started: str = "2026-01-01T00:00:00+00:00",
) -> Path:
    """A record written by hand."""
    folder = runs / experiment / run_id
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    if rows:
        polars.DataFrame(rows).write_parquet(folder / "metrics.parquet")
        (folder / "summary.json").write_text(json.dumps(rows[-1]))
    facts = {"run_id": run_id, "status": status, "overrides": overrides or [], "started": started, "seconds": 1.0}
    (folder / "status.json").write_text(json.dumps({**facts, "error": error}))
    return folder


def failing_sweep(runs: Path) -> None:
    """A sweep that was interrupted: one run of each kind."""
    folder = runs / ".sweeps" / "broken"
    folder.mkdir(parents=True)
    states = ["complete", "failed", "diverged", "failed"]
    lines = []
    for number, state in enumerate(states):
        error = {"type": "ValueError", "message": f"the {number}th is wrong {HOSTILE}", "traceback": ""}
        written(
            runs, "broken", f"b00000000{number:03}", {"seed": 0, "optimizer": {"lr": number}},
            [{"step": 5, "test/acc": 0.1 * number}], state, error if state == "failed" else None,
        )  # fmt: skip
        job = {"number": number, "run": f"broken/b00000000{number:03}", "overrides": [f"optimizer.lr={number}"]}
        lines.append(json.dumps(job))
    lines.append(json.dumps({"number": 4, "run": "broken/b00000000004", "overrides": ["optimizer.lr=4"]}))
    (folder / "jobs.jsonl").write_text("\n".join(lines) + "\n")
    info = {"sweep": "broken", "started": "2025-01-01T00:00:00+00:00", "experiment": "broken", "state": "interrupted"}
    (folder / "sweep.json").write_text(json.dumps({**info, "overrides": ["optimizer.lr=range(0,5)"]}))


def running(runs: Path) -> Record:
    """A run that says it is running; it does so as long as its claim is held."""
    rows = [{"step": step, "test/loss": 1.0 / (1 + step), "test/acc": 0.25} for step in (0, 1, 2)]
    now = "2027-01-01T00:00:00+00:00"
    folder = written(runs, "moons", "aaaa00000001", {"seed": 99}, rows, status="running", started=now)
    (folder / "summary.json").unlink()
    return Record(folder)


def project(folder: Path) -> None:
    """A project of its own with two experiments, one of which has evidence."""
    (folder / "pyproject.toml").write_text("[tool.expkit]\ntrusted = []\n")
    experiments = folder / "conf" / "experiment"
    experiments.mkdir(parents=True)
    paper = {"title": "A paper on moons", "arxiv": "2310.02541", "family": "lunar", "finding": f"They wax. {HOSTILE}"}
    (experiments / "moons.yaml").write_text(yaml.safe_dump({"paper": paper}))
    (experiments / "untested.yaml").write_text(yaml.safe_dump({"paper": {"title": "Nobody knows", "family": "other"}}))
    evidence = folder / "experiments" / "moons"
    evidence.mkdir(parents=True)
    (evidence / "results.json").write_text(json.dumps({"date": "2026-11-21", "commit": "0123abcd", "claims": CLAIMS}))
    (evidence / "README.md").write_text(f"# Moons\n\nA page. {HOSTILE}\n\n![remote](http://192.0.2.1/figure.png)\n")
    _picture(evidence / "figure.png")


CLAIMS = [
    {
        "claim": "The accuracy is far above chance at the end",
        "paper": "test accuracy above 80 %",
        "measured": 0.912,
        "interval": [0.894, 0.930],
        "seeds": 10,
        "verdict": "reproduced",
    },
    {
        "claim": f"The features align {HOSTILE}",
        "paper": "cosine near 1",
        "measured": 0.41,
        "interval": [0.22, 0.60],
        "seeds": 10,
        "verdict": "not reproduced",
    },
    {"claim": "At 10 billion parameters", "verdict": "not testable here", "reason": "needs a data centre", "seeds": 0},
]


def _picture(path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.full((60, 120, 3), 200, dtype=np.uint8)).save(path)
