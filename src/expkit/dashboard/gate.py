"""Who may ask the dashboard for anything: programs of this machine, and the dashboard's own pages."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocketClose

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Gate:
    """Refuses what other sites' pages make a browser ask for, before Streamlit sees it.

    Streamlit itself looks at hosts and origins for its websocket alone, and takes pages of other ports of this machine
    for its own.

    Args:
        app: what is behind the gate.
        hosts: the names that this machine is called by. Any port will do: there may be a tunnel to another machine.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app = app
        self.hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self.lets_pass(Headers(scope=scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(code=1008)(scope, receive, send)
        else:
            refusal = "The dashboard answers only its own pages, under the address that `expkit dashboard` prints.\n"
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)

    def lets_pass(self, headers: Headers) -> bool:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or _name(hosts[0]) not in self.hosts:  # another name that leads here: DNS rebinding
            return False
        if any(origin != f"http://{hosts[0]}" for origin in headers.getlist("origin")):
            return False
        # Pictures, scripts and frames that another site's page refers to; a link that a person follows is none.
        is_foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        return not is_foreign or headers.get("sec-fetch-dest") == "document"


def _name(host: str) -> str | None:
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises where it is none
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host else None
