"""Whether a composed configuration can be run, told from the source of what it names; nothing heavy is imported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expkit import library
from expkit.errors import ConfigError, did_you_mean
from expkit.harmless import NO_TEXT
from expkit.source import Definition, Signature, class_literal, resolve, signature
from expkit.source.annotations import MISSING, Type, accepted, mismatches

PROVIDED = {
    "optimizer": {"params"},
    "scheduler": {"optimizer"},
    "task": {"model"},
    "transforms": {"model"},
    "logger": {"folder", "run_id", "name", "config", "session", "resume"},
}
"""Arguments that expkit passes itself, by top-level group."""

COLLECTED = {"callbacks", "probes", "transforms", "logger"}
"""Groups of which several options can be chosen, each a node of its own."""

DESCRIPTIVE = {"paper", "study", "scales"}
"""Groups of keys that no object is built from."""

BINARY = "expkit.tasks.supervised.BinaryClassification"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the key's full path, what is wrong with it, and what to do about it."""

    key: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        # What concerns the choice of an option, as in 'model=gpt takes ...', begins with its key already.
        start = "" if self.message.startswith(f"{self.key}=") else f"{self.key}: "
        return f"{start}{self.message}"


def check(cfg: Mapping[str, Any], choices: Mapping[str, str] | None = None) -> None:
    """Raises one error that lists every problem of a configuration, if it has any.

    Args:
        cfg: composed and resolved, in plain dicts and lists.
        choices: the option chosen of each config group, e.g. {'model': 'mlp'}; used in messages.

    Raises:
        ConfigError: it cannot be run.
    """
    found = problems(cfg, choices or {})
    if found:
        raise one_error(found)


def one_error(found: Sequence[Problem]) -> ConfigError:
    """One error that lists every problem; there is at least one."""
    if len(found) == 1:
        return ConfigError(str(found[0]), found[0].hint)
    lines = [f"{problem} {problem.hint or ''}".rstrip() for problem in found]
    return ConfigError("\n".join([f"The configuration has {len(found)} problems:", *lines]))


def problems(cfg: Mapping[str, Any], choices: Mapping[str, str]) -> list[Problem]:
    """What is wrong with a configuration, in the order of its keys."""
    found = [problem for key, value in cfg.items() for problem in problems_below(str(key), value, choices)]
    return [*found, *problems_of_fit(cfg, choices)] if may_fit(found) else found


def may_fit(found: Iterable[Problem]) -> bool:
    """Whether data, model and task are each free of problems, so that it can be asked whether they go together."""
    return not {re.split(r"[.\[]", problem.key)[0] for problem in found} & {"data", "model", "task"}


def argument_type(target: str, name: str) -> Type | None:
    """What an argument of a `_target_` accepts; None where there is no such target or argument."""
    try:
        parameter = signature(resolve(target)).parameters.get(name)
    except ConfigError:
        return None
    return None if parameter is None else accepted(parameter)


