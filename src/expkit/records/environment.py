"""What a run ran in: code, packages, hardware."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from expkit import __version__, library

LONGEST_DIFF = 1_000_000  # characters; a longer one is cut and marked


def environment() -> dict[str, Any]:
    """Facts as plain JSON. Takes some 0.1 s, most of it waiting for git."""
    return {
        "expkit": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "command": sys.argv,
        "folder": os.getcwd(),
        "hardware": hardware(),
        "git": git(library.project() or library.root()),
        "packages": packages(),
    }


@cache  # a sweep asks for each of its stacks, and what is imported stays as it is
def packages() -> dict[str, str]:
    """Versions of what is installed, by name."""
    return dict(sorted((each.name, each.version) for each in metadata.distributions() if each.name))


def hardware() -> dict[str, Any]:
    import psutil

    return {
        "cpu": _cpu_name(),
        "cores": psutil.cpu_count(logical=False) or psutil.cpu_count(),
        "threads": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def git(folder: Path) -> dict[str, Any] | None:
    """Commit, uncommitted changes and untracked files of the repository that a folder is in; None without one."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    diff = _git(folder, "diff", "HEAD", "--no-ext-diff") or ""
    untracked = (_git(folder, "ls-files", "--others", "--exclude-standard") or "").splitlines()
    cut = {"diff_cut_at": LONGEST_DIFF} if len(diff) > LONGEST_DIFF else {}
    return {"commit": commit.strip(), "diff": diff[:LONGEST_DIFF], "untracked": untracked[:1000], **cut}


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
