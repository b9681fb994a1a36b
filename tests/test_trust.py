"""Objects that names lead to are judged by where they are defined."""

from __future__ import annotations

import functools
import importlib
import os
import types
from pathlib import Path
from typing import Any

import pytest

from expkit import library, source, trust
from expkit.errors import ConfigError

ALLOWED = [
    "torch.nn.MSELoss",
    "torch.optim.AdamW",
    "torch.optim.Muon",
    "torch.optim.lr_scheduler.StepLR",
    "torch.optim.lr_scheduler.ReduceLROnPlateau",
    "torch.utils.data.TensorDataset",
    "lightning.pytorch.callbacks.EarlyStopping",
    "lightning.pytorch.loggers.CSVLogger",
    "lightning.pytorch.profilers.SimpleProfiler",
    "lightning.pytorch.strategies.DDPStrategy",
    "lightning.pytorch.plugins.MixedPrecision",
    "torchmetrics.MeanMetric",
    "expkit.models.two_layer_relu.TwoLayerReLU",
    "expkit.models.two_layer_relu.nn.Linear",  # an alias of what may be named is what may be named
    "expkit.data.base.TensorData",
]

REFUSED = [
    "expkit.cli.main",
    "expkit.records.files.write_text",
    "expkit.engines.ranks.all_ranks",
    "expkit.studies.study.study",
    "expkit.models.mlp.nn.Module.register_forward_hook",
    "os.system",
    "builtins.eval",
    "logging.os.system",
    "torch.os.system",
    "torch.hub.load",
    "torch.load",
    "torch.compile",
    "torch.package.PackageImporter",
    "torch.nn.functional.relu",
    "torch.utils.cpp_extension.load_inline",
    "lightning.pytorch.Trainer",
    "lightning.pytorch.core.saving.os.system",
    "expkit.errors.difflib",
    "expkit.errors.difflib.get_close_matches",
    "expkit.library.tomllib.loads",
    "expkit.seeding.hashlib.new",
    "expkit.seeding.torch.load",
    "expkit.seeding.torch.os.system",
    "expkit.seeding.generator.__globals__",
    "expkit.seeding.generator.__globals__.get",
    "expkit.errors.UserError.__class__",
    "expkit.errors.UserError.__subclasses__",
    "expkit.models.two_layer_relu.TwoLayerReLU.load_state_dict",
    "expkit.tasks.base.Task.load_from_checkpoint",
    "expkit.data.base.Split",
]


def lookup(target: str) -> Any:
    """What Python itself finds under a dotted name."""
    parts = target.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        return functools.reduce(getattr, parts[cut:], found)
    raise AssertionError(target)


@pytest.mark.parametrize("target", ALLOWED)
def test_building_blocks_pass_both_checks(target: str) -> None:
    found = lookup(target)
    trust.check_object(found, target)
    assert source.resolve(target).qualname == found.__qualname__


@pytest.mark.parametrize("target", REFUSED)
def test_everything_else_is_refused_by_both(target: str) -> None:
    with pytest.raises(ConfigError):
        source.resolve(target)
    with pytest.raises(ConfigError):
        trust.check_object(lookup(target), target)


@pytest.mark.parametrize(
    "module", ["torch.nn", "torch.optim", "torch.optim.lr_scheduler", "lightning.pytorch.callbacks"]
)
def test_source_and_objects_lead_to_the_same_verdict(module: str) -> None:
    public = {name for name in vars(importlib.import_module(module)) if not name.startswith("_")}
    differing = [name for name in public if _allowed_by_source(f"{module}.{name}") != _allowed(f"{module}.{name}")]
    assert public
    assert differing == []


def _allowed_by_source(target: str) -> bool:
    try:
        return source.resolve(target) is not None
    except ConfigError:
        return False


def _allowed(target: str) -> bool:
    try:
        trust.check_object(lookup(target), target)
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize(
    "planted", [functools.partial(os.system, "true"), os.system, os, types.SimpleNamespace(), print]
)
def test_an_object_planted_in_a_trusted_module_is_refused(planted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = importlib.import_module("expkit.errors")
    monkeypatch.setattr(errors, "planted", planted, raising=False)
    with pytest.raises(ConfigError):
        trust.check_object(lookup("expkit.errors.planted"), "expkit.errors.planted")


def test_the_message_names_the_target_what_it_is_and_what_to_do(project: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        source.resolve("expkit.errors.difflib.get_close_matches")
    assert "expkit.errors.difflib.get_close_matches" in refused.value.message
    assert "alias of difflib.get_close_matches" in refused.value.message
    with pytest.raises(ConfigError, match="not_listed") as refused:
        source.resolve("not_listed.models.Net")
    assert 'trusted = ["not_listed"]' in str(refused.value)


def test_a_project_adds_its_own_packages(project: Path) -> None:
    assert {"mine", "company.lab"} <= trust.trusted_roots()
    assert trust.is_first_party("mine.nets")
    assert trust.is_first_party("company.lab.nets")
    assert not trust.is_trusted("company.sales")
    assert not trust.is_trusted("minerals")


def test_a_wrong_list_is_reported(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.expkit]\ntrusted = "mine"\n')
    library.settings.cache_clear()
    with pytest.raises(ConfigError, match="not a list"):
        trust.trusted_roots()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "pyproject.toml").write_text('[tool.expkit]\ntrusted = ["mine", "company.lab"]\n')
    monkeypatch.chdir(tmp_path)
    library.project.cache_clear()
    library.settings.cache_clear()
    yield tmp_path
    library.project.cache_clear()
    library.settings.cache_clear()
