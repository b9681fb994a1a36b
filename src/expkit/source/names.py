"""What a dotted name leads to: the definition of a class or a function, through imports and re-exports."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from expkit import library, trust
from expkit.errors import ConfigError, did_you_mean
from expkit.source.modules import Place, find, find_top_level, parse, stamp

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Definition:
    """Where a class or a function is defined."""

    module: str
    qualname: str
    path: Path
    kind: Literal["class", "function"]
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef = field(repr=False, compare=False)

    @property
    def dotted(self) -> str:
        return f"{self.module}.{self.qualname}"


def resolve(target: str) -> Definition:
    """Where the class or function that a `_target_` leads to is defined.

    Raises:
        ConfigError: there is no such module or name, or it leads to code that a configuration may not name.
    """
    if not isinstance(target, str) or "." not in target or not all(part.isidentifier() for part in target.split(".")):
        raise ConfigError(f"{target!r} is not a dotted name.", "Write package.module.Class.")
    if not trust.is_trusted(target):
        raise trust.refusal(target, target)
    try:
        found = follow(target)
    except Unresolved as error:
        raise ConfigError(error.message, error.hint) from error
    if isinstance(found, str):
        raise trust.refusal(target, found)
    if not trust.is_piece(found.module):
        raise trust.no_piece(target, found.dotted)
    if not trust.is_first_party(found.module) and not _is_building_block(found):
        raise trust.no_building_block(target, found.dotted)
    return found


def lineage(definition: Definition) -> Iterator[Definition | str]:
    """A definition, then the classes it derives from, in the order in which Python looks names up.

    Where source is not followed (outside trusted packages, and from the bases in `trust.BASES` on), the dotted name.
    """
    yield definition
    if definition.kind == "class":
        yield from _ancestors(definition)


def meaning(module: str, name: str, seen: frozenset[str] = frozenset()) -> Definition | tuple[str, ast.expr] | None:
    """What a name stands for where it is used in a first-party module.

    Returns:
        A first-party definition; or an expression that is assigned to it with the module where that is; or None.
    """
    head, *rest = name.split(".")
    names = names_in(module) if trust.is_first_party(module) else None
    bound = names.bound.get(head) if names else None
    if isinstance(bound, str) and bound not in seen:
        package, _, last = ".".join([bound, *rest]).rpartition(".")
        return meaning(package, last, seen | {bound})
    if isinstance(bound, ast.expr):
        return module, bound
    if isinstance(bound, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        try:
            found = follow(f"{module}.{name}")
        except Unresolved:
            return None
        return found if isinstance(found, Definition) else None
    return None


class Unresolved(Exception):
    """A dotted name leads nowhere; `message` says at which part, `hint` what there is instead."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def follow(dotted: str, stop: frozenset[str] = frozenset(), seen: frozenset[str] = frozenset()) -> Definition | str:
    """The definition of a dotted name; or where it leads, if that is outside the trusted packages or in `stop`.

    Raises:
        Unresolved: it leads nowhere.
    """
    parts = dotted.split(".")
    if dotted in stop or not (trust.is_trusted(dotted) or trust.may_hold_first_party(parts[0])):
        return dotted
    if dotted in seen:
        raise Unresolved(f"'{dotted}' is imported in a circle.")
    name, place = parts[0], find_top_level(parts[0])
    if place is None:
        raise Unresolved(f"There is no module '{name}'.", _where_it_was_sought(name))
    # A submodule is tried before a name in the package, except for the last part: so large packages need not be read.
    depth = 1
    while depth < len(parts) - 1 and (child := place.child(parts[depth])):
        name, place, depth = f"{name}.{parts[depth]}", child, depth + 1
    return _attribute(name, place, parts[depth:], stop, seen | {dotted})


