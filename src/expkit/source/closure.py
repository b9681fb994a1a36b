"""Which first-party code something uses, and a hash of it that only a change of code changes."""

from __future__ import annotations

import ast
import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from expkit import trust
from expkit.errors import ConfigError
from expkit.source.modules import find, parse, stamp
from expkit.source.names import import_origin, is_type_checking, package_of
from expkit.source.signatures import last_name


def closure(targets: Iterable[str]) -> dict[str, str]:
    """The first-party modules that the targets use, directly or through others, each with a hash of its code.

    An import counts wherever it is written, except under `if TYPE_CHECKING:`. Comments, formatting and docstrings do
    not count, nor does `__version__`. Installed packages other than expkit do not belong to the closure: the record
    of a run has their versions.

    Raises:
        ConfigError: a first-party target's package does not exist, or a file is not valid Python.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    waiting = deque(target for target in targets if trust.is_first_party(target))
    for target in waiting:
        if find(target.partition(".")[0]) is None:
            raise ConfigError(f"There is no module '{target.partition('.')[0]}' (asked for by _target_: {target}).")
    while waiting:
        parts = waiting.popleft().split(".")
        for end in range(1, len(parts) + 1):
            name = ".".join(parts[:end])
            if name in seen:
                continue
            seen.add(name)
            path = _own_source(name)
            if path is not None:
                found[name], imports = _read(name, path, *stamp(path))
                waiting.extend(imports)
    return dict(sorted(found.items()))


def closure_hash(targets: Iterable[str]) -> str:
    """One hash of `closure(targets)`, 32 hexadecimal digits."""
    return _digest(f"{name} {digest}" for name, digest in closure(targets).items())


def _own_source(name: str) -> Path | None:
    place = find(name) if trust.is_first_party(name) else None
    path = place.source if place else None
    installed = path is not None and {"site-packages", "dist-packages"}.intersection(path.parts)
    return None if installed and name.partition(".")[0] not in trust.LIBRARY else path


@lru_cache(maxsize=2048)
def _read(module: str, path: Path, mtime_ns: int, size: int) -> tuple[str, tuple[str, ...]]:
    tree = parse(path)
    words: list[str] = []
    _normalize(tree, words)
    return _digest(words), tuple(dict.fromkeys(_imports(tree.body, package_of(module, path))))


def _digest(words: Iterable[str]) -> str:
    return hashlib.blake2b("\n".join(words).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


NOT_CODE = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_fields: dict[type[ast.AST], list[str]] = {}


def _normalize(node: ast.AST, words: list[str]) -> None:
    """The syntax tree in words, without positions and without statements that do nothing.

    Empty fields are left out, so that the words are the same in Python versions whose trees have more fields.
    """
    kind = node.__class__
    names = _fields.get(kind)
    if names is None:
        names = _fields[kind] = [name for name in kind._fields if name not in NOT_CODE]
    words.append(kind.__name__)
    for name in names:
        value = getattr(node, name, None)
        if isinstance(value, ast.AST):
            words.append(name)
            _normalize(value, words)
        elif isinstance(value, list):
            if value:
                words.append(name)
                _normalize_list(value, words)
        elif value is not None or kind is ast.Constant:
            words.append(f"{name}={value!r}")
    words.append(")")


def _normalize_list(items: list[ast.AST | str | None], words: list[str]) -> None:
    for item in items:
        if not isinstance(item, ast.AST):
            words.append(repr(item))
        elif not _does_nothing(item):
            _normalize(item, words)
    words.append("]")


def _does_nothing(node: ast.AST) -> bool:
    """Docstrings, `pass`, and the version number, which says nothing about what code computes."""
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Assign(targets=[ast.Name(id="__version__")]):
            return True
    return False


def _imports(nodes: Iterable[ast.AST], package: str) -> Iterator[str]:
    """Every dotted name that code imports, at any depth."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = import_origin(node, package)
            yield from (origin if alias.name == "*" else f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and is_type_checking(node.test):
            yield from _imports(node.orelse, package)
        elif isinstance(node, ast.expr):
            yield from _imported_by_call(node)
        else:
            yield from _imports(ast.iter_child_nodes(node), package)


def _imported_by_call(expression: ast.expr) -> Iterator[str]:
    for node in ast.walk(expression):
        if isinstance(node, ast.Call) and last_name(node) in ("import_module", "__import__"):
            yield from (a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))