def problems_below(key: str, value: Any, choices: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong with the value of a key, whatever the rest of the configuration is."""
    if isinstance(value, str) and value == MISSING:
        yield Problem(key, f"missing required value{_described(key, choices)}.", f"Set it: {key}=...")
    elif (wrong := oddity(value)) is not None:
        yield Problem(key, wrong)
    elif isinstance(value, list | Mapping) and key.count(".") + key.count("[") > DEEPEST:
        yield Problem(key, f"nests more than {DEEPEST} levels deep.")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from problems_below(f"{key}[{index}]", item, choices)
    elif isinstance(value, Mapping):
        if "_target_" in value and value["_target_"] != MISSING:
            yield from _node(key, value)
        group, _, name = key.partition(".")
        if group in COLLECTED and name and "." not in name and "_target_" not in value:
            yield Problem(key, "has settings, but was not chosen.", f"Choose it, {group}=[{name}], or leave them out.")
        for name, item in value.items():
            if NO_TEXT.search(str(name)):
                yield Problem(key, f"has a key with characters that are no text: {name!r}.")
            elif not isinstance(name, str) and group not in DESCRIPTIVE:
                yield Problem(key, f"has the key {name!r}, which is not text.")
            else:
                yield from problems_below(f"{key}.{name}", item, choices)


def oddity(value: Any) -> str | None:
    """What is wrong with a value that no configuration can have; None if nothing is."""
    match value:
        case bool() | float() | None | list() | dict():
            return None
        case int():
            return None if -(2**63) <= value < 2**63 else "is a whole number of more than 64 bits."
        case str():
            return "has characters that are no text." if NO_TEXT.search(value) else None
    return f"is a {type(value).__name__}, which is neither a number nor text."


DEEPEST = 50


def _node(key: str, node: Mapping[str, Any]) -> Iterator[Problem]:
    try:
        definition = resolve(node["_target_"])
    except ConfigError as error:
        yield Problem(f"{key}._target_", error.message, error.hint)
        return
    arguments = signature(definition)
    provided = PROVIDED.get(key.partition(".")[0].partition("[")[0], set())
    for name in node:
        if name != "_target_":
            yield from _argument(f"{key}.{name}", str(name), node[name], definition, arguments, provided)
    for name, parameter in arguments.parameters.items():
        if parameter.required and name not in node and name not in provided:
            message = f"missing required argument of {definition.qualname}."
            yield Problem(f"{key}.{name}", message, f"Set it: {key}.{name}=...")


def _argument(
    key: str, name: str, value: Any, definition: Definition, arguments: Signature, provided: set[str]
) -> Iterator[Problem]:
    known = arguments.parameters.keys() - provided
    if name in provided:
        yield Problem(key, "expkit passes this argument itself.", "Remove it.")
    elif name in arguments.parameters:
        for wrong in mismatches(accepted(arguments.parameters[name]), value):
            yield Problem(key + wrong.path, wrong.message, wrong.hint)
    elif not arguments.open or re.fullmatch("_[a-z]+_", name):
        yield Problem(key, f"{definition.qualname} has no argument '{name}'.", did_you_mean(name, known))


def _described(key: str, choices: Mapping[str, str]) -> str:
    """The comment behind a key in the YAML of the chosen option, in brackets."""
    group, _, rest = key.partition(".")
    name = rest.rpartition(".")[2] or group
    candidates = [f"{group}/{choices[group]}.yaml"] if group in choices else ["train.yaml"]
    for path in (folder / candidate for folder in library.config_folders() for candidate in candidates):
        comment = re.search(rf"^\s*{re.escape(name)}:.*?\s#\s*(.+)$", _text(path), re.MULTILINE)
        if comment:
            return f" ({comment[1].strip()})"
    return ""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def problems_of_fit(cfg: Mapping[str, Any], choices: Mapping[str, str]) -> Iterator[Problem]:
    """Whether model, data and task go together, where each of them is right by itself."""
    data, model, task = (_mapping(cfg.get(group)) for group in ("data", "model", "task"))
    spec = _mapping(data.get("spec"))
    shape = spec.get("shape")
    if isinstance(shape, list) and "_target_" in model:
        yield from _model_takes_data(model, spec, _option("model", cfg, choices), _option("data", cfg, choices))
        if model.get("input_shape") not in (None, shape):
            yield Problem(
                "model.input_shape",
                f"is {model['input_shape']}, but data.spec.shape is {shape}.",
                "Leave it as ${data.spec.shape}.",
            )
    needed, given = task.get("n_outputs"), model.get("n_outputs")
    if None not in (needed, given) and needed != given:
        yield Problem(
            "model.n_outputs", f"is {given}, but task.n_outputs is {needed}.", "Leave it as ${task.n_outputs}."
        )
    if task.get("_target_") == BINARY and spec.get("classes") not in (None, 2):
        yield Problem(
            "task",
            f"{_option('task', cfg, choices)} needs two classes, but {_option('data', cfg, choices)} "
            f"has {spec['classes']}.",
            "Use task=classification.",
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _option(group: str, cfg: Mapping[str, Any], choices: Mapping[str, str]) -> str:
    return f"{group}={choices.get(group) or cfg[group]['_target_'].rpartition('.')[2]}"


PLURAL = {"tokens": "tokens", "fields": "fields"}


def _model_takes_data(model: Mapping[str, Any], spec: Mapping[str, Any], name: str, data: str) -> Iterator[Problem]:
    kind = kind_of(spec)
    takes = class_literal(resolve(model["_target_"]), "accepts")
    if kind is None or takes is None or kind in takes:
        return
    *others, last = [PLURAL.get(each, f"{each}s") for each in takes]
    wanted = f"{', '.join(others)} or {last}" if others else last
    one = {"image": "an image", "tokens": "tokens"}.get(kind, f"a {kind}")
    fitting = models_that_take(kind)
    hint = f"Models that fit: {', '.join(fitting)}." if fitting else None
    yield Problem("model", f"{name} takes {wanted}, but {data} gives {one} of shape {spec['shape']}.", hint)


def kind_of(spec: Mapping[str, Any]) -> str | None:
    """What a data set's inputs are, as it says itself or by their shape: 'tokens', 'vector', 'signal' or 'image'.

    None for shapes of more dimensions.
    """
    if isinstance(spec.get("kind"), str):
        return str(spec["kind"])
    rank = len(spec["shape"])
    if rank == 1 and spec.get("vocab") is not None:
        return "tokens"
    return {1: "vector", 2: "signal", 3: "image"}.get(rank)


def models_that_take(kind: str) -> list[str]:
    """The options of the group `model` whose class accepts this kind of input."""
    options = {p.stem: p for folder in reversed(library.config_folders()) for p in (folder / "model").glob("*.yaml")}
    return sorted(name for name, path in options.items() if _takes(path, kind))


def _takes(path: Path, kind: str) -> bool:
    target = re.search(r"^_target_:\s*([\w.]+)", _text(path), re.MULTILINE)
    try:
        return target is not None and kind in (class_literal(resolve(target[1]), "accepts") or ())
    except ConfigError:  # an option that is broken is not one to recommend
        return False
