"""One composition by Hydra, from which the configurations of jobs are made that differ in values of existing keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from expkit import compose, schema
from expkit.errors import ConfigError
from expkit.source.annotations import MISSING, Type
from expkit.sweeps.overrides import Setting, overlap

Path = tuple[str | int, ...]  # the keys and indices on the way
Settings = tuple[Setting, ...]


class Frame:
    """Configurations with the same keys and group options, and different values of some keys.

    Args:
        config: what Hydra composed for one of the jobs, interpolations unresolved; it is changed in place.
        chosen: the option of each group.
        keys: those whose values differ between jobs; each exists, and none is inside another.
    """

    def __init__(self, config: DictConfig, chosen: Mapping[str, Any], keys: Sequence[str]) -> None:
        self.choices = compose.named(config, chosen)
        self._config = config
        self._keys = keys
        self._parts = parts(OmegaConf.to_container(config), keys)
        self._base: dict[str, Any] | None = None
        self._base_problems: dict[str, list[schema.Problem]] = {}
        self._failures: dict[Settings, ConfigError] = {}
        self._changes: dict[Settings, list[tuple[Path, Any]]] = {}
        self._branches: dict[tuple[str, Settings], tuple[Any, list[schema.Problem]]] = {}
        self._fits: dict[tuple[int, ...], list[schema.Problem]] = {}
        self._types: dict[Path, Type | None] = {}
        self._kept: list[Any] = []

    def config(self, settings: Mapping[str, Setting]) -> dict[str, Any] | ConfigError:
        """The resolved and checked configuration with these values; it shares with others what does not differ.

        What cannot be run gives the error that `expkit.compose.compose` raises.
        """
        decisive = tuple(settings[key] for part in self._parts if part.computed for key in part.keys)
        if decisive in self._failures:
            return self._failures[decisive]
        try:
            if self._base is None:
                self._begin(settings)
            made, found = self._made(settings)
        except ConfigError as error:  # an interpolation cannot be resolved, because of these values or of any
            self._failures[decisive] = error
            return error
        try:
            compose.check_top_level_values(made)
        except ConfigError as error:
            return error
        if not found or schema.may_fit(found):
            found = [*found, *self._fit(made)]
        return schema.one_error(found) if found else made

    def _begin(self, settings: Mapping[str, Setting]) -> None:
        base = self._resolved(settings)
        compose.check_top_level_keys(base)
        self._base_problems = {key: self._problems(key, value) for key, value in base.items()}
        self._base = base

    def _resolved(self, settings: Mapping[str, Setting]) -> dict[str, Any]:
        for key in self._keys:
            OmegaConf.update(self._config, key, settings[key].value)
        return compose.resolved(self._config, self.choices)

    def _made(self, settings: Mapping[str, Setting]) -> tuple[dict[str, Any], list[schema.Problem]]:
        assert self._base is not None
        made = dict(self._base)
        problems = self._base_problems
        for key, touching in self._touching.items():
            branch = (key, tuple(settings[name] for part in touching for name in part.keys))
            if branch not in self._branches:
                try:
                    self._branches[branch] = self._branch(key, touching, settings)
                except OmegaConfBaseException:
                    made = self._resolved(settings)  # says what is wrong
                    return made, schema.problems(made, self.choices)
            made[key], found = self._branches[branch]
            if found is not problems[key]:
                problems = {**problems, key: found}
        return made, [problem for found in problems.values() for problem in found] if any(problems.values()) else []

    @cached_property
    def _touching(self) -> dict[str, list[Part]]:
        """The parts that change something below each top-level key; keys with none are left out."""
        keys = dict.fromkeys(str(path[0]) for part in self._parts for path in part.paths)
        return {key: [part for part in self._parts if any(path[0] == key for path in part.paths)] for key in keys}

    def _branch(
        self, key: str, touching: list[Part], settings: Mapping[str, Setting]
    ) -> tuple[Any, list[schema.Problem]]:
        """The value of a top-level key, and what is wrong with it."""
        assert self._base is not None
        changes = [change for part in touching for change in self._changed(part, settings) if change[0][0] == key]
        before = self._base[key]
        value = before
        for path, new in changes:
            value = _with(value, path[1:], new)
        if not self._base_problems[key] and all(self._fits_argument(before, path, new) for path, new in changes):
            return value, self._base_problems[key]
        return value, self._problems(key, value)

    def _changed(self, part: Part, settings: Mapping[str, Setting]) -> list[tuple[Path, Any]]:
        values = tuple(settings[key] for key in part.keys)
        if values not in self._changes:
            self._changes[values] = list(self._evaluated(part, values))
        return self._changes[values]

    def _evaluated(self, part: Part, values: Settings) -> Iterator[tuple[Path, Any]]:
        if not part.computed:
            yield from ((path, values[0].value) for path in part.paths)
            return
        for setting in values:
            OmegaConf.update(self._config, setting.key, setting.value)
        for path in part.paths:
            node: Any = self._config
            for name in path:
                node = node[name]
            yield path, OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node

    def _problems(self, key: str, value: Any) -> list[schema.Problem]:
        return list(schema.problems_below(key, value, self.choices))

    def _fits_argument(self, node: Any, path: Path, value: Any) -> bool:
        """Whether a value is right as an argument of a `_target_` that was right before; False also if in doubt."""
        if isinstance(value, dict | list) or value == MISSING or schema.oddity(value):
            return False
        if len(path) == 1:
            return not isinstance(node, dict | list)
        if len(path) != 2 or not isinstance(node, dict) or path[1] == "_target_" or "_target_" not in node:
            return False
        if path not in self._types:
            self._types[path] = schema.argument_type(node["_target_"], str(path[1]))
        wanted = self._types[path]
        return wanted is not None and wanted.accepts(value)

    def _fit(self, config: dict[str, Any]) -> list[schema.Problem]:
        data, model, task = (config.get(group) for group in ("data", "model", "task"))
        # Of the data, its class and its spec decide whether model and task go with it.
        read = (data.get("_target_"), data.get("spec"), model, task) if isinstance(data, dict) else (data, model, task)
        key = tuple(map(id, read))
        if key not in self._fits:
            self._fits[key] = list(schema.problems_of_fit(config, self.choices))
            self._kept.append(read)  # so that no other object gets the same id
        return self._fits[key]


class Part:
    """Keys that decide together what stands at some paths, and do so alone.

    Args:
        keys: in the order of the frame.
        paths: those of the keys, and of every value that depends on them.
        computed: whether there are values that are not just the one key's.
    """

    def __init__(self, keys: tuple[str, ...], paths: list[Path], computed: bool) -> None:
        self.keys, self.paths, self.computed = keys, paths, computed


def parts(config: Any, keys: Sequence[str]) -> list[Part]:
    """Divides keys by what depends on them; `config` is plain, with interpolations as text."""
    nodes = list(_interpolations(config, ()))
    merged: list[tuple[set[str], dict[Path, None], bool]] = []
    for key in keys:
        paths, computed = _dependents(key, nodes)
        names = {key}
        apart = []
        for others, other_paths, other_computed in merged:
            if paths.keys() & other_paths.keys():
                names, paths, computed = names | others, {**other_paths, **paths}, True
            else:
                apart.append((others, other_paths, other_computed))
        merged = [*apart, (names, paths, computed)]
    return [
        Part(tuple(key for key in keys if key in names), list(paths), computed) for names, paths, computed in merged
    ]


def _dependents(key: str, nodes: list[tuple[Path, str]]) -> tuple[dict[Path, None], bool]:
    """The paths that change with a key, its own included; and whether one of them is more than a copy of it."""
    changed: dict[Path, None] = {tuple(key.split(".")): None}
    copies = {key}
    before = 0
    while before < len(changed):
        before = len(changed)
        for path, text in nodes:
            used = references(absolute(text, path))
            if used is None or any(overlap(each, _dotted(other)) for each in used for other in changed):
                changed[path] = None
            if COPY.fullmatch(text) and used and used[0] in copies:
                copies.add(_dotted(path))
    return changed, copies != set(map(_dotted, changed))


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


COPY = re.compile(r"\$\{[A-Za-z_]\w*(\.\w+)*\}")
REFERENCE = re.compile(r"\$\{\s*([A-Za-z_]\w*(?:\.\w+)*)\s*([:}])")
SELECTED = re.compile(r"\$\{\s*oc\.select\s*:\s*([A-Za-z_]\w*(?:\.\w+)*)\s*[,}]")
RESOLVERS = frozenset({"oc.select", "oc.env", "product", "sum"})


def references(text: str) -> list[str] | None:
    """The keys that an interpolation reads; None if that cannot be told: it may be any.

    Relative keys (see `absolute`), keys that are themselves interpolated, and resolvers that are not known here may
    read anything.
    """
    found = REFERENCE.findall(text)
    resolvers = [name for name, end in found if end == ":"]
    selected = SELECTED.findall(text)
    if len(found) != text.count("${") or resolvers.count("oc.select") != len(selected):
        return None
    if not RESOLVERS.issuperset(resolvers):
        return None
    return [*(name for name, end in found if end == "}"), *selected]


def absolute(text: str, path: Path) -> str:
    """An interpolation with relative keys as those that they stand for.

    Args:
        text: of the interpolation.
        path: of the value that it is: one dot is the mapping or list that holds it, each further dot one level up.
    """

    def replaced(found: re.Match[str]) -> str:
        up = len(found[2])
        return f"{found[1]}{_dotted((*path[:-up], found[3]))}" if up <= len(path) else found[0]

    return RELATIVE.sub(replaced, text)


RELATIVE = re.compile(r"(\$\{\s*(?:oc\.select\s*:\s*)?)(\.+)([A-Za-z_][\w.]*)")


def _interpolations(node: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _interpolations(value, (*path, key))
    elif isinstance(node, str) and "${" in node:
        yield path, node


def _with(node: Any, path: Path, value: Any) -> Any:
    """A copy of a node in which another value stands at a path; it shares the rest."""
    if not path:
        return value
    copy = node.copy()
    copy[path[0]] = _with(node[path[0]], path[1:], value)
    return copy
