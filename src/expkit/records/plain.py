"""A configuration as a flat mapping: every plain value by its dotted name, as in the columns of `runs()`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import yaml

from expkit import library, yaml_files
from expkit.identity import NOT_HASHED

Plain = bool | int | float | str | None

LEFT_OUT = frozenset({*NOT_HASHED, "hydra"} - {"tags"})
SMALL = 1000  # characters


def plain_values(text: str, choices: Mapping[str, str]) -> dict[str, Plain]:
    """The plain values of a config.yaml by dotted name, and `<group>.name`: the option that was chosen of each group.

    Lists become text, as in "[0.9, 0.999]". What says where a run is recorded or how it is described is left out.
    Thousands of runs share most top-level blocks of their files, so each block is parsed once.

    Args:
        text: of the file.
        choices: options known to have been chosen, by group; others are found by their contents.

    Raises:
        ValueError: it is not a configuration.
    """
    values: dict[str, Plain] = {}
    for block in _blocks(text):
        key = block.partition(":")[0]
        if key not in LEFT_OUT:
            values.update(_block_values(block, choices.get(key)))
    return values


def chosen(overrides: list[str]) -> dict[str, str]:
    """The options that overrides such as `data=wine` choose."""
    pairs = (override.lstrip("+").partition("=") for override in overrides if isinstance(override, str))
    return {key: value for key, _, value in pairs if key.isidentifier() and value.isidentifier()}


def _blocks(text: str) -> list[str]:
    """The top-level entries of a file as `yaml.safe_dump` writes it, each a document of its own."""
    if re.search(r"(?m)[:-] [&*]|^[?%'\"{#]|^---", text):  # anchors, and other things that blocks may share
        config = _load(text)
        return yaml.safe_dump_all([{key: value} for key, value in config.items()]).split("\n---\n")
    return re.split(r"\n(?=[^\s-])", text)


@lru_cache(maxsize=1 << 16)
def _block_values(block: str, choice: str | None) -> dict[str, Plain]:
    (key, value), *_ = _load(block.removeprefix("---\n")).items()
    values = dict(_flat(str(key), value))
    if isinstance(value, dict) and "_target_" in value and "name" not in value:
        values[f"{key}.name"] = choice or _closest_option(str(key), values)
    return values


def _load(text: str) -> dict[str, Any]:
    if len(text) > SMALL or "*" in text:  # else it can neither nest deeply nor stand for more than it has
        yaml_files.check_text(text)
    try:
        value = yaml.load(text, Loader=yaml_files.LOADER)
    except Exception as error:  # YAML's, and others of values that their tag does not fit
        raise ValueError(str(error)) from error
    if not isinstance(value, dict) or not value:
        raise ValueError("not a mapping")
    return value


def _flat(name: str, value: Any) -> Iterator[tuple[str, Plain]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(f"{name}.{key}", item)
    elif isinstance(value, list):
        yield name, str(value)
    else:
        yield name, value if isinstance(value, bool | int | float | str) or value is None else str(value)


def _closest_option(group: str, values: Mapping[str, Plain]) -> str:
    """The option of a group that builds the same class and differs in the fewest values; else the class's name."""
    target = values[f"{group}._target_"]
    found = [
        (sum(values.get(key) != value for key, value in option.items() if "${" not in str(value)), len(name), name)
        for name, option in _options(group).items()
        if option.get(f"{group}._target_") == target
    ]
    return min(found)[2] if found else str(target).rpartition(".")[2]


@lru_cache
def _options(group: str) -> dict[str, dict[str, Plain]]:
    options = {}
    for folder in reversed(library.config_folders()):
        for path in (folder / group).glob("*.yaml"):
            try:
                options[path.stem] = dict(_flat(group, _load(path.read_text())))
            except (OSError, ValueError):
                continue
    return options
