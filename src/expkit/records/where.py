"""Conditions on runs, as in `optimizer.lr>0.01 and seed<5 and data=='wine'`, as a polars expression.

    condition  = term ("or" term)*          term   = factor ("and" factor)*
    factor     = "not" factor | "(" condition ")" | value (comparison value)*
    comparison = == != < <= > >= | "in" list | "not in" list        list = "[" value, ... "]"
    value      = a key of the configuration, a metric (test/acc), a number, 'text', true, false, null

A group's name alone is the option chosen of it: `data` is `data.name`. A word to the right of a comparison that is no
key is text, so that quotes may be left out. A key that a run does not have is null: equal to nothing but null, not
smaller or larger than anything. Nothing is evaluated as Python.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from expkit.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    import polars

TOKEN = re.compile(
    r"""\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<text>'[^']*'|"[^"]*")
    |(?P<name>[A-Za-z_][\w]*(?:[./-][\w]+|\[\d+\])*)
    |(?P<sign><=|>=|==|!=|=|<|>|\(|\)|\[|\]|,))""",
    re.VERBOSE,
)
ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
CONSTANTS = {"true": True, "false": False, "True": True, "False": False, "null": None, "None": None}
WORDS = {"and", "or", "not", "in"}
LONGEST, DEEPEST = 20_000, 60


def condition(text: str, schema: Mapping[str, polars.DataType]) -> polars.Expr:
    """The expression that is true of the rows for which a condition holds.

    Args:
        text: the condition.
        schema: of the frame that it is asked of.

    Raises:
        ConfigError: it cannot be understood, or names a key that no run has.
    """
    return _Parser(text, schema).parse()


@dataclass(frozen=True)
class _Value:
    """A key, or what stands for itself."""

    constant: Any = None
    key: str | None = None
    bare: str | None = None  # a word that is no key


class _Parser:
    def __init__(self, text: str, schema: Mapping[str, polars.DataType]) -> None:
        self.text, self.schema = text, schema
        self.tokens = _tokens(text)
        self.place, self.depth = 0, 0

    def parse(self) -> polars.Expr:
        found = self._either()
        if self.place < len(self.tokens):
            raise self._not_understood()
        return found

    def _either(self) -> polars.Expr:
        import polars

        parts = [self._both()]
        while self._take("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else polars.any_horizontal(parts)

    def _both(self) -> polars.Expr:
        import polars

        parts = [self._factor()]
        while self._take("and"):
            parts.append(self._factor())
        return parts[0] if len(parts) == 1 else polars.all_horizontal(parts)

    def _factor(self) -> polars.Expr:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ConfigError("The condition is nested too deeply.")
        try:
            if self._take("not"):
                return ~self._factor()
            if self._take("("):
                inner = self._either()
                if not self._take(")"):
                    raise self._not_understood("')'")
                return inner
            return self._comparison()
        finally:
            self.depth -= 1

    def _comparison(self) -> polars.Expr:
        import polars

        left = self._value()
        parts = []
        while sign := self._sign():
            if sign in ("in", "not in"):
                parts.append(self._among(left, negated=sign == "not in"))
                break
            right = self._value()
            parts.append(self._compared(left, sign, right))
            left = right
        if not parts:
            if left.key is None or self.schema[left.key] != polars.Boolean:
                raise self._not_understood("a comparison, as in optimizer.lr>0.01")
            return polars.col(left.key).fill_null(False)
        return parts[0] if len(parts) == 1 else polars.all_horizontal(parts)

    def _sign(self) -> str | None:
        if self._next() == ("name", "not") and self._next(1) == ("name", "in"):
            self.place += 2
            return "not in"
        for sign in ("==", "=", "!=", *ORDER, "in"):
            if self._take(sign):
                return "==" if sign == "=" else sign
        return None

    def _among(self, left: _Value, negated: bool) -> polars.Expr:
        import polars

        closing = "]" if self._take("[") else ")" if self._take("(") else None
        if closing is None:
            raise self._not_understood("a list, as in seed in [0, 1, 2]")
        options = []
        while not self._take(closing):
            options.append(self._compared(left, "==", self._value()))
            if not self._take(",") and self._next() != ("sign", closing):
                raise self._not_understood(f"',' or '{closing}'")
        found = polars.any_horizontal(options) if options else polars.lit(False)
        return ~found if negated else found

    def _value(self) -> _Value:
        kind, token = self._next()
        if kind == "number":
            value = _Value(_number(token))
        elif kind == "text":
            value = _Value(token[1:-1])
        elif kind == "name" and token not in WORDS:
            key = self._key(token)
            if token in CONSTANTS and key is None:
                value = _Value(CONSTANTS[token])
            else:
                value = _Value(key=key) if key else _Value(token, bare=token)
        else:
            raise self._not_understood("a key or a value")
        self.place += 1
        return value

    def _key(self, name: str) -> str | None:
        return next((key for key in (name, f"{name}.name") if key in self.schema), None)

    def _compared(self, left: _Value, sign: str, right: _Value) -> polars.Expr:
        import polars

        if left.key is None and right.key is None:
            raise self._unknown(left.bare if left.bare is not None else str(left.constant), left.bare is not None)
        if left.key is None and left.bare is not None:
            raise self._unknown(left.bare, True)
        one, other = self._operands(left, right)
        if sign in ORDER:
            return polars.Expr.fill_null(ORDER[sign](one, other), False)
        return one.eq_missing(other) if sign == "==" else one.ne_missing(other)

    def _operands(self, left: _Value, right: _Value) -> tuple[polars.Expr, polars.Expr]:
        """Both sides in a type that they can be compared in."""
        import polars

        kinds = {self._kind(left), self._kind(right)} - {"null"}
        if kinds == {"number", "text"} or kinds == {"text", "boolean"}:
            constant = next((value for value in (left, right) if value.key is None), None)
            if kinds == {"number", "text"} and constant is not None and self._kind(constant) == "number":
                return self._as_number(left), self._as_number(right)  # a column of numbers and words
            if constant is not None and self._kind(constant) == "text":
                key = left.key or right.key
                raise ConfigError(
                    f"{key} is a {next(iter(kinds - {'text'}))}, and is compared with '{constant.constant}'."
                )
            return self._plain(left).cast(polars.String), self._plain(right).cast(polars.String)
        if kinds == {"number", "boolean"}:
            return self._as_number(left), self._as_number(right)
        return self._plain(left), self._plain(right)

    def _kind(self, value: _Value) -> str:
        import polars

        if value.key is None:
            constant = value.constant
            return (
                "null"
                if constant is None
                else "boolean"
                if isinstance(constant, bool)
                else "text"
                if isinstance(constant, str)
                else "number"
            )
        kind = self.schema[value.key]
        return (
            "null"
            if kind == polars.Null
            else "boolean"
            if kind == polars.Boolean
            else "number"
            if kind.is_numeric()
            else "text"
        )

    def _plain(self, value: _Value) -> polars.Expr:
        import polars

        if value.key is None:
            return polars.lit(value.constant)
        column = polars.col(value.key)
        # Not a number is larger than all numbers to polars; here it is, as in a record, no value.
        return column.fill_nan(None) if self.schema[value.key].is_float() else column

    def _as_number(self, value: _Value) -> polars.Expr:
        import polars

        return self._plain(value).cast(polars.Float64, strict=False).fill_nan(None)

    def _next(self, ahead: int = 0) -> tuple[str, str]:
        place = self.place + ahead
        return self.tokens[place] if place < len(self.tokens) else ("end", "")

    def _take(self, token: str) -> bool:
        kind, found = self._next()
        if found == token and kind in ("name", "sign"):
            self.place += 1
            return True
        return False

    def _unknown(self, name: str, is_name: bool) -> ConfigError:
        if not is_name:
            return ConfigError(f"No key is compared in '{_short(self.text)}'.", "As in: optimizer.lr>0.01 and seed<5")
        return ConfigError(f"No run has a key or metric '{name}'.", _meant(name, self.schema))

    def _not_understood(self, expected: str = "'and' or 'or'") -> ConfigError:
        found = self._next()[1]
        where = f"at '{_short(found)}'" if found else "at its end"
        return ConfigError(
            f"The condition '{_short(self.text)}' is not understood {where}: expected {expected}.",
            "As in: optimizer.lr>0.01 and seed<5 and data=='wine' and test/acc>=0.9",
        )


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > LONGEST:
        raise ConfigError(f"The condition has {len(text):,} characters; at most {LONGEST:,} are read.")
    tokens, place = [], 0
    end = len(text.rstrip())
    while place < end:
        match = TOKEN.match(text, place)
        if match is None:
            raise ConfigError(f"The condition is not understood at '{_short(text[place:].strip())}'.", _ALLOWED)
        tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
        place = match.end()
    if not tokens:
        raise ConfigError("The condition is empty.", _ALLOWED)
    return tokens


_ALLOWED = "A condition compares keys and metrics: optimizer.lr>0.01 and seed<5 and data=='wine' and test/acc>=0.9"


def _number(text: str) -> int | float:
    short = len(text) < 19
    return int(text) if short and re.fullmatch(r"[-+]?\d+", text) else float(text)


def _meant(name: str, schema: Mapping[str, Any]) -> str:
    known = [key for key in schema if not key.startswith("_")]
    same = [key for key in known if key.rpartition(".")[2] == name or key.rpartition("/")[2] == name]
    return f"Did you mean '{same[0]}'?" if same else did_you_mean(name, known)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