def _attribute(
    module: str, place: Place, rest: list[str], stop: frozenset[str], seen: frozenset[str]
) -> Definition | str:
    names = names_in(module)
    if names is None or not rest:
        raise _not_found(module, place, names, rest)
    head, *tail = rest
    bound = names.bound.get(head)
    if isinstance(bound, str) and bound not in seen and bound != f"{module}.{head}":
        return follow(".".join([bound, *tail]), stop, seen)
    if isinstance(bound, ast.ClassDef):
        return _nested(module, names.path, bound, tail)
    if isinstance(bound, Function) and not tail:
        return Definition(module, head, names.path, "function", bound)
    if isinstance(bound, ast.expr) and (alias := dotted_name(bound)):
        first = alias.partition(".")[0]
        if first in names.bound and first != head:
            return follow(".".join([module, alias, *tail]), stop, seen)
    if bound is None:
        for star in reversed(names.stars):
            if _exports(star, head):
                return follow(".".join([star, head, *tail]), stop, seen)
    raise _not_found(module, place, names, rest)


def _nested(module: str, path: Path, node: ast.ClassDef, tail: list[str]) -> Definition:
    qualname = node.name
    for part in tail:
        inner = next((s for s in node.body if isinstance(s, ast.ClassDef) and s.name == part), None)
        if inner is None:
            raise Unresolved(f"{module}.{qualname} has no class '{part}' in it.", "Name a class or a function.")
        node, qualname = inner, f"{qualname}.{part}"
    return Definition(module, qualname, path, "class", node)


def _is_building_block(definition: Definition) -> bool:
    return definition.kind == "class" and any(
        (owner if isinstance(owner, str) else owner.dotted) in trust.BASES for owner in lineage(definition)
    )


def _ancestors(definition: Definition) -> list[Definition | str]:
    found: list[Definition | str] = []
    for base in _bases(definition):
        found += [base, *(_ancestors(base) if isinstance(base, Definition) else [])]
    return [owner for index, owner in enumerate(found) if owner not in found[index + 1 :]]


def _bases(definition: Definition) -> Iterator[Definition | str]:
    assert isinstance(definition.node, ast.ClassDef)
    names = names_in(definition.module)
    for node in definition.node.bases:
        name = dotted_name(node.value if isinstance(node, ast.Subscript) else node)
        if name is None:
            yield ast.unparse(node)
        elif names is None or (name.partition(".")[0] not in names.bound and not names.stars):
            yield name  # of Python itself, such as `object`
        else:
            try:
                yield follow(f"{definition.module}.{name}", trust.BASES)
            except Unresolved:
                yield name


@dataclass(frozen=True)
class Names:
    """The names that a module binds: to a definition, to another dotted name (an import), or to an expression."""

    path: Path
    bound: dict[str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.expr | str]
    stars: list[str]  # modules of `from x import *`
    exported: frozenset[str] | None  # __all__, if it is a literal

    def offered(self) -> set[str]:
        """What one would name in a `_target_`: the module's own definitions, and a package's re-exports."""
        if self.exported:
            return set(self.exported)
        kinds = (ast.expr,) if self.path.name == "__init__.py" else (ast.expr, str)
        own = {n for n, what in self.bound.items() if not isinstance(what, kinds) and not n.startswith("_")}
        return own.union(*(inner.exported or () for star in self.stars if (inner := names_in(star))))


def names_in(module: str) -> Names | None:
    """The names of a module, or None where there is no source."""
    place = find(module)
    if place is None or place.source is None:
        return None
    return _names_in(module, place.source, *stamp(place.source))


@lru_cache(maxsize=512)
def _names_in(module: str, path: Path, mtime_ns: int, size: int) -> Names:
    tree = parse(path)
    names = Names(path, {}, [], _literal_all(tree))
    _bind(tree.body, package_of(module, path), names)
    return names


