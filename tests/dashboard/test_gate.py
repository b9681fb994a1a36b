"""The gate before the dashboard: who may pass, by what their requests say."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from expkit.dashboard.gate import Gate
from expkit.dashboard.server import HOSTS

OWN = "127.0.0.1:8501"


def answered(kind: str, *headers: tuple[str, str]) -> list[dict[str, Any]]:
    """What is sent to someone who asks; what is behind the gate says 'through'."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "through"})

    scope = {"type": kind, "headers": [(name.encode(), value.encode()) for name, value in headers]}
    asyncio.run(Gate(behind, HOSTS)(scope, None, send))  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "headers",
    [
        [("host", OWN)],
        [("host", OWN), ("origin", f"http://{OWN}"), ("sec-fetch-site", "same-origin"), ("sec-fetch-dest", "empty")],
        [("host", "localhost:9000"), ("origin", "http://localhost:9000")],  # through a tunnel
        [("host", OWN), ("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "document")],  # a link that was followed
    ],
)
def test_its_own_pages_pass(kind: str, headers: list[tuple[str, str]]) -> None:
    assert answered(kind, *headers) == [{"type": "through"}]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("host", "evil.example:8501")],
        [("host", "evil.example:8501"), ("origin", "http://evil.example:8501")],
        [("host", "evil@127.0.0.1:8501")],
        [("host", "127.0.0.1:evil")],
        [("host", OWN), ("host", "evil.example")],
        [("host", OWN), ("origin", "http://evil.example")],
        [("host", OWN), ("origin", "http://127.0.0.1:3000")],  # another program's page on this machine
        [("host", OWN), ("origin", f"https://{OWN}")],
        [("host", OWN), ("origin", "null")],
        [("host", OWN), ("origin", f"http://{OWN}"), ("origin", "http://evil.example")],
        [("host", OWN), ("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "iframe")],
        [("host", OWN), ("sec-fetch-site", "same-site"), ("sec-fetch-dest", "script")],
    ],
)
def test_others_do_not(headers: list[tuple[str, str]]) -> None:
    assert answered("http", *headers)[0]["status"] == 403
    assert answered("websocket", *headers) == [{"type": "websocket.close", "code": 1008, "reason": ""}]
