"""A configuration that cannot run is told so, with the key, the problem and the closest match."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from expkit import library, schema
from expkit.compose import compose
from expkit.errors import ConfigError

CHOICES = {"data": "xor_clusters", "model": "two_layer_relu", "task": "binary_classification"}
CONFIG: dict[str, Any] = {
    "seed": 0,
    "data": {
        "_target_": "expkit.data.xor_clusters.XorClusters",
        "dim": 100,
        "n_train": 20,
        "n_test": 10,
        "mean_norm": 3,
        "noise_rate": 0.1,
        "batch_size": "full",
        "seed": 0,
        "spec": {"shape": [100], "classes": 2},
    },
    "model": {
        "_target_": "expkit.models.two_layer_relu.TwoLayerReLU",
        "input_shape": [100],
        "n_outputs": 1,
        "width": 20,
        "init_scale": 1e-4,
        "train_readout": False,
    },
    "task": {"_target_": "expkit.tasks.supervised.BinaryClassification", "n_outputs": 1},
    "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.1, "betas": [0.9, 0.99], "foreach": None},
    "scheduler": {"_target_": "torch.optim.lr_scheduler.MultiStepLR", "milestones": [1, 2]},
    "callbacks": {"stop": {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "test/loss"}},
    "trainer": {"max_steps": 10},
}


def changed(key: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    *parents, last = key.split(".")
    node = config
    for parent in parents:
        node = node[parent]
    node[last] = value
    return config


def test_a_right_configuration_passes() -> None:
    assert schema.problems(CONFIG, CHOICES) == []


RIGHT = [
    ("model.init_scale", 1),
    ("data.batch_size", 5),
    ("optimizer.weight_decay", 0),
    ("optimizer.foreach", True),
    ("optimizer", {"_target_": "torch.optim.LBFGS", "line_search_fn": "strong_wolfe"}),
    ("optimizer", {"_target_": "torch.optim.Muon", "ns_coefficients": [3.4, -4.7, 2.0]}),
    ("scheduler", {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "min_lr": [0, 1e-5]}),
    ("scheduler", {"_target_": "torch.optim.lr_scheduler.CyclicLR", "base_lr": 0.1, "max_lr": [1, 2.0]}),
    ("scheduler", None),
    ("data.spec.vocab", None),
    ("model.width", {"_target_": "torch.nn.ReLU"}),
]


@pytest.mark.parametrize(("key", "value"), RIGHT)
def test_values_that_an_argument_accepts(key: str, value: Any) -> None:
    assert schema.problems(changed(key, value), CHOICES) == []


WRONG = [
    ("model.widht", 3, "model.widht: TwoLayerReLU has no argument 'widht'.", "Did you mean 'width'?"),
    ("model.width", "abc", "model.width: has to be a whole number, but is 'abc'.", None),
    ("model.width", 3.0, "model.width: has to be a whole number, but is 3.0.", "Write 3."),
    ("model.width", True, "model.width: has to be a whole number, but is true.", None),
    ("model.width", None, "model.width: has to be a whole number, but is null.", None),
    ("model.init_scale", "1e-20", "model.init_scale: has to be a number, but is '1e-20'.", "1.0e-20"),
    ("model.train_readout", 1, "model.train_readout: has to be true or false, but is 1.", "Write true."),
    ("model.train_readout", "no", "model.train_readout: has to be true or false, but is 'no'.", "Write false"),
    (
        "data.batch_size",
        "ful",
        "data.batch_size: has to be a whole number or 'full', but is 'ful'.",
        "Did you mean 'full'?",
    ),
    ("data.spec.clases", 2, "data.spec.clases: there is no such key 'clases'.", "Did you mean 'classes'?"),
    ("data.spec.shape", [1, "a"], "data.spec.shape[1]: has to be a whole number, but is 'a'.", None),
    ("data.spec.shape", 100, "data.spec.shape: has to be a list of whole numbers, but is 100.", "[100]"),
    ("data.dim", "???", "data.dim: missing required value (input dimensions).", "data.dim=..."),
    ("optimizer.lr", "fast", "optimizer.lr: has to be a number, but is 'fast'.", None),
    ("optimizer.betas", [0.9], "optimizer.betas: has to be a list of 2 values, but is [0.9].", None),
    ("optimizer.momentum", 0.9, "optimizer.momentum: AdamW has no argument 'momentum'.", "Known: amsgrad, betas"),
    ("optimizer.params", [], "optimizer.params: expkit passes this argument itself.", "Remove it."),
    ("optimizer._partial_", True, "optimizer._partial_: AdamW has no argument '_partial_'.", None),
    (
        "optimizer._target_",
        "torch.optim.Adamw",
        "optimizer._target_: torch.optim has no 'Adamw'.",
        "Did you mean 'AdamW'?",
    ),
    (
        "optimizer._target_",
        "os.system",
        "optimizer._target_: os.system is outside the trusted packages",
        "Python itself",
    ),
    ("scheduler.milestones", [1, 2.5], "scheduler.milestones[1]: has to be a whole number, but is 2.5.", None),
    (
        "scheduler",
        {"_target_": "torch.optim.lr_scheduler.StepLR"},
        "scheduler.step_size: missing required argument of StepLR.",
        "scheduler.step_size=...",
    ),
    (
        "scheduler",
        {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "mode": "mn"},
        "scheduler.mode: has to be 'min' or 'max', but is 'mn'.",
        "Did you mean 'min'?",
    ),
    ("callbacks.stop.patience", "3", "callbacks.stop.patience: has to be a whole number, but is '3'.", "number: 3."),
    (
        "callbacks.stop.patiance",
        3,
        "callbacks.stop.patiance: EarlyStopping has no argument",
        "Did you mean 'patience'?",
    ),
    ("callbacks.more", [{"_target_": "torch.hub.load"}], "callbacks.more[0]._target_: torch.hub.load", "wrap others"),
    ("model.input_shape", [3], "model.input_shape: is [3], but data.spec.shape is [100].", "${data.spec.shape}"),
    ("model.n_outputs", 2, "model.n_outputs: is 2, but task.n_outputs is 1.", "${task.n_outputs}"),
    (
        "data.spec.classes",
        3,
        "task=binary_classification needs two classes, but data=xor_clusters has 3.",
        "task=classification",
    ),
]


@pytest.mark.parametrize(("key", "value", "message", "hint"), WRONG)
def test_what_is_said_of_a_wrong_value(key: str, value: Any, message: str, hint: str | None) -> None:
    config = changed(key, value)
    (problem,) = schema.problems(config, CHOICES)
    assert str(problem).startswith(message)
    assert hint is None or hint in (problem.hint or "")
    with pytest.raises(ConfigError) as raised:
        schema.check(config, CHOICES)
    assert raised.value.exit_code == 2
    assert str(raised.value) == "\n".join(filter(None, [str(problem), problem.hint]))


def test_all_problems_come_in_one_error() -> None:
    config = changed("model.widht", 3)
    config["optimizer"]["lr"] = "fast"
    config["data"]["n_train"] = "???"
    with pytest.raises(ConfigError) as raised:
        schema.check(config, CHOICES)
    heading, *lines = raised.value.message.splitlines()
    assert "3 problems" in heading
    assert [line.split(":")[0] for line in lines] == ["data.n_train", "model.widht", "optimizer.lr"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"shape": [100], "vocab": 7}, "tokens of shape [100]"),
        ({"shape": [1, 40]}, "a signal of shape [1, 40]"),
        ({"shape": [3, 8, 8]}, "an image of shape [3, 8, 8]"),
        ({"shape": [4]}, "a vector of shape [4]"),
        ({"shape": [1, 2, 3, 4]}, None),
    ],
)
def test_data_of_the_wrong_kind_for_a_model(
    spec: dict[str, Any], says: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"vector": "a vector", "signal": "a signal", "image": "an image", "tokens": "tokens"}
    kind = next((k for k, words in kinds.items() if says and says.startswith(words)), None)
    project(tmp_path, monkeypatch, {k: (k,) for k in kinds} | {"everything": tuple(kinds)})
    for name in kinds:
        config = changed("data.spec", spec)
        config["model"] = {"_target_": f"mine.{name}.Net", "input_shape": spec["shape"]}
        found = schema.problems(config, {"data": "mine", "model": name})
        if kind in (None, name):
            assert found == []
        else:
            assert str(found[0]).startswith(f"model={name} takes ")
            assert f"but data=mine gives {says}." in str(found[0])
            recommended = (found[0].hint or "").removeprefix("Models that fit: ").removesuffix(".").split(", ")
            assert {"everything", kind} <= set(recommended)
            assert not (kinds.keys() - {kind}) & set(recommended)


def project(folder: Path, monkeypatch: pytest.MonkeyPatch, models: dict[str, tuple[str, ...]]) -> None:
    """A current project with models of these names that accept these kinds of data."""
    (folder / "pyproject.toml").write_text('[tool.expkit]\ntrusted = ["mine"]\n')
    (folder / "mine").mkdir()
    (folder / "conf" / "model").mkdir(parents=True)
    for name, accepts in models.items():
        code = f"class Net:\n    accepts = {accepts!r}\n    def __init__(self, input_shape): ...\n"
        (folder / "mine" / f"{name}.py").write_text(code)
        (folder / "conf" / "model" / f"{name}.yaml").write_text(f"# A model.\n_target_: mine.{name}.Net\n")
    monkeypatch.setattr(library, "project", lambda: folder)


ANNOTATIONS: dict[str, tuple[list[Any], list[Any]]] = {
    "int": ([0, -1], [1.0, "1", True, None, [1]]),
    "float": ([0, 0.5, float("inf")], ["0.5", True, None]),
    "bool": ([True, False], [0, 1, "true", None]),
    "str": (["", "a"], [1, None, ["a"]]),
    "int | None": ([1, None], [1.5, "1"]),
    "Optional[float]": ([1, None], ["1"]),
    "'int | str'": ([1, "a"], [1.5, None]),
    "Literal['a', 1]": (["a", 1], ["b", 2, True, None]),
    "Choice": (["x", "y", None], ["z", 1]),
    "Sequence[int]": ([[], [1, 2]], [1, [1.5], ["a"], None]),
    "list": ([[], [1, "a"]], [1, {}]),
    "tuple[float, float]": ([[1, 2.0]], [[1], [1, 2, 3], [1, "a"], 1]),
    "tuple[int, ...]": ([[], [1, 2, 3]], [[1.5]]),
    "Mapping[str, float]": ([{}, {"a": 1}], [{"a": "b"}, [1], 1]),
    "list[dict[str, int]]": ([[{"a": 1}]], [[{"a": "b"}], [1]]),
    "float | Sequence[float]": ([1, [1, 2.0]], ["a", ["a"]]),
    "float | torch.Tensor": ([1, 0.5], ["a", None]),
    "Callable[[int], float]": ([{"_target_": "mine.code.Net"}], ["a", 1]),
    "Keys": ([{}, {"n": 1}, {"n": None}], [{"m": 1}, {"n": "a"}, 3]),
    "Unknown": ([1, "a", None, [1]], []),
    "Any": ([1, "a", None], []),
}


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_annotations_accept_what_they_say(annotation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "code.py").write_text(
        "import torch\nfrom typing import *\nfrom mine.types import Choice, Keys\n"
        f"class Net:\n    def __init__(self, x: {annotation} = 0, y: {annotation} = None): ...\n"
    )
    (tmp_path / "mine" / "types.py").write_text(
        "from typing import Literal, TypedDict\nChoice = Literal['x', 'y'] | None\n"
        "class Keys(TypedDict, total=False):\n    n: int\n"
    )
    (tmp_path / "pyproject.toml").write_text('[tool.expkit]\ntrusted = ["mine"]\n')
    monkeypatch.setattr(library, "project", lambda: tmp_path)

    def is_right(name: str, value: Any) -> bool:
        found = schema.problems({"thing": {"_target_": "mine.code.Net", name: value}}, {})
        return not [problem for problem in found if not problem.key.endswith("_target_")]

    right, wrong = ANNOTATIONS[annotation]
    assert [value for value in right if not is_right("x", value)] == []
    assert [value for value in wrong if is_right("x", value)] == []
    assert is_right("y", None)  # where null is the default, null may be given


def options() -> list[Path]:
    groups = ("callbacks", "data", "logger", "model", "optimizer", "probes", "scheduler", "task")
    return [path for group in groups for path in sorted((library.root() / "conf" / group).glob("*.yaml"))]


@pytest.mark.parametrize("path", options(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_option_of_the_library_names_what_exists(path: Path) -> None:
    plain = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    assert isinstance(plain, dict)
    plain.pop("defaults", None)
    group = path.parent.name
    written = [problem for problem in schema.problems({group: plain}, {}) if "${" not in problem.message]
    assert [p for p in written if not p.message.startswith(("missing required", "is ${"))] == []


def test_settings_of_an_option_that_was_not_chosen_are_named() -> None:
    with pytest.raises(ConfigError, match=r"probes\.convergence: has settings, but was not chosen") as error:
        compose(["data=iris", "probes=none", "+probes.convergence={threshold: 3}"])
    assert "probes=[convergence]" in str(error.value.hint)
