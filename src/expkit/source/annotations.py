"""What an annotated argument accepts from a configuration, whose values are numbers, text, null, lists and mappings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from expkit.errors import did_you_mean
from expkit.source.names import Definition, dotted_name, meaning
from expkit.source.signatures import Parameter, last_name

Kind = Literal[
    "any", "none", "bool", "int", "float", "str", "object", "literal", "list", "tuple", "dict", "keys", "union"
]


@dataclass(frozen=True)
class Type:
    """A type, as far as it says something of a configuration's values.

    'object' is what only a `_target_` gives; 'keys' a mapping with known keys; 'any' is not checked.
    """

    kind: Kind
    items: tuple[Type, ...] = ()
    values: tuple[Any, ...] = ()  # of a literal; the keys of 'keys'

    def accepts(self, value: Any) -> bool:
        return next(mismatches(self, value), None) is None

    def __str__(self) -> str:
        match self.kind:
            case "list":
                return f"a list of {_plural(self.items[0])}"
            case "tuple":
                return f"a list of {len(self.items)} values"
            case "literal":
                return _either([_written(value) for value in self.values])
            case "union":
                return _either(dict.fromkeys(str(item) for item in self.items))
        return PLAIN_WORDS[self.kind]


PLAIN_WORDS = {
    "any": "a value",
    "none": "null",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "object": "an object (a mapping with _target_)",
    "dict": "a mapping",
    "keys": "a mapping",
}
PLURALS = {"int": "whole numbers", "float": "numbers", "bool": "true and false", "str": "texts", "dict": "mappings"}

MISSING = "???"
ANY, NONE, OBJECT = Type("any"), Type("none"), Type("object")
BY_NAME = {
    **{name: Type(name) for name in ("bool", "int", "float", "str")},
    **dict.fromkeys(("Tensor", "Module", "Callable", "Optimizer"), OBJECT),
    **dict.fromkeys(("dict", "Dict", "Mapping", "MutableMapping"), Type("dict", (ANY,))),
    "None": NONE,
    "Path": Type("str"),
}
LISTS = ("list", "List", "Sequence", "Iterable", "Collection", "set", "Set", "frozenset", "tuple", "Tuple")


def accepted(parameter: Parameter) -> Type:
    """What a parameter's annotation accepts, and null besides where that is the default."""
    found = simplify(parameter.annotation, parameter.module)
    default = parameter.default
    return _union([found, NONE]) if isinstance(default, ast.Constant) and default.value is None else found


@dataclass(frozen=True)
class Mismatch:
    """What is wrong with a value, or with the part of it at `path` (such as `[2]` or `.shape`)."""

    path: str
    message: str
    hint: str | None


def mismatches(wanted: Type, value: Any) -> Iterator[Mismatch]:
    """Where a value does not have a type. What is missing or built from a `_target_` is not looked into."""
    if value == MISSING or (isinstance(value, dict) and "_target_" in value):
        return
    match wanted.kind, value:
        case ("list", list()):
            for index, item in enumerate(value):
                yield from _inside(f"[{index}]", wanted.items[0], item)
        case ("tuple", list()) if len(value) == len(wanted.items):
            for index, item in enumerate(value):
                yield from _inside(f"[{index}]", wanted.items[index], item)
        case ("dict", dict()):
            for key, item in value.items():
                yield from _inside(f".{key}", wanted.items[0], item)
        case ("keys", dict()):
            types = dict(zip(wanted.values, wanted.items, strict=True))
            for key, item in value.items():
                if key not in types:
                    yield Mismatch(f".{key}", f"there is no such key '{key}'.", did_you_mean(str(key), types))
                elif item is not None:
                    yield from _inside(f".{key}", types[key], item)
        case ("union", _):
            found = [list(mismatches(item, value)) for item in wanted.items]
            if all(found):
                deeper = [each for each in found if any(mismatch.path for mismatch in each)]
                yield from deeper[0] if len(deeper) == 1 else [_mismatch(wanted, value)]
        case _:
            if not _is_plain(wanted, value):
                yield _mismatch(wanted, value)


def _inside(path: str, wanted: Type, value: Any) -> Iterator[Mismatch]:
    for found in mismatches(wanted, value):
        yield Mismatch(path + found.path, found.message, found.hint)


def _is_plain(wanted: Type, value: Any) -> bool:
    match wanted.kind:
        case "any":
            return True
        case "none":
            return value is None
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case "object":
            return isinstance(value, list | dict)
        case "literal":
            return any(type(value) is type(choice) and value == choice for choice in wanted.values)
    return False


def _mismatch(wanted: Type, value: Any) -> Mismatch:
    return Mismatch("", f"has to be {wanted}, but is {_written(value)}.", _hint(wanted, value))


