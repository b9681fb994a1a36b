"""What an override sets, if it does no more than give a key of the configuration a value."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType, ValueType
from hydra.errors import HydraException

from expkit import compose

KEY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?")


@dataclass(frozen=True, eq=False)
class Setting:
    """A key and the value that an override gives it: a number, text, true, false, null, or a list of such.

    A setting equals only itself, so that it can stand for its value in the key of a cache.
    """

    override: str
    key: str
    value: Any

    @property
    def slot(self) -> tuple[str, bool]:
        """What is alike in overrides that can take each other's place: the key, and whether the value is a list."""
        return self.key, isinstance(self.value, list)


def setting(override: str, groups: Collection[str]) -> Setting | None:
    """The setting that an override is.

    None for everything whose effect depends on more than its key: choices of groups, `+` and `~`, mappings (they are
    merged), interpolations, values missing or swept, keys of Hydra's own; `name`, whose default is computed; and for
    what is not an override at all.
    """
    key, equals, text = override.partition("=")
    if not equals or not KEY.fullmatch(key) or key == "name" or key.partition(".")[0] == "hydra" or key in groups:
        return None
    number = NUMBER.fullmatch(text)
    if number is not None:  # Hydra's parser reads it alike, and takes 0.1 ms: a second for 10,000 values
        return Setting(override, key, float(text) if number[1] or number[2] else int(text))
    try:
        parsed = _parser().parse_override(override)
    except HydraException:
        return None
    if parsed.type is not OverrideType.CHANGE or parsed.value_type is not ValueType.ELEMENT or parsed.package:
        return None
    value = parsed.value()
    return Setting(override, key, value) if _is_plain(value) else None


def overlap(one: str, other: str) -> bool:
    """Whether two keys are the same, or one is inside the other."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, str):
        return "${" not in value and value != "???"
    return value is None or isinstance(value, bool | int | float)


@cache
def _parser() -> OverridesParser:
    compose.loader()  # Hydra's set-up
    return OverridesParser.create()
