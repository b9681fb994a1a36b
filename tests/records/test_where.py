"""Conditions on runs: against Python's own reading of them, against polars by hand, and with hostile input."""

from __future__ import annotations

import random

import polars
import pytest

from expkit.errors import ConfigError
from expkit.records.where import condition

FRAME = polars.DataFrame(
    {
        "seed": [0, 1, 2, 3, 4, None],
        "optimizer.lr": [0.001, 0.01, 0.1, 1.0, None, float("nan")],
        "data.name": ["wine", "iris", "wine", None, "mnist1d", "wine"],
        "data.batch_size": ["full", "32", "64", "full", None, "8"],
        "model.bias": [True, False, None, True, False, True],
        "test/acc_clean": [0.1, 0.9, 0.5, None, 0.7, 0.9],
        "nothing": polars.Series([None] * 6, dtype=polars.Null),
    }
)


def rows(text: str) -> list[int]:
    frame = FRAME.with_row_index("row")
    return frame.filter(condition(text, FRAME.schema))["row"].to_list()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed<2", polars.col("seed") < 2),
        (
            "optimizer.lr > 0.01 and seed<5",
            (polars.col("optimizer.lr").fill_nan(None) > 0.01) & (polars.col("seed") < 5),
        ),
        ("data=='wine' or seed==4", (polars.col("data.name") == "wine") | (polars.col("seed") == 4)),
        ('data.name="iris"', polars.col("data.name") == "iris"),
        ("data==iris", polars.col("data.name") == "iris"),
        ("test/acc_clean>=.9", polars.col("test/acc_clean") >= 0.9),
        ("not (seed<3)", ~(polars.col("seed") < 3).fill_null(False)),
        ("1<=seed<3", polars.col("seed").is_between(1, 2)),
        ("seed in [0, 2,4]", polars.col("seed").is_in([0, 2, 4])),
        ("seed not in (0,2,4)", ~polars.col("seed").is_in([0, 2, 4]).fill_null(False)),
        ("data.batch_size==full", polars.col("data.batch_size") == "full"),
        ("data.batch_size<=32", polars.col("data.batch_size").cast(polars.Float64, strict=False) <= 32),
        ("data.batch_size==64.0", polars.col("data.batch_size") == "64"),
        ("model.bias", polars.col("model.bias")),
        ("not model.bias", ~polars.col("model.bias").fill_null(False)),
        ("model.bias==false", ~polars.col("model.bias")),
        ("data==null", polars.col("data.name").is_null()),
        ("data!=wine", polars.col("data.name").ne_missing("wine")),
        ("nothing==null and seed>-1", polars.col("seed") > -1),
        ("optimizer.lr==1e-2", polars.col("optimizer.lr") == 0.01),
        ("seed>test/acc_clean", polars.col("seed") > polars.col("test/acc_clean")),
        ("seed<1e400", polars.col("seed").is_not_null()),
        ("seed<99999999999999999999999", polars.col("seed").is_not_null()),
    ],
)
def test_against_polars_by_hand(text: str, expected: polars.Expr) -> None:
    assert rows(text) == FRAME.with_row_index("row").filter(expected)["row"].to_list()


def test_against_python_on_random_conditions() -> None:
    draw = random.Random(1)
    table = (
        FRAME.select("seed", "optimizer.lr", "test/acc_clean")
        .drop_nulls()
        .filter(polars.col("optimizer.lr").is_not_nan())
    )
    names = {"seed": "row[0]", "optimizer.lr": "row[1]", "test/acc_clean": "row[2]"}

    def make(depth: int) -> tuple[str, str]:
        kind = draw.randrange(5) if depth else 4
        if kind < 2:
            word = ("and", "or")[kind]
            parts = [make(depth - 1) for _ in range(draw.randrange(2, 4))]
            return f" {word} ".join(a for a, _ in parts), f" {word} ".join(b for _, b in parts)
        if kind < 4:
            ours, pythons = make(depth - 1)
            return (f"not ({ours})", f"not ({pythons})") if kind == 2 else (f"({ours})", f"({pythons})")
        name, sign = draw.choice(list(names)), draw.choice(["<", "<=", ">", ">=", "==", "!="])
        value = draw.choice([0, 1, 2, 0.01, 0.5, 0.9, -3])
        return f"{name}{sign}{value}", f"{names[name]} {sign} {value}"

    for _ in range(300):
        ours, pythons = make(4)
        expected = [row for row in table.iter_rows() if eval(pythons, {"row": row})]
        assert table.filter(condition(ours, table.schema)).rows() == expected, ours


HOSTILE = [
    "",
    "   ",
    "seed",
    "seed<",
    "<3",
    "seed<<3",
    "seed 3",
    "seed<3 and",
    "seed<3 seed>1",
    "(seed<3",
    "seed<3)",
    "()",
    "seed in [",
    "seed in [1 2]",
    "seed in 3",
    "'a'=='a'",
    "1<2",
    "__import__('os').system('true')",
    "seed.__class__==1",
    "lambda: 0",
    "seed<3; import os",
    "open('/etc/passwd')",
    "seed<3\x00",
    "seed<'three'",
    "model.bias=='yes'",
    "data.name=='wine",
    "missing.key>3",
    "3>missing.key",
    "(" * 5000 + "seed<3" + ")" * 5000,
    "not " * 5000 + "seed<3",
    "seed<" + "9" * 30000,
    "séed<3",
    "{seed}<3",
    "seed<3 # all",
    "and and and",
    "in in in",
    "seed<0x10",
    "seed<1_000",
    "seed<3..4",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_not_a_condition_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        condition(text, FRAME.schema)


def test_random_characters_never_do_anything_else_than_be_refused() -> None:
    draw = random.Random(2)
    pieces = [
        "seed",
        "optimizer.lr",
        "data",
        "test/acc_clean",
        "<",
        ">",
        "==",
        "(",
        ")",
        "and",
        "or",
        "not",
        "in",
        "[",
        "]",
        ",",
        "1",
        "'a'",
        "null",
        "true",
        "wine",
        ".",
        "/",
        "-",
        "=",
        "\\",
        "`",
        "\n",
        "nothing",
        "model.bias",
    ]
    understood = 0
    for _ in range(3000):
        text = " ".join(draw.choices(pieces, k=draw.randrange(1, 7)))
        try:
            FRAME.filter(condition(text, FRAME.schema))
        except ConfigError:
            continue
        understood += 1
    assert understood > 10


@pytest.mark.parametrize(
    ("text", "meant"), [("lr>3", "optimizer.lr"), ("optimzer.lr>3", "optimizer.lr"), ("acc_clean>1", "test/acc_clean")]
)
def test_an_unknown_key_is_answered_with_the_closest(text: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"Did you mean '{meant}'"):
        condition(text, FRAME.schema)


def test_a_long_condition_is_no_trouble() -> None:
    assert rows(" or ".join(f"seed=={number}" for number in range(1000))) == [0, 1, 2, 3, 4]
