"""Other machines, and pages of other sites in the user's own browser, against the dashboard"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
from report import Row

PATHS = ("/", "/run", "/_stcore/health", "/_stcore/host-config", "/_stcore/metrics", "/_stcore/stream", "/media/a.png")
NAMES = (
    "evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "localhost.evil.example",
    "a.localhost:{port}",
    "evil.example@localhost:{port}", "localhost@evil.example", "0.0.0.0:{port}", "[::]:{port}", "127.1:{port}",
    "2130706433:{port}", "", "127.0.0.1:{port}/evil.example", "127.0.0.1:evil", "evil.example#127.0.0.1", "*",
    "localhost evil.example", "127.0.0.1,evil.example", "localhost?evil.example", "xn--localhost-.example",
)  # fmt: skip
ORIGINS = (
    "http://evil.example", "http://evil.example:{port}", "https://127.0.0.1:{port}", "http://127.0.0.1:{other}", "",
    "http://localhost:{port}", "http://localhost:{other}", "http://127.0.0.1", "http://0.0.0.0:{port}", "null", "file://",
    "http://127.0.0.1:{port}.evil.example", "http://evil.example@127.0.0.1:{port}", "chrome-extension://abcdef",
    "http://127.0.0.1:{port}/", "HTTP://127.0.0.1:{port}, http://evil.example",
)  # fmt: skip
EMBEDDED = (
    "image",
    "script",
    "iframe",
    "frame",
    "style",
    "object",
    "embed",
    "font",
    "audio",
    "video",
    "empty",
    "worker",
)
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
Headers = list[tuple[str, str]]


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    with serving(folder) as port:
        own = f"127.0.0.1:{port}"
        yield own_pages(port, own)
        yield other_addresses(port)
        yield other_names(port)
        yield other_sites(port, own)
        yield no_requests(port, own)


def own_pages(port: int, own: str) -> Row:
    """The gate is open for those whom it is for."""
    broken = []
    for host in (own, f"localhost:{port}", "localhost:9999"):
        for extra in (
            [],
            [("Origin", f"http://{host}")],
            [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Dest", "document")],
        ):
            status = ask(port, "GET", "/", [("Host", host), *extra])
            broken += [f"GET / with {host} {extra}: {status}"] if status != 200 else []
        status = ask(port, "GET", "/_stcore/stream", [("Host", host), ("Origin", f"http://{host}"), *websocket()])
        broken += [f"websocket with {host}: {status}"] if status != 101 else []
    return Row(
        "its own pages, under the addresses of this machine and through a tunnel", 12, (*broken,), "the dashboard"
    )


def other_addresses(port: int) -> Row:
    """The addresses under which other machines see this one."""
    addresses = [
        (each.family, each.address.partition("%")[0])
        for name, every in psutil.net_if_addrs().items()
        for each in every
        if each.family in (socket.AF_INET, socket.AF_INET6) and each.address not in ("127.0.0.1", "::1")
    ]
    broken = []
    for family, address in [*addresses, (socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")]:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as attempt:
            attempt.settimeout(2)
            attempt.connect((address, port))
            broken.append(f"{address} accepts connections")
    return Row("connections to this machine's other addresses", len(addresses) + 2, (*broken,), "nobody there")


def other_names(port: int) -> Row:
    """Names of other sites that lead here."""
    broken, tried = [], 0
    for name in (each.format(port=port) for each in NAMES):
        for path in PATHS:
            for extra in ([], [("Origin", f"http://{name}")]):
                headers = [("Host", name), *extra, *(websocket() if path.endswith("stream") else [])]
                status, tried = ask(port, "GET", path, headers), tried + 1
                broken += [] if status in (400, 403) else [f"GET {path} with {headers}: {status}"]
    return Row(
        "requests under another name that leads here (DNS rebinding)", tried, (*broken,), "403, and nothing else"
    )


def other_sites(port: int, own: str) -> Row:
    """What another site's page can make a browser send."""
    broken, tried = [], 0
    requests = [("GET", path) for path in PATHS]
    requests += [(method, "/_stcore/upload_file/a/b") for method in ("PUT", "POST", "DELETE", "OPTIONS")]
    foreign: list[Headers] = [[("Origin", each.format(port=port, other=port + 1))] for each in ORIGINS]
    foreign += [
        [("Sec-Fetch-Site", site), ("Sec-Fetch-Dest", what)]
        for what in EMBEDDED
        for site in ("cross-site", "same-site")
    ]
    for method, path in requests:
        for headers in foreign:
            sent = [("Host", own), *headers, *(websocket() if path.endswith("stream") else [])]
            status, tried = ask(port, method, path, sent), tried + 1
            broken += [] if status == 403 else [f"{method} {path} with {headers}: {status}"]
    return Row("requests, websockets, uploads, pictures and frames of other sites' pages", tried, (*broken,), "403")


def no_requests(port: int, own: str) -> Row:
    """What is no HTTP, or not quite; the server answers others afterwards."""
    nonsense = (
        b"GET / HTTP/1.1\r\nHost: %h\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\nHost: %h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: %h\r\nOrigin: http://%h\r\nOrigin: http://evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : %h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil\x00.example\r\n\r\n",
        b"GET /../../../../etc/passwd HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"A" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: %h\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 500) for n in range(500)) + b"\r\n",
    )
    broken = []
    for each in nonsense:
        answer = raw(port, each.replace(b"%h", own.encode()))
        if answer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")) and b"X-499" not in each:
            broken.append(f"{each[:80]!r} is answered: {answer[:80]!r}")
        if ask(port, "GET", "/_stcore/health", [("Host", own)]) != 200:
            broken.append(f"after {each[:80]!r} the server does not answer")
    for path in (
        "/..%2f..%2f..%2fetc/passwd",
        "//evil.example/x",
        "/media/..%5c..%5cx",
        "/app/static/../../app.py",
        "/%00",
    ):
        answer = raw(port, f"GET {path} HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n".encode())
        if b"root:" in answer or b"st.set_page_config" in answer or b"\r\nlocation:" in answer.lower():
            broken.append(f"GET {path}: {answer[:200]!r}")
    return Row(
        "what is not quite HTTP, and paths that climb", len(nonsense) + 5, (*broken,), "400 or 403, or no answer"
    )


def websocket() -> Headers:
    return [*UPGRADE.items(), ("Sec-WebSocket-Key", base64.b64encode(os.urandom(16)).decode())]


def ask(port: int, method: str, path: str, headers: Headers) -> int:
    """The status of the answer; 0 without one."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "Content-Length: 0"]
    if ("Upgrade", "websocket") not in headers:
        lines.append("Connection: close")
    first = raw(port, ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")).split(b"\r\n")[0].split()
    return int(first[1]) if len(first) > 1 else 0


def raw(port: int, data: bytes) -> bytes:
    """The beginning of what is answered."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(data)
        return connection.recv(65536)
    return b""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[int]:
    """`expkit dashboard`; its port."""
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        port = some.getsockname()[1]
    command = [sys.executable, "-m", "expkit", "dashboard", "--json", "--runs", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)
