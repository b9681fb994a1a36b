"""YAML of unknown origin: looked at piece by piece before anything is made of it.

A few lines of YAML can stand for more values than fit into memory, nest deeper than a parser's stack, or name Python
objects to be made. Nothing of the kind belongs into a configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from expkit.errors import ConfigError

LARGEST = 2**20  # bytes of a file
MOST_VALUES = 100_000  # with all that aliases repeat
DEEPEST = 50  # mappings and lists within each other
LONGEST = 10_000  # characters of one value

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map"))


def read(path: Path) -> Any:
    """What a file says, in mappings, lists and plain values.

    Raises:
        ConfigError: it cannot be read, or is no such file.
    """
    check(path)
    return _parsed(path)


def written(values: Mapping[str, Any]) -> str:
    """The text of a file that says this, in the order that it has."""
    return yaml.dump(dict(values), Dumper=DUMPER, sort_keys=False)


def check(path: Path) -> None:
    """Refuses a file that says more, or other things, than a configuration can.

    Raises:
        ConfigError: naming the file, and what is wrong with it.
    """
    _check(path, *stamp(path))


def check_text(text: str) -> None:
    """
    Raises:
        ValueError: the text is not YAML of plain values, or stands for more than a configuration can say.
    """
    try:
        _look(text)
    except yaml.YAMLError as error:
        raise ValueError(_described(error)) from error
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error


def stamp(path: Path) -> tuple[int, int]:
    """What changes when a file does: the time of its last change in nanoseconds, and its size.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        stat = path.stat()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=1024)
def _check(path: Path, mtime_ns: int, size: int) -> None:
    if size > LARGEST:
        raise ConfigError(f"{path} has {size:,} bytes; a configuration has at most {LARGEST:,}.")
    try:
        check_text(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8 (byte {error.start:,}).") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from error


def _parsed(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {_described(error)}.") from error
    except Exception as error:  # of values that their tag does not fit, such as `!!int ''`
        raise ConfigError(f"{path} has a value that is none ({type(error).__name__}: {error}).") from error


def _described(error: yaml.YAMLError) -> str:
    """What is wrong and where, in one line."""
    problem = getattr(error, "problem", None) or str(error)
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark else ""
    return f"{where}{' '.join(problem.split())}"


class _Open:
    """A mapping or a list whose end is still to come."""

    def __init__(self, anchor: str | None, is_mapping: bool) -> None:
        self.anchor = anchor
        self.is_mapping = is_mapping
        self.keys: set[str] = set()
        self.key_next = is_mapping  # whether the next piece is a key
        self.values = 1


def _look(text: str) -> None:
    """Goes through the pieces of a text, counting what it stands for with all aliases written out."""
    known: dict[str, int] = {}  # anchor: values that it stands for
    within: list[_Open] = []
    for event in yaml.parse(text, Loader=LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            _check_tag(event.tag, line)
            if within and within[-1].key_next:
                raise ValueError(f"line {line}: a key is a mapping or a list")
            if len(within) == DEEPEST:
                raise ValueError(f"line {line}: it nests more than {DEEPEST} levels deep")
            if event.anchor:
                known.pop(event.anchor, None)  # until its end, it stands for nothing
            within.append(_Open(event.anchor, isinstance(event, yaml.MappingStartEvent)))
            continue
        if isinstance(event, yaml.ScalarEvent):
            _check_tag(event.tag, line)
            if len(event.value) > LONGEST:
                raise ValueError(f"line {line}: a value has more than {LONGEST:,} characters")
            anchor, values = event.anchor, 1
            if within and within[-1].key_next:
                _check_key(event.value, within[-1], line)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in known:
                raise ValueError(f"line {line}: *{event.anchor} stands for nothing, or for what it is in")
            anchor, values = None, known[event.anchor]
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            closed = within.pop()
            anchor, values = closed.anchor, closed.values
        else:
            continue
        if anchor:
            known[anchor] = values
        if within:
            within[-1].values += values
            within[-1].key_next = within[-1].is_mapping and not within[-1].key_next
        if (within[-1].values if within else values) > MOST_VALUES:
            raise ValueError(f"line {line}: it stands for more values than {MOST_VALUES:,}")


def _check_tag(tag: str | None, line: int) -> None:
    if tag is not None and tag not in TAGS:
        raise ValueError(f"line {line}: the tag {tag} is not one of plain values")


def _check_key(key: str, mapping: _Open, line: int) -> None:
    if key in mapping.keys:
        raise ValueError(f"line {line}: the key '{key}' is there twice")
    mapping.keys.add(key)
