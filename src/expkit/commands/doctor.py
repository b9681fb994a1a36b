"""`expkit doctor`: what works on this machine, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Literal

from packaging.requirements import Requirement

State = Literal["ok", "note", "missing", "broken"]
MARKS = {"ok": ("+", "green"), "note": ("-", "yellow"), "missing": ("-", "yellow"), "broken": ("x", "red")}
ENOUGH_DISK = 2.0  # GiB


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what was found, and what to do about it."""

    what: str
    state: State
    found: str
    remedy: str | None = None


def add_doctor_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exits with status 1 if something is broken; what is merely missing is no error."
    parser.add_argument("--runs", metavar="DIR", help="where records go (default: $EXPKIT_RUNS, or ./runs)")


def doctor(options: argparse.Namespace) -> int:
    checks: list[Callable[[], list[Finding]]] = [
        _python,
        _packages,
        _devices,
        _compiler,
        _wandb,
        lambda: _disk(options.runs),
        _project,
        _extras,
    ]
    findings = [finding for check in checks for finding in check()]
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    return int(any(finding.state == "broken" for finding in findings))


def _python() -> list[Finding]:
    enough = sys.version_info >= (3, 11)
    found = f"{platform.python_version()} ({sys.prefix})"
    return [Finding("python", "ok" if enough else "broken", found, None if enough else "expkit needs Python 3.11")]


def _packages() -> list[Finding]:
    found = []
    for name in ("torch", "lightning", "hydra-core", "omegaconf", "wandb"):
        try:
            found.append(Finding(name, "ok", version(name)))
        except PackageNotFoundError:
            found.append(Finding(name, "broken", "not installed", "pip install expkit"))
    return found


def _devices() -> list[Finding]:
    try:
        import psutil
        import torch
    except ImportError as error:
        return [Finding("devices", "broken", str(error), "pip install expkit")]
    memory = psutil.virtual_memory().total / 2**30
    cpu = f"{os.cpu_count()} cores, {memory:.0f} GiB, torch uses {torch.get_num_threads()} threads"
    found = [Finding("cpu", "ok", cpu)]
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        found.append(Finding(f"gpu {index}", "ok", f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB"))
    if not torch.cuda.device_count():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for the CPU"
        remedy = "trainer=cpu and ddp_cpu work; with an NVIDIA GPU install torch with CUDA (pytorch.org)"
        found.append(Finding("gpu", "missing", f"none found; torch is {built}", remedy))
    return found


def _compiler() -> list[Finding]:
    name = next((c for c in (os.environ.get("CXX"), "g++", "clang++") if c and shutil.which(c)), None)
    if name is None:
        return [Finding("compiler", "missing", "no C++ compiler", "torch.compile on the CPU needs one: install g++")]
    return [Finding("compiler", "ok", str(shutil.which(name)))]


def _wandb() -> list[Finding]:
    mode = os.environ.get("WANDB_MODE")
    if mode in ("offline", "disabled"):
        return [Finding("W&B login", "note", f"WANDB_MODE={mode}", "unset WANDB_MODE to log online")]
    try:
        import wandb

        from expkit.loggers.wandb_server import answers, logged_in

        settings = wandb.Settings()
        if not logged_in(settings):
            return [Finding("W&B login", "missing", "not logged in: runs are kept offline", "wandb login")]
        if not answers(settings.base_url, seconds=2):
            remedy = "runs are kept offline; `expkit sync` uploads them later"
            return [Finding("W&B login", "note", f"{settings.base_url} does not answer", remedy)]
    except Exception as error:  # whatever is wrong with it, training works without
        return [Finding("W&B login", "note", f"cannot be told: {error}", "runs are kept; logger=none leaves W&B out")]
    return [Finding("W&B login", "ok", f"credentials for {settings.base_url}, which answers")]


def _disk(runs: str | None) -> list[Finding]:
    from expkit.records.store import Store

    root = Store(runs).root.absolute()
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        remedy = "--runs DIR or EXPKIT_RUNS chooses another"
        return [Finding("records", "broken", f"{root} cannot be made or written", remedy)]
    free = shutil.disk_usage(existing).free / 2**30
    found = f"{root}, {free:.0f} GiB free"
    return [Finding("records", "ok" if free > ENOUGH_DISK else "note", found)]


def _project() -> list[Finding]:
    from expkit import library, trust

    own = library.project()
    trusted = ", ".join(sorted(trust.trusted_roots()))
    where = f"{own}" if own else "none (no pyproject.toml with [tool.expkit] from here upwards)"
    return [Finding("project", "ok", f"{where}; pieces are taken from: {trusted}")]


def _extras() -> list[Finding]:
    found = []
    for line in requires("expkit") or []:
        requirement = Requirement(line)
        extra = str(requirement.marker).partition("extra == ")[2].strip("'\"")
        if not extra or extra == "dev":
            continue
        name = requirement.name
        try:
            found.append(Finding(f"extra {extra}", "ok", f"{name} {version(name)}"))
        except PackageNotFoundError:
            remedy = f"pip install 'expkit[{extra}]'"
            found.append(Finding(f"extra {extra}", "missing", f"{name} is not installed", remedy))
    return found


def _print(findings: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    from expkit.views.console import new_console

    table = Table.grid(padding=(0, 2))
    for finding in findings:
        mark, colour = MARKS[finding.state]
        table.add_row(Text(mark, style=f"bold {colour}"), finding.what, Text(finding.found))
        if finding.remedy:
            table.add_row("", "", Text(finding.remedy, style="dim"))
    new_console().print(table)
