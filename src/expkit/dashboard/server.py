"""Streamlit's server for the dashboard: on this machine only, telling nobody, until it is stopped."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from expkit.errors import ConfigError, UserError

HOST = "127.0.0.1"
HOSTS = (HOST, "localhost")
"""The names that the dashboard answers to."""
FIRST_PORT = 8501
FOLDER = Path(__file__).parent
START_SECONDS = 60.0


def serve(root: Path, port: int | None, ready: Callable[[str], None]) -> int:
    """Serves the records in `root` until Ctrl-C or SIGTERM.

    Args:
        root: the run store.
        port: to listen on; None takes the first free one from 8501 on.
        ready: is told the address once the page answers.

    Returns:
        The exit status.

    Raises:
        ConfigError: the port cannot be had, or Streamlit or Plotly is not installed.
        UserError: the server did not start.
    """
    missing = [name for name in ("streamlit", "plotly") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"The dashboard needs {' and '.join(missing)}.", "pip install 'expkit[dashboard]'")
    port = _port(port)
    environment = {**os.environ, "EXPKIT_RUNS": str(root.absolute())}
    server = subprocess.Popen(_command(port), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    before = signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        address = f"http://{HOST}:{port}"
        if not _answers(address, server):
            raise UserError("The dashboard's server did not start.", "What it said is above, if anything.")
        ready(address)
        server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        _end(server)
    return 0


def options(port: int) -> dict[str, str | list[str]]:
    """Streamlit's settings by name; they win over a `.streamlit/config.toml` that lies about."""
    return {
        "server.address": HOST,
        "server.port": str(port),
        "server.headless": "true",
        # Pages from elsewhere may neither call this server nor reach it under a name of their own.
        "server.enableCORS": "true",
        "server.allowedHosts": [*HOSTS],
        "server.enableXsrfProtection": "true",
        "server.enableStaticServing": "false",
        "server.fileWatcherType": "none",
        "server.runOnSave": "false",
        "browser.gatherUsageStats": "false",
        "browser.serverAddress": HOST,
        "client.toolbarMode": "minimal",
        "client.showErrorLinks": "false",
        "client.showErrorDetails": "full",
        "logger.hideWelcomeMessage": "true",
        "logger.level": "warning",
        "runner.magicEnabled": "false",
        "theme.base": str(FOLDER / "theme.toml"),
    }


def _command(port: int) -> list[str]:
    each = {name: value if isinstance(value, list) else [value] for name, value in options(port).items()}
    given = [f"--{name}={value}" for name, values in each.items() for value in values]
    return [sys.executable, "-m", "streamlit", "run", str(FOLDER / "entry.py"), *given]


def _port(wanted: int | None) -> int:
    if wanted is not None:
        if not 0 < wanted < 65536:
            raise ConfigError(f"--port {wanted}: a port is a number from 1 to 65535.")
        if not _is_free(wanted):
            raise ConfigError(f"Port {wanted} is taken.", "Choose another with --port N, or leave --port out.")
        return wanted
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        if _is_free(port):
            return port
    raise ConfigError(f"The ports {FIRST_PORT} to {FIRST_PORT + 99} are taken.", "Choose another with --port N.")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((HOST, port))
        except OSError:
            return False
    return True


def _answers(address: str, server: subprocess.Popen[bytes]) -> bool:
    """Waits until the page can be opened; False if the server has ended, or takes too long."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with direct.open(f"{address}/_stcore/health", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(timeout=5)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
