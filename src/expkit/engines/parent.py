"""The process that has started this one to train along, as this one knows it."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress

PIPE = "EXPKIT_RANK_PIPE"
"""The variable with the pipe to it: `READY`, and later, where something goes wrong, a line about it and a traceback."""
PARENT = "EXPKIT_RANK_PARENT"
"""The variable with the number of its process."""
READY = "ready\n"


def tell_parent(text: str) -> None:
    """Says something to it; without one, nothing happens."""
    if pipe := os.environ.get(PIPE):
        with suppress(OSError):  # it is gone, and so will this process be
            os.write(int(pipe), text.encode()[:16_384])


def end_with_parent() -> None:
    """Ends this process when that one is gone, however it went."""
    parent = int(os.environ[PARENT])

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
