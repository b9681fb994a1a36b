"""A run store and a project of which everything that is a text is an attack."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars
import yaml

CANARY = "evil.example"
"""In every text: where it turns up as anything but text, somebody has believed it."""

ATTACKS = (
    "<script>window.hacked='evil.example'</script>",
    "<img src=x onerror=\"window.hacked='evil.example'\">",
    "<a href='javascript:window.hacked=1'>evil.example</a><iframe src='http://evil.example/'></iframe>",
    "![evil.example](http://evil.example/x.png)",
    "[evil.example](http://evil.example/) <http://evil.example/>",
    "[evil.example](javascript:window.hacked=1)",
    "http://evil.example/plain www.evil.example",
    ":red[evil.example] :material/home: $\\href{javascript:window.hacked=1}{evil.example}$",
    "\x1b[2J\x1b[31mevil.example\x1b]0;evil.example\x07\x1b]8;;http://evil.example\x1b\\x\x1b]8;;\x1b\\",
    "evil.example\r\x1b[1Acomplete\x9b2J\x90evil\x9c",
    "\u202eelpmaxe.live evil.example\u2066",
    "[/] [bold]evil.example[/bold] [link=http://evil.example]x[/link] :smile:",
    "evil.example\nerror: all is well\n\n# evil.example\n| a | b |\n|---|---|\n```\n~~~",
    "'\"; rm -rf evil.example; $(evil.example) `evil.example` %s {0} ${evil.example}",
    "evil.example" * 2000,
)


def write_store(runs: Path, attacks: Sequence[str] = ATTACKS) -> None:
    """For each attack a failed and a complete run, and one sweep of them all."""
    jobs = []
    for number, attack in enumerate(attacks):
        name = _file_name(attack)
        for state in ("failed", "complete"):
            run_id = f"{number:010x}{'fc'[state == 'complete']}0"
            _write_run(runs / name / run_id, attack, state, number)
            jobs.append(
                {"number": len(jobs), "run": f"{name}/{run_id}", "overrides": [f"optimizer.note={attack}", attack]}
            )
    folder = runs / ".sweeps" / _file_name(attacks[0])
    folder.mkdir(parents=True)
    (folder / "jobs.jsonl").write_text("".join(json.dumps(job) + "\n" for job in jobs))
    every = " ".join(attacks)
    info = {"sweep": every, "experiment": every, "launcher": every, "started": every, "state": "interrupted"}
    (folder / "sweep.json").write_text(json.dumps({**info, "overrides": [*attacks]}))


def write_project(folder: Path, attacks: Sequence[str] = ATTACKS) -> None:
    """Experiments that say it, with evidence that does, too."""
    (folder / "conf" / "experiment").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.expkit]\n")
    for attack in attacks:
        name = _file_name(attack)
        paper = {"title": attack, "arxiv": attack, "family": attack, "finding": attack}
        written = yaml.safe_dump({"paper": paper, "note": {attack: attack}})
        (folder / "conf" / "experiment" / f"{name}.yaml").write_text(written)
        evidence = folder / "experiments" / name
        evidence.mkdir(parents=True)
        check = {"quantity": attack, "value": attack, "interval": [attack, attack], "asked": attack, "state": attack}
        claim = {
            "claim": attack,
            "paper": attack,
            "measured": attack,
            "seeds": attack,
            "verdict": attack,
            "checks": [check],
        }
        results = {"date": attack, "commit": attack, attack: attack, "claims": [claim, {**claim, "checks": []}]}
        (evidence / "results.json").write_text(json.dumps(results))


def _write_run(folder: Path, attack: str, state: str, number: int) -> None:
    (folder / "figures").mkdir(parents=True)
    config = {"seed": number, "name": attack, "tags": [attack], "data": {"note": attack, attack: attack}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    rows = [{"step": step, f"test/{attack}": 0.5 + step, "test/acc": 0.1 * step} for step in range(3)]
    polars.DataFrame(rows).write_parquet(folder / "metrics.parquet")
    (folder / "summary.json").write_text(json.dumps(rows[-1]))
    error = {"type": attack, "message": attack, "traceback": attack}
    facts: dict[str, Any] = {
        "run_id": folder.name,
        "status": state,
        "overrides": [attack, f"a={attack}"],
        "started": attack,
    }
    status = {**facts, "seconds": 1.0, "choices": {"model": attack}, "error": error if state == "failed" else None}
    (folder / "status.json").write_text(json.dumps(status))
    git = {"commit": attack, "diff": f"diff --git a/{attack} b/{attack}\n@@ -1 +1 @@\n-{attack}\n+{attack}\n"}
    machine = {"host": attack, "folder": attack, "command": [attack], "hardware": {attack: attack}, "git": git}
    (folder / "environment.json").write_text(json.dumps({**machine, "packages": {attack: attack}}))
    (folder / "wandb.json").write_text(json.dumps({"url": f"javascript:{attack}"}))
    (folder / f"{_file_name(attack)}.log").write_text(attack)
    (folder / "figures" / f"{_file_name(attack)}.png").write_bytes(_picture())


def _file_name(attack: str) -> str:
    """The attack, as far as it can be a file's name."""
    return attack.replace("/", "\u2215")[:60]


def _picture() -> bytes:
    """A PNG of one grey pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\x00\x80")) + chunk(b"IEND", b"")
    )
