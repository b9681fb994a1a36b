"""Servers that stand in for W&B's, and a reader of its files that is not expkit's."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

KEY = "a1" * 20


def isolate(monkeypatch: pytest.MonkeyPatch, folder: Path, **variables: str) -> None:
    """No login, no settings and no mode of whoever runs the tests; then `variables`."""
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    own = {
        "HOME": str(folder),
        "NETRC": str(folder / "netrc"),
        "WANDB_CONFIG_DIR": str(folder),
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        "WANDB_ERROR_REPORTING": "false",
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in {**own, **variables}.items():
        monkeypatch.setenv(name, value)


def leet(folder: Path) -> dict[str, Any]:
    """What `wandb leet inspect --summary` makes of the one run in a record's folder."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(part(folder))]
    summary = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    command.remove("--summary")
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {**summary, "records": [json.loads(line) for line in lines]}


def part(folder: Path) -> Path:
    (only,) = parts(folder)
    return only


def parts(folder: Path) -> list[Path]:
    found = [path for path in (folder / "wandb").glob("*run-*-*") if not path.is_symlink()]
    return sorted(found, key=lambda path: path.name.removeprefix("offline-"))


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def silent_server() -> Iterator[str]:
    """Accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class Server:
    """As much of W&B's server as its client needs to upload a run; or one that refuses every key."""

    def __init__(self, refuses: bool = False) -> None:
        self.refuses = refuses
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.exit_codes: dict[str, int] = {}
        self.requests = 0

    @contextmanager
    def running(self) -> Iterator[str]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self.url
        finally:
            server.shutdown()
            server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                outer.requests += 1
                answer = {"error": "no"} if outer.refuses else outer._answer(self.path, body)
                text = json.dumps(answer).encode()
                self.send_response(401 if outer.refuses else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_PUT = do_GET = do_POST

            def log_message(self, *arguments: Any) -> None:
                pass

        return Handler

    def _answer(self, path: str, body: bytes) -> dict[str, Any]:
        if path.endswith("/file_stream"):
            return self._stream(path.split("/")[-2], json.loads(body))
        if not path.startswith("/graphql"):
            return {}
        query = json.loads(body)
        variables = query.get("variables") or {}
        answers = {
            "Viewer": lambda: {"viewer": {"id": "u", "entity": "me", "username": "me", "flags": "{}"}},
            "UpsertBucket": lambda: {"upsertBucket": {"bucket": self._bucket(variables["name"]), "inserted": True}},
            "RunResumeStatus": lambda: self._resume(variables["name"]),
            "CreateRunFiles": lambda: self._files(variables["files"]),
        }
        return {"data": answers.get(query.get("operationName"), dict)()}

    def _bucket(self, name: str) -> dict[str, Any]:
        project = {"id": "P", "name": "expkit", "entity": {"id": "E", "name": "me"}}
        return {"id": "B", "name": name, "displayName": name, "config": "{}", "historyLineCount": 0, "project": project}

    def _resume(self, name: str) -> dict[str, Any]:
        history = self.history.get(name)
        if history is None:
            return {"model": None}
        bucket = {
            **self._bucket(name),
            "summaryMetrics": json.dumps(history[-1]),
            "logLineCount": 0,
            "historyLineCount": len(history),
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(history[-1])]),
            "eventsTail": "[]",
            "tags": [],
            "wandbConfig": '{"t": 1}',  # what the client takes for a run that has begun
        }
        return {"model": {"id": "P", "name": "expkit", "entity": {"id": "E", "name": "me"}, "bucket": bucket}}

    def _files(self, names: list[str]) -> dict[str, Any]:
        files = [{"name": name, "uploadUrl": f"{self.url}/storage/{name}"} for name in names]
        return {"createRunFiles": {"runID": "B", "uploadHeaders": [], "files": files}}

    def _stream(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        lines = self.history.setdefault(name, [])
        if chunk := (body.get("files") or {}).get("wandb-history.jsonl"):
            lines[chunk["offset"] :] = [json.loads(line) for line in chunk["content"]]
        if body.get("complete"):
            self.exit_codes[name] = body["exitcode"]
        return {}
