"""The arguments of a class or a function, and literal class attributes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from expkit import trust
from expkit.errors import ConfigError
from expkit.source.names import Definition, Function, Unresolved, dotted_name, follow, lineage

ARGUMENTLESS = frozenset(
    {
        "object",
        "torch.nn.modules.module.Module",  # its *args and **kwargs are refused when they are given
        "torch.utils.data.dataset.Dataset",
        "lightning.pytorch.callbacks.callback.Callback",
        "lightning.pytorch.core.datamodule.LightningDataModule",
        "lightning.pytorch.core.module.LightningModule",
    }
)
WITHOUT_CONSTRUCTOR = frozenset({"abc.ABC", "typing.Generic", "typing.Protocol"})


@dataclass(frozen=True)
class Parameter:
    """An argument that can be given by name."""

    name: str
    annotation: ast.expr | None
    default: ast.expr | None
    keyword_only: bool
    module: str  # where it is written, and where the names in its annotation are to be looked up

    @property
    def required(self) -> bool:
        return self.default is None


@dataclass(frozen=True)
class Signature:
    """The arguments of a class or a function; `open` if others than these may be accepted as well."""

    parameters: dict[str, Parameter]
    open: bool = False


def signature(definition: Definition) -> Signature:
    """The arguments of a function, or those that a class is constructed with.

    `__init__` is looked up through base classes; a `**kwargs` that is only passed on to `super().__init__` stands for
    the arguments of the base class; the fields of a dataclass are its arguments.
    """
    if isinstance(definition.node, ast.ClassDef):
        return _constructor(lineage(definition))
    return _arguments(definition.node, definition.module, bound=False)


def class_literal(definition: Definition, name: str) -> Any:
    """The value of a class attribute that is written as a literal, such as `accepts = ("vector", "signal")`.

    Returns:
        None where neither the class nor a first-party base has such an attribute.

    Raises:
        ConfigError: the attribute is not a literal.
    """
    for owner in lineage(definition):
        if isinstance(owner, str) or not trust.is_first_party(owner.module):
            continue
        for statement in owner.node.body:
            value = _assigned(statement, name)
            if value is None:
                continue
            try:
                return ast.literal_eval(value)
            except ValueError:
                raise ConfigError(
                    f"{owner.path}, line {statement.lineno}: {owner.qualname}.{name} is not a literal.",
                    f"It is read without running the code, so write its value out: {name} = (...).",
                ) from None
    return None


def _assigned(statement: ast.stmt, name: str) -> ast.expr | None:
    match statement:
        case ast.Assign(targets=[ast.Name(id=given)], value=value) if given == name:
            return value
        case ast.AnnAssign(target=ast.Name(id=given), value=value) if given == name:
            return value
    return None


def _constructor(owners: Iterator[Definition | str]) -> Signature:
    """The arguments of the first of these classes that has a constructor."""
    for owner in owners:
        if isinstance(owner, str):
            if owner in WITHOUT_CONSTRUCTOR:
                continue
            return _constructor_elsewhere(owner)
        if isinstance(owner.node, ast.ClassDef):
            methods = {s.name: s for s in owner.node.body if isinstance(s, Function)}
            if method := methods.get("__init__") or methods.get("__new__"):
                return _with_passed_on(method, _arguments(method, owner.module, bound=True), owners)
            if _is_dataclass(owner.node):
                return _fields([owner, *owners])
            if owner.dotted in ARGUMENTLESS:
                return Signature({})
    return Signature({})


def _constructor_elsewhere(dotted: str) -> Signature:
    if dotted in ARGUMENTLESS:
        return Signature({})
    try:
        found = follow(dotted) if trust.is_trusted(dotted) else dotted
    except Unresolved:
        return Signature({}, open=True)
    return signature(found) if isinstance(found, Definition) else Signature({}, open=True)


def _arguments(function: ast.FunctionDef | ast.AsyncFunctionDef, module: str, bound: bool) -> Signature:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    by_position = [Parameter(a.arg, a.annotation, d, False, module) for a, d in zip(positional, defaults, strict=True)]
    by_name = [
        Parameter(a.arg, a.annotation, d, True, module)
        for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    nameable = [*by_position[max(len(given.posonlyargs), bound) :], *by_name]
    return Signature({p.name: p for p in nameable}, open=given.kwarg is not None)


def _with_passed_on(
    method: ast.FunctionDef | ast.AsyncFunctionDef, own: Signature, owners: Iterator[Definition | str]
) -> Signature:
    """Adds the arguments of the base class where `**kwargs` goes to `super().__init__` and nowhere else."""
    if method.args.kwarg is None:
        return own
    name = method.args.kwarg.arg
    nodes = [node for statement in method.body for node in ast.walk(statement)]
    uses = sum(isinstance(node, ast.Name) and node.id == name for node in nodes)
    calls = [node for node in nodes if isinstance(node, ast.Call) and _passes_on(node, name)]
    if uses != 1 or len(calls) != 1:
        return own
    base = _constructor(owners)
    by_position = list(takewhile(lambda argument: not isinstance(argument, ast.Starred), calls[0].args))
    taken = {k.arg for k in calls[0].keywords} | set(list(base.parameters)[: len(by_position)])
    passed_on = {n: p for n, p in base.parameters.items() if n not in taken and n not in own.parameters}
    return Signature({**own.parameters, **passed_on}, open=base.open)


def _passes_on(call: ast.Call, kwargs: str) -> bool:
    match call.func:
        case ast.Attribute(attr="__init__", value=ast.Call(func=ast.Name(id="super"))):
            return any(k.arg is None and isinstance(k.value, ast.Name) and k.value.id == kwargs for k in call.keywords)
    return False


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any(last_name(decorator) == "dataclass" for decorator in node.decorator_list)


def last_name(node: ast.expr) -> str:
    """`c` of `a.b.c`, `a.b.c(...)` and `a.b.c[...]`; '' of anything else."""
    if isinstance(node, ast.Call):
        node = node.func
    elif isinstance(node, ast.Subscript):
        node = node.value
    return (dotted_name(node) or "").rpartition(".")[2]


def _fields(owners: list[Definition | str]) -> Signature:
    parameters: dict[str, Parameter] = {}
    for owner in reversed(owners):
        if isinstance(owner, str) or not isinstance(owner.node, ast.ClassDef) or not _is_dataclass(owner.node):
            continue
        keyword_only = any(_option(decorator, "kw_only") == "True" for decorator in owner.node.decorator_list)
        for statement in owner.node.body:
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                continue
            keyword_only |= last_name(statement.annotation) == "KW_ONLY"
            if (
                last_name(statement.annotation) in ("KW_ONLY", "ClassVar")
                or _option(statement.value, "init") == "False"
            ):
                continue
            name = statement.target.id
            parameters[name] = Parameter(name, statement.annotation, _default(statement), keyword_only, owner.module)
    return Signature(parameters)


def _option(call: ast.expr | None, name: str) -> str | None:
    if not isinstance(call, ast.Call):
        return None
    return next((ast.unparse(k.value) for k in call.keywords if k.arg == name), None)


def _default(statement: ast.AnnAssign) -> ast.expr | None:
    value = statement.value
    if isinstance(value, ast.Call) and last_name(value) == "field":
        return next((k.value for k in value.keywords if k.arg in ("default", "default_factory")), None)
    return value