def _bind(body: Iterable[ast.stmt], package: str, names: Names, alternative: bool = False) -> None:
    """Adds what statements bind. In an alternative (`else`, `except`), what is bound already stays."""

    def bind(name: str, what: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.expr | str) -> None:
        before = names.bound.get(name)
        replaces = not isinstance(what, ast.expr) or isinstance(before, ast.expr)
        if before is None or (replaces and not alternative):
            names.bound[name] = what

    for statement in body:
        match statement:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                bind(statement.name, statement)
            case ast.Import(names=aliases):
                for alias in aliases:
                    top = alias.name.partition(".")[0]
                    bind(alias.asname or top, alias.name if alias.asname else top)
            case ast.ImportFrom(names=aliases):
                origin = import_origin(statement, package)
                for alias in aliases:
                    if alias.name == "*":
                        names.stars.append(origin)
                    else:
                        bind(alias.asname or alias.name, f"{origin}.{alias.name}")
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Name):
                        bind(target.id, value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                bind(name, value)
            case ast.If():
                if not is_type_checking(statement.test):
                    _bind(statement.body, package, names, alternative)
                _bind(statement.orelse, package, names, alternative=True)
            case ast.Try():
                _bind([*statement.body, *statement.orelse], package, names, alternative)
                for handler in statement.handlers:
                    _bind(handler.body, package, names, alternative=True)
                _bind(statement.finalbody, package, names, alternative)
            case ast.With():
                _bind(statement.body, package, names, alternative)


def package_of(module: str, path: Path) -> str:
    """The package that relative imports in a module start from."""
    return module if path.name == "__init__.py" else module.rpartition(".")[0]


def import_origin(statement: ast.ImportFrom, package: str) -> str:
    """The module that `from ... import` names, written in a module of `package`."""
    if not statement.level:
        return statement.module or ""
    parts = package.split(".")
    parts = parts[: len(parts) - (statement.level - 1)]
    return ".".join([*parts, statement.module] if statement.module else parts)


def is_type_checking(test: ast.expr) -> bool:
    """Whether a condition is `TYPE_CHECKING`, which never holds when code runs."""
    return (dotted_name(test) or "").rpartition(".")[2] == "TYPE_CHECKING"


def dotted_name(node: ast.expr) -> str | None:
    """`a.b.c` of an expression that is only that."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted_name(node.value)):
        return f"{before}.{node.attr}"
    return None


def _literal_all(tree: ast.Module) -> frozenset[str] | None:
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=names) | ast.Tuple(elts=names)):
                return frozenset(n.value for n in names if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return None


def _exports(module: str, name: str, seen: frozenset[str] = frozenset()) -> bool:
    names = names_in(module)
    if names is None or module in seen:
        return False
    if names.exported is not None:
        return name in names.exported
    return not name.startswith("_") and (
        name in names.bound or any(_exports(star, name, seen | {module}) for star in names.stars)
    )


def _not_found(module: str, place: Place, names: Names | None, rest: list[str]) -> Unresolved:
    full = ".".join([module, *rest])
    if find(full) is not None:
        inner = names_in(full)
        classes = [f"{full}.{name}" for name in sorted(inner.offered())[:12]] if inner else []
        return Unresolved(f"'{full}' is a module.", f"Name a class in it: {', '.join(classes)}." if classes else None)
    head = rest[0]
    bound = names.bound.get(head) if names else None
    if isinstance(bound, Function):
        return Unresolved(f"{module}.{head} is a function and has no '{rest[1]}'.", "Name the function itself.")
    if isinstance(bound, ast.expr):
        return Unresolved(f"{module}.{head} is a value, not a class or a function.", "Name a class or a function.")
    if len(rest) > 1:
        return Unresolved(f"There is no module '{module}.{head}'.", did_you_mean(head, place.submodules()))
    known = names.offered() if names else set()
    other_case = [name for name in known if name.lower() == head.lower()]
    return Unresolved(f"{module} has no '{head}'.", did_you_mean(head, other_case or known or place.submodules()))


def _where_it_was_sought(name: str) -> str:
    if name in trust.THIRD_PARTY:
        return f"Install the package '{name}'."
    return f"Sought among the installed packages and in {', '.join(map(str, library.code_folders()))}."
