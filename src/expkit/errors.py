"""Errors that are the user's to mend: one message, an exit status, no traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something outside expkit's own code has to change; `message` says what is wrong, `hint` what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class ConfigError(UserError):
    """The configuration cannot be run; nothing was started."""

    exit_code = 2


def did_you_mean(name: str, known: Iterable[str], *, show: int = 12) -> str:
    """'Did you mean X?' for a near miss, else the list of what exists."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"Did you mean '{close[0]}'?"
    if not known:
        return ""
    rest = f", ... ({len(known)} in all)" if len(known) > show else ""
    return f"Known: {', '.join(known[:show])}{rest}."
