"""The dashboard's server: on this machine only, and for its own pages only."""

from __future__ import annotations

import base64
import http.client
import os
import socket
import subprocess
from pathlib import Path

import pytest

from dashboard.conftest import Served
from expkit.dashboard import server
from expkit.errors import ConfigError
from support import run_expkit


def handshake(port: int, **headers: str) -> int:
    """The answer to a page that wants to talk to the server."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("GET", "/_stcore/stream", skip_host=True)
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
    for name, value in {**upgrade, **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def page(port: int, host: str) -> int:
    """The answer to a browser that opens the dashboard under a name."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/", headers={"Host": host})
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def test_only_its_own_pages_may_talk_to_it(served: Served) -> None:
    here = f"127.0.0.1:{served.port}"
    assert handshake(served.port, Host=here, Origin=f"http://{here}") == 101
    assert handshake(served.port, Host=here, Origin="http://evil.example") == 403
    assert handshake(served.port, Host=here, Origin=f"http://evil.example:{served.port}") == 403
    assert handshake(served.port, Host=here, Origin="http://127.0.0.1:3000") == 403  # another program of this machine
    # A name that someone else's DNS makes point here.
    rebound = f"evil.example:{served.port}"
    assert handshake(served.port, Host=rebound, Origin=f"http://{rebound}") == 403
    assert page(served.port, here) == 200
    assert page(served.port, rebound) == 403


def test_it_listens_on_this_machine_only(served: Served) -> None:
    assert served.address.startswith("http://127.0.0.1:")
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    addresses = {line.split()[1] for line in listening if line.split()[3] == "0A"}
    own = {address for address in addresses if int(address.partition(":")[2], 16) == served.port}
    assert own == {f"0100007F:{served.port:04X}"}


def test_what_is_wrong_with_a_port_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run_expkit("dashboard", "--port", port, folder=tmp_path)
    assert done.returncode == 2
    assert f"Port {port} is taken" in done.stderr
    with pytest.raises(ConfigError, match="from 1 to 65535"):
        server.serve(tmp_path, 70_000, print)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.importlib.util, "find_spec", lambda name: None if name == "streamlit" else object())
    with pytest.raises(ConfigError, match="needs streamlit") as caught:
        server.serve(tmp_path, None, print)
    assert caught.value.hint == "pip install 'expkit[dashboard]'"


def test_a_server_that_does_not_start_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_command", lambda port: ["false"])
    with pytest.raises(server.UserError, match="did not start"):
        server.serve(tmp_path, None, pytest.fail)


def test_it_ends_with_what_it_started(served: Served, tmp_path: Path) -> None:
    from dashboard.conftest import serving

    with serving(tmp_path, served.runs) as address:
        port = int(address.rpartition(":")[2])
        assert handshake(port, Host=f"127.0.0.1:{port}", Origin=address) == 101
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert f"--server.port={port}" not in left
