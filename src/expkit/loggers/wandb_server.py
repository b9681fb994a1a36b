"""Whether W&B can be reached: is there a login, and does the server answer?"""

from __future__ import annotations

import netrc
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    import wandb


def logged_in(settings: wandb.Settings) -> bool:
    """Whether W&B has credentials for its server; whether they are good is not asked."""
    return bool(settings.api_key or settings.identity_token_file or _in_netrc(urlsplit(settings.base_url).hostname))


def answers(url: str, seconds: float) -> bool:
    """Whether something accepts connections where `url` leads to, by way of a proxy where one is set."""
    target = urlsplit(url)
    proxy = getproxies().get(target.scheme)
    if proxy and not proxy_bypass(target.hostname or ""):
        target = urlsplit(proxy if "://" in proxy else f"//{proxy}")
    address = (target.hostname or "", target.port or (80 if target.scheme == "http" else 443))
    connected = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=seconds).close()
            connected.set()
        except OSError:
            pass

    # In a thread because no time limit holds while a name is looked up.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    return connected.is_set()


def _in_netrc(host: str | None) -> bool:
    files = [os.environ["NETRC"]] if os.environ.get("NETRC") else ["~/.netrc", "~/_netrc"]
    for file in files:
        try:
            if host and netrc.netrc(Path(file).expanduser()).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False
