"""Whether W&B can be reached: is there a login, and does the server answer?"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    import wandb


def logged_in(settings: wandb.Settings) -> bool:
    """Whether W&B has credentials for its server; whether they are good is not asked."""
    if settings.api_key or settings.identity_token_file:
        return True
    try:
        from wandb.sdk.lib.wbauth import read_netrc_auth
    except ImportError:  # older versions look in one place more, and have no function for this one alone
        from wandb.sdk.lib import apikey  # type: ignore[attr-defined]

        return bool(apikey.api_key(settings))
    return read_netrc_auth(host=settings.base_url) is not None


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
