"""Composition: what a command line means, and what is said of one that means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from expkit.compose import check_top_level_keys, compose, experiments, options
from expkit.errors import ConfigError
from expkit.overrides import hydra_value, quoted
from support import Run

WRONG = {
    "unknown key": (["model.widht=3"], ["model.widht", "conf/model/mlp.yaml", "'width'"]),
    "unknown new key": (["+model.widht=3"], ["model.widht", "MLP", "'width'"]),
    "unknown nested key": (["data.spec.shap=[3]"], ["data.spec.shap", "'shape'"]),
    "unknown group": (["modle=mlp"], ["modle", "'model'"]),
    "unknown option": (["model=mpl"], ["model has no option 'mpl'", "'mlp'"]),
    "unknown experiment": (["+experiment=groking_xor"], ["groking_xor", "'grokking_xor'"]),
    "unknown scale": (["+experiment=grokking_xor", "scale=huge"], ["'huge'", "smoke", "paper"]),
    "scale of nothing": (["scale=paper"], ["scale=paper", "+experiment"]),
    "wrong type": (["model.width=wide"], ["model.width", "whole number", "'wide'"]),
    "fraction for a count": (["trainer.max_steps=1.5"], ["trainer.max_steps", "whole number"]),
    "wrong seed": (["seed=first"], ["seed", "whole number"]),
    "not a choice": (["+experiment=grokking_xor", "data.batch_size=half"], ["data.batch_size", "full"]),
    "name that leads out of the folder": (["name=.."], ["name"]),
    "option that is no word": (["model=3"], ["name of a file"]),
    "missing value": (["data=mnist"], ["data.root", "data.root=..."]),
    "several values": (["seed=1,2"], ["seed=1,2", "-m"]),
    "not an override": (["grokking_xor"], ["grokking_xor", "key=value"]),
    "model takes other inputs": (["model=gpt"], ["model=gpt", "tokens", "mnist1d"]),
    "task needs other targets": (
        ["data=diabetes", "task=classification"],
        ["task=classification", "diabetes", "regression"],
    ),
    "binary task on ten classes": (["task=binary_classification"], ["binary_classification", "10"]),
    "shape by hand": (["model.input_shape=[1,39]"], ["model.input_shape", "39", "40"]),
    "untrusted target": (["model._target_=os.system"], ["os.system", "trusted"]),
    "alias of an untrusted target": (
        ["model._target_=expkit.errors.difflib.get_close_matches"],
        ["difflib", "trusted"],
    ),
    "function that runs code": (["model._target_=torch.hub.load"], ["torch.hub.load"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_command_line_gets_one_message_that_names_what_is_wrong(case: str) -> None:
    overrides, said = WRONG[case]
    with pytest.raises(ConfigError) as raised:
        compose(["logger=none", *overrides])
    for part in said:
        assert part in str(raised.value), str(raised.value)
    assert raised.value.exit_code == 2


def test_a_wrong_command_line_fails_fast_with_status_2_and_no_traceback(expkit: Run) -> None:
    done = expkit("train", "+experiment=grokking_xor", "model.widht=3", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "hydra" in imported
    assert not imported & {"torch", "lightning"}  # which alone take three seconds
    assert [line for line in lines if not line.startswith("import time:")] == [
        "error: There is no key 'model.widht' (conf/model/two_layer_relu.yaml).",
        "  Did you mean 'width'?",
    ]


def test_nothing_heavy_is_imported_to_compose(expkit: Run) -> None:
    import subprocess
    import sys

    code = "import sys; from expkit.compose import compose; compose(['+experiment=grokking_xor']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "lightning", "wandb", "sklearn", "polars", "matplotlib", "rich"}


def test_an_unwritable_run_folder_is_reported_before_anything_runs(expkit: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = expkit("train", "data=iris", "logger=none", f"paths.runs={tmp_path / 'file'}")
    assert done.returncode == 2
    assert str(tmp_path / "file") in done.stderr
    assert "--runs DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_overrides_win_over_the_scale_and_the_scale_over_the_experiment() -> None:
    config = compose(["+experiment=grokking_xor", "scale=smoke", "model.width=7"]).config
    assert config["model"]["width"] == 7
    assert config["data"]["dim"] == 500
    assert config["optimizer"]["lr"] == 0.1


@pytest.mark.parametrize(
    "text",
    [
        "a,b", "3", "1e5", "true", "NULL", "", "a b", "a=b", "a:b", "{a}", "[1]", "(", "é", "/tmp/x", "range(3)",
        "it's", "''", "\\", "\\\\", "x\\", "C:\\x", "\\'", "x\\'y", "a\\,b",
    ],
)  # fmt: skip
def test_quoted_text_is_read_as_itself(text: str) -> None:
    assert OverridesParser.create().parse_override(f"key={quoted(text)}").value() == text


@pytest.mark.parametrize("value", ["a,b", "it's", ["a,b", {"key": "c'd"}], None, True, 3, 0.1], ids=repr)
def test_a_value_in_hydras_grammar_is_read_as_itself(value: object) -> None:
    read = OverridesParser.create().parse_override(f"key={hydra_value(value)}")
    assert OmegaConf.create([read.value()]) == OmegaConf.create([value])


def test_text_that_looks_like_a_number_is_one() -> None:
    assert OverridesParser.create().parse_override(f"optimizer.lr={hydra_value('3e-4')}").value() == 3e-4


def test_smoke_is_a_scale_of_everything() -> None:
    assert compose(["scale=smoke", "data=iris"]).config["trainer"]["max_steps"] == 5


def test_the_plus_before_experiment_may_be_left_out() -> None:
    assert compose(["experiment=grokking_xor"]).config == compose(["+experiment=grokking_xor"]).config


def test_data_choose_their_task_unless_one_is_asked_for() -> None:
    assert compose(["data=diabetes"]).choices["task"] == "regression"
    assert compose(["data=digits", "task=reconstruction"]).choices["task"] == "reconstruction"


def test_debug_wins_over_the_experiment() -> None:
    config = compose(["+experiment=grokking_xor", "debug=fast_dev_run"]).config
    assert config["trainer"]["max_steps"] == 2
    assert not config["logger"]


def test_several_options_of_a_group_merge() -> None:
    config = compose(["callbacks=[ema,early_stopping]", "logger=[wandb,csv]"]).config
    assert set(config["callbacks"]) == {"ema", "early_stopping"}
    assert set(config["logger"]) == {"wandb", "csv"}


@pytest.mark.parametrize("name", experiments())
@pytest.mark.parametrize("scale", ["default", "smoke", "paper"])
def test_every_experiment_composes_at_every_scale_it_has(name: str, scale: str) -> None:
    from expkit.compose import experiment_config

    raw = experiment_config(name)
    if scale == "default" or scale in raw.get("scales", {}):
        assert compose([f"+experiment={name}", f"scale={scale}"]).name == name
    assert {"title", "arxiv", "family", "finding"} <= set(raw["paper"])


@pytest.mark.parametrize(
    "group", ["trainer", "optimizer", "scheduler", "callbacks", "probes", "logger", "model", "data"]
)
def test_every_config_file_opens_with_a_comment_that_says_what_it_is(group: str) -> None:
    for path in options(group).values():
        first = next(line for line in path.read_text().splitlines() if "@package" not in line)
        assert first.startswith("# "), path
        assert len(first) > 15, path


def test_a_projects_own_configs_come_before_the_librarys(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "conf" / "optimizer").mkdir(parents=True)
    (tmp_path / "conf" / "optimizer" / "mine.yaml").write_text("_target_: lab.Plain\nlr: 0.5\n")
    (tmp_path / "lab.py").write_text(
        "import torch\n"
        "class Plain(torch.optim.SGD):\n"
        "    def __init__(self, params, lr: float): super().__init__(params, lr)\n"
    )
    (tmp_path / "pyproject.toml").write_text('[tool.expkit]\ntrusted = ["lab"]\n')
    command = [
        sys.executable,
        "-m",
        "expkit",
        "train",
        "data=iris",
        "optimizer=mine",
        "logger=none",
        "scale=smoke",
        "--json",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"status": "complete"' in done.stdout


def test_a_number_of_thousands_of_digits_where_something_is_built_gets_one_message() -> None:
    with pytest.raises(ConfigError, match="model is nothing that can be built: a number that is too large"):
        check_top_level_keys({**compose(["logger=none"]).config, "model": 10**5000})
