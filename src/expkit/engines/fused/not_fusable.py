"""Why runs cannot be trained as one program."""

from __future__ import annotations


class NotFusable(Exception):
    """The runs of a stack differ in more than numbers, or use something that has no batched form.

    Args:
        key: the configuration key at fault, such as `optimizer.nesterov`.
        reason: what about it, as a clause that can follow the key.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason
