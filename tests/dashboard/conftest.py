"""A store, the dashboard serving it, and a browser."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dashboard.browser import Browser
from dashboard.example import failing_sweep, hostile, project, running, sweeps, with_figure

INSTALL = "apt-get install --yes chromium chromium-driver"


@dataclass(frozen=True)
class Served:
    """The dashboard's address, and the folders that it shows."""

    address: str
    port: int
    project: Path
    runs: Path


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run store with real and with made-up runs; not to be changed."""
    runs = tmp_path_factory.mktemp("store") / "runs"
    sweeps(runs)
    with_figure(runs)
    hostile(runs)
    failing_sweep(runs)
    return runs


@pytest.fixture(scope="session")
def served(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`expkit dashboard` in a project of its own, over a copy of the store in which one run is running."""
    folder = tmp_path_factory.mktemp("project")
    project(folder)
    runs = folder / "runs"
    shutil.copytree(store, runs)
    record = running(runs)
    with record.claim(waiting=lambda _: None), serving(folder, runs) as address:
        yield Served(address, int(address.rpartition(":")[2]), folder, runs)


@contextlib.contextmanager
def serving(folder: Path, runs: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "expkit", "dashboard", "--json", "--runs", str(runs), "--port", str(free_port())]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        printed = process.stdout.readline()
        assert printed, f"the dashboard ended with {process.wait()}"
        yield json.loads(printed)["address"]
    finally:
        process.terminate()
        process.wait(timeout=20)


def free_port() -> int:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        pytest.fail(f"The dashboard is tested in a browser; {' and '.join(missing)} not found. Install: {INSTALL}")
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium: Browser, served: Served) -> Browser:
    """A browser for the pages of the dashboard, as wide as a laptop."""
    chromium.resize(1400, 1100)
    chromium.address = served.address
    return chromium
