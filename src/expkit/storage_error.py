"""Errors of the disk, in the user's words: it is full, read-only, or not theirs."""

from __future__ import annotations

import errno
from collections.abc import Collection

from expkit.errors import UserError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""What every run on the same disk will meet."""
ALL = FULL | {errno.EACCES, errno.EPERM, errno.EIO}


def storage_error(error: BaseException, kinds: Collection[int] = ALL) -> UserError | None:
    """What to say of an error that one of such a kind has caused; None of any other."""
    cause: BaseException | None = error
    seen = set()  # an error that is raised again may be among its own causes
    while cause is not None and not (isinstance(cause, OSError) and cause.errno in kinds):
        seen.add(id(cause))
        following = cause.__cause__ or cause.__context__
        cause = None if id(following) in seen else following
    if cause is None:
        return None
    where = f" ({cause.filename})" if cause.filename else ""
    return UserError(
        f"A file cannot be read or written: {cause.strerror}{where}.",
        "Make room, or see to it that the folder can be written: the same command then goes on from what was saved.",
    )
