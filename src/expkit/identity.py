"""The run id: a hash of what a run computes, i.e. of its configuration and of the source of the pieces it uses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from expkit import source

NOT_HASHED = ("name", "paths", "logger", "tags", "paper", "study", "scale", "scales", "requires", "sweep")
"""Top-level keys that say where a run's results go or how it is described, not what it computes."""


def run_id(config: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits: the same for the same computation, whatever launched it and wherever it is kept."""
    computed = {key: value for key, value in config.items() if key not in NOT_HASHED}
    text = json.dumps(computed, sort_keys=True, allow_nan=True)
    # An engine carries out a run and has no part in what it computes: engines agree, and tests see to it.
    pieces = {key: value for key, value in computed.items() if key != "trainer"}
    code = source.closure_hash(sorted(set(targets(pieces))))
    return _digest(text, code)


def run_ids(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """`run_id` of each configuration; quicker for many that share parts, which must not be changed meanwhile."""
    parts: dict[tuple[str, int], tuple[str, frozenset[str]]] = {}  # key and id of a value: its text, its targets
    codes: dict[frozenset[str], str] = {}
    return [_run_id(config, parts, codes) for config in configs]


def _run_id(
    config: Mapping[str, Any],
    parts: dict[tuple[str, int], tuple[str, frozenset[str]]],
    codes: dict[frozenset[str], str],
) -> str:
    texts, used = [], frozenset[str]()
    for key in sorted(config.keys() - NOT_HASHED):
        value = config[key]
        if not isinstance(value, dict | list):  # may be made and thrown away, so its id may come again
            texts.append(f"{json.dumps(key)}: {json.dumps(value)}")
            continue
        part = key, id(value)
        if part not in parts:
            named = frozenset(targets(value)) if key != "trainer" else frozenset[str]()
            parts[part] = f"{json.dumps(key)}: {json.dumps(value, sort_keys=True, allow_nan=True)}", named
        text, named = parts[part]
        texts.append(text)
        used |= named
    if used not in codes:
        codes[used] = source.closure_hash(sorted(used))
    return _digest(f"{{{', '.join(texts)}}}", codes[used])


def _digest(text: str, code: str) -> str:
    return hashlib.blake2b(f"{text}\n{code}".encode(), digest_size=6).hexdigest()


def targets(node: Any) -> Iterator[str]:
    """Every `_target_` in a configuration."""
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)
