"""What an extra of expkit (`pip install 'expkit[graph]'`) installs, and whether it is there."""

from __future__ import annotations

import re
from functools import cache
from importlib import metadata

from expkit.errors import ConfigError, did_you_mean


def require_extra(extra: str, experiment: str) -> None:
    """Makes sure that the packages of an extra are installed, without importing them.

    Raises:
        ConfigError: one of them is missing, or there is no such extra.
    """
    packages = _packages()
    if extra not in packages:
        raise ConfigError(
            f"{experiment} requires the extra '{extra}', which expkit does not have.", did_you_mean(extra, packages)
        )
    missing = [name for name in packages[extra] if not _is_installed(name)]
    if missing:
        raise ConfigError(
            f"{experiment} needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed.",
            f"Install the extra: pip install 'expkit[{extra}]'",
        )


@cache
def _packages() -> dict[str, list[str]]:
    """The packages of every extra, as expkit's own metadata say."""
    found: dict[str, list[str]] = {}
    for line in metadata.requires("expkit") or ():
        if extra := re.search(r"""extra\s*==\s*['"]([\w-]+)['"]""", line):
            name = re.match(r"[\w.-]+", line)
            assert name is not None
            found.setdefault(extra[1], []).append(name[0])
    return found


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
