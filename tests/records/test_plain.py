"""A configuration as a flat mapping."""

from __future__ import annotations

import random
from typing import Any

import pytest
import yaml

from expkit.compose import compose
from expkit.identity import NOT_HASHED
from expkit.records.plain import plain_values


def flat(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {
            key: item
            for own, node in value.items()
            for key, item in flat(f"{name}.{own}" if name else own, node).items()
        }
    return {name: str(value) if isinstance(value, list) else value}


def expected(config: dict[str, Any]) -> dict[str, Any]:
    return flat("", {key: value for key, value in config.items() if key not in NOT_HASHED or key == "tags"})


VALUES = [
    0,
    -3,
    1e-7,
    1e30,
    True,
    None,
    "",
    "yes",
    "1e-3",
    "a: b",
    "- x",
    "# no",
    "two\nlines\n",
    "ü",
    "'",
    '"',
    "&a",
    "*a",
    "x" * 300,
    [],
    {},
    [1, [2, 3]],
    {"a": {"b": [1.5]}, "c": "null"},
    ["&id001 x", "a: b"],
    "?",
    "---",
    "{a}",
    "key: |",
]


@pytest.mark.parametrize("seed", range(30))
def test_it_is_what_yaml_reads(seed: int) -> None:
    draw = random.Random(seed)
    shared = [1, 2, {"deep": 0.5}]  # which yaml writes once, with an anchor
    keys = ["alpha", "beta gamma", "123", "true", "x" * 200, "-dash", "?q", "tags", "paths", "study"]
    config = {key: draw.choice([*VALUES, shared]) for key in draw.sample(keys, 8)}
    if draw.random() < 0.5:
        config |= {"one": shared, "two": {"again": shared}}
    assert plain_values(yaml.safe_dump(config, sort_keys=False), {}) == expected(config)


@pytest.mark.parametrize(
    "text", ["", "seed: [1, 2", "just words", "- a\n- b", "\x00", "seed: 1\nmodel: {", "a: 1\n  b: 2"]
)
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        plain_values(text, {})


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        (["data=wine", "model=mlp", "optimizer=sgd"], {"data": "wine", "model": "mlp", "optimizer": "sgd"}),
        (
            ["data=iris", "model=linear", "optimizer=nesterov"],
            {"data": "iris", "model": "linear", "optimizer": "nesterov"},
        ),
        (
            ["+experiment=grokking_xor"],
            {"data": "xor_clusters", "model": "two_layer_relu", "task": "binary_classification"},
        ),
        (
            ["data=mnist1d", "model=cnn", "optimizer=adamw", "optimizer.lr=0.5"],
            {"data": "mnist1d", "optimizer": "adamw"},
        ),
    ],
)
def test_the_option_of_each_group_is_found_by_its_contents(overrides: list[str], names: dict[str, str]) -> None:
    values = plain_values(yaml.safe_dump(compose(overrides).config, sort_keys=False), {})
    assert {group: values[f"{group}.name"] for group in names} == names


def test_what_was_chosen_by_name_is_taken_at_its_word() -> None:
    config = compose(["data=wine", "model=mlp", "optimizer=sgd", "optimizer.momentum=0.9"]).config
    values = plain_values(yaml.safe_dump(config, sort_keys=False), {"optimizer": "sgd"})
    assert values["optimizer.name"] == "sgd"