def _hint(wanted: Type, value: Any) -> str | None:
    kinds = {item.kind for item in (wanted.items if wanted.kind == "union" else (wanted,))}
    choices = [c for item in (wanted, *wanted.items) if item.kind == "literal" for c in item.values]
    if isinstance(value, str):
        if "bool" in kinds and value.lower() in ("true", "yes", "on", "false", "no", "off"):
            return f"Write {str(value.lower() in ('true', 'yes', 'on')).lower()}, without quotes."
        number = _number(value)
        if number is not None and ("float" in kinds or ("int" in kinds and number.is_integer())):
            return f"It is text; write it as a number: {_yaml_number(number, 'float' in kinds)}."
        close = did_you_mean(value, [c for c in choices if isinstance(c, str)])
        return close if close.startswith("Did") else None
    if "int" in kinds and isinstance(value, float) and value.is_integer():
        return f"Write {int(value)}."
    if "bool" in kinds and value in (0, 1):
        return f"Write {str(bool(value)).lower()}."
    if "str" in kinds and isinstance(value, int | float):
        return "Quote it to mean text."
    if "list" in kinds and not isinstance(value, list | dict):
        return f"Write [{_written(value)}] for a list of one."
    return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _yaml_number(number: float, as_float: bool) -> str:
    """A number as YAML reads it: 1e-05 without a point would be text."""
    if number.is_integer() and not as_float:
        return str(int(number))
    if number != number or number in (float("inf"), float("-inf")):
        return {"inf": ".inf", "-inf": "-.inf"}.get(str(number), ".nan")
    mantissa, exponent, power = repr(number).partition("e")
    return mantissa + (".0" if exponent and "." not in mantissa else "") + exponent + power


def _written(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _either(words: Any) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _plural(item: Type) -> str:
    return PLURALS.get(item.kind) or ("values" if item.kind == "any" else f"which each is {item}")


def simplify(node: ast.expr | None, module: str) -> Type:
    """The type that an annotation in a module says; names defined in first-party code are followed."""
    match node:
        case ast.Constant(value=None):
            return NONE
        case ast.Constant(value=str(text)):
            return _quoted(text, module)
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _union([simplify(left, module), simplify(right, module)])
        case ast.Subscript(slice=inner):
            return _generic(last_name(node), inner.elts if isinstance(inner, ast.Tuple) else [inner], module)
        case ast.Name() | ast.Attribute():
            return _named(dotted_name(node), module)
    return ANY


def _quoted(text: str, module: str) -> Type:
    try:
        return simplify(ast.parse(text, mode="eval").body, module)
    except SyntaxError:
        return ANY


def _generic(name: str, arguments: list[ast.expr], module: str) -> Type:
    if name == "Literal":
        return _literal(arguments, module)
    if name == "Optional":
        return _union([simplify(arguments[0], module), NONE])
    if name == "Union":
        return _union([simplify(argument, module) for argument in arguments])
    if name in ("Annotated", "Final", "InitVar", "Required", "NotRequired"):
        return simplify(arguments[0], module)
    if name in ("tuple", "Tuple") and not (isinstance(arguments[-1], ast.Constant) and arguments[-1].value is ...):
        return Type("tuple", tuple(simplify(argument, module) for argument in arguments))
    if name in LISTS:
        return Type("list", (simplify(arguments[0], module),))
    if name in BY_NAME and BY_NAME[name].kind == "dict":
        return Type("dict", (simplify(arguments[-1], module),))
    return BY_NAME["Callable"] if name == "Callable" else ANY


def _literal(arguments: list[ast.expr], module: str) -> Type:
    try:
        return Type("literal", values=tuple(ast.literal_eval(argument) for argument in arguments))
    except ValueError:  # an enumeration's member
        return ANY


def _named(name: str | None, module: str) -> Type:
    last = (name or "").rpartition(".")[2]
    if last in BY_NAME:
        return BY_NAME[last]
    if last in LISTS:
        return Type("list", (ANY,))
    found = meaning(module, name) if name else None
    if isinstance(found, tuple):
        where, expression = found
        return ANY if dotted_name(expression) == name else simplify(expression, where)
    return _keys(found) if found else ANY


def _keys(found: Definition) -> Type:
    """The keys of a TypedDict."""
    if not isinstance(found.node, ast.ClassDef) or "TypedDict" not in map(last_name, found.node.bases):
        return ANY
    fields = [s for s in found.node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
    types = tuple(simplify(field.annotation, found.module) for field in fields)
    return Type("keys", types, tuple(field.target.id for field in fields if isinstance(field.target, ast.Name)))


def _union(members: list[Type]) -> Type:
    flat = [inner for member in members for inner in (member.items if member.kind == "union" else (member,))]
    if ANY in flat:
        return ANY
    if any(member not in (OBJECT, NONE) for member in flat):
        flat = [member for member in flat if member != OBJECT]  # what a `_target_` gives is accepted anyway
    distinct = tuple(dict.fromkeys(flat))
    return distinct[0] if len(distinct) == 1 else Type("union", distinct)
