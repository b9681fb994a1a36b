"""From command-line overrides to one resolved configuration, or to one message that says why not.

Imports nothing heavy: a mistake on the command line is reported before torch is loaded.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationKeyError, InterpolationResolutionError, OmegaConfBaseException

from expkit import library, schema
from expkit.errors import ConfigError, did_you_mean
from expkit.extras import require_extra

ROOT_CONFIG = "train"
DESCRIPTIVE = ("paper", "study", "requires", "scales")  # keys of an experiment that say what it is, not what a run does


@dataclass(frozen=True)
class Composed:
    """A resolved, checked configuration."""

    config: dict[str, Any]
    overrides: list[str] = field(default_factory=list)  # as the user gave them
    choices: dict[str, str] = field(default_factory=dict)  # group -> chosen option

    @property
    def name(self) -> str:
        return self.config["name"]


def compose(overrides: Sequence[str] = ()) -> Composed:
    """Composes one run's configuration.

    Raises:
        ConfigError: it cannot be composed, or is not a run that could be started.
    """
    return resolve(*load(overrides), overrides)


def load(overrides: Sequence[str]) -> tuple[DictConfig, Mapping[str, Any]]:
    """What Hydra composes, interpolations unresolved, and the option chosen of each group.

    Raises:
        ConfigError: it cannot be composed.
    """
    with explained(overrides):
        config = loader().load_configuration(ROOT_CONFIG, expand(overrides), run_mode=RunMode.RUN)
    with open_dict(config):
        hydra = config.pop("hydra")
    return config, hydra.runtime.choices


def resolve(config: DictConfig, chosen: Mapping[str, Any], overrides: Sequence[str]) -> Composed:
    """Resolves and checks what Hydra composed.

    Args:
        config: composed, without the `hydra` node.
        chosen: the option of each group, from that node.
        overrides: as the user gave them.

    Raises:
        ConfigError: it is not a run that could be started.
    """
    choices = named(config, chosen)
    plain = resolved(config, choices)
    check_top_level_keys(plain)
    check_top_level_values(plain)
    if plain["requires"]:
        require_extra(plain["requires"], plain["name"])
    schema.check(plain, choices)
    return Composed(plain, list(overrides), choices)


def named(config: DictConfig, chosen: Mapping[str, Any]) -> dict[str, str]:
    """Gives a configuration its name, where it has none; returns the option of each group of expkit's own."""
    choices = {group: option for group, option in chosen.items() if isinstance(option, str) and "/" not in group}
    with open_dict(config):
        config.name = config.name or choices.get("experiment") or f"{choices['data']}-{choices['model']}"
    return choices


def expand(overrides: Sequence[str]) -> list[str]:
    """The overrides as Hydra is given them: `+experiment=X` also without the plus, and `scale` spelled out.

    What an experiment lists for a scale comes before the user's own overrides, so that these win.
    """
    overrides = [re.sub(r"^\+(experiment|debug|scale)=", r"\1=", override) for override in overrides]
    experiment, scale = _choice(overrides, "experiment"), _choice(overrides, "scale")
    if not scale or scale == "default" or (scale == "smoke" and not experiment):
        return overrides
    if not experiment:
        raise ConfigError(
            f"scale={scale} is a size of an experiment.", "Name one: +experiment=... (see `expkit list`)."
        )
    scales = experiment_config(experiment).get("scales") or {}
    if "," in scale or scale not in {*scales, "smoke"}:
        known = ", ".join(["default", "smoke", *(name for name in scales if name != "smoke")])
        raise ConfigError(f"Experiment '{experiment}' has no scale '{scale}'.", f"It has: {known}.")
    return [*(f"{key}={hydra_value(value)}" for key, value in (scales.get(scale) or {}).items()), *overrides]


def experiments() -> dict[str, Path]:
    """The experiments that exist, by name; a project's own come before the library's of the same name."""
    found = [path for folder in library.config_folders() for path in sorted((folder / "experiment").glob("*.yaml"))]
    return {path.stem: path for path in reversed(found)}


def experiment_config(name: str) -> dict[str, Any]:
    """An experiment's YAML as it is written, not composed.

    Raises:
        ConfigError: there is no such experiment.
    """
    path = experiments().get(name)
    if path is None:
        raise ConfigError(f"There is no experiment '{name}'.", did_you_mean(name, experiments()))
    return yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}


def search_path() -> ConfigSearchPathImpl:
    """Where Hydra looks for configs, first match first."""
    path = ConfigSearchPathImpl()
    path.append("hydra", "pkg://hydra.conf")
    for number, folder in enumerate(library.config_folders()):
        path.append("main" if number == 0 else "expkit", f"file://{folder}")
    path.append("schema", "structured://")
    return path


@cache
def loader() -> ConfigLoaderImpl:
    from hydra.core.plugins import Plugins
    from hydra.core.utils import setup_globals

    # A launcher's YAML is checked against its dataclass, which is found by its name: meant here, deprecated in Hydra.
    warnings.filterwarnings("ignore", message=r"\s*'hydra/\w+/\w+' is validated against ConfigStore schema")
    setup_globals()
    Plugins.instance()  # finds the kinds of config sources, among others
    OmegaConf.register_new_resolver("product", lambda numbers: prod(numbers), replace=True)
    OmegaConf.register_new_resolver("sum", lambda numbers: sum(numbers), replace=True)
    return ConfigLoaderImpl(config_search_path=search_path())


@contextmanager
def explained(overrides: Sequence[str]) -> Iterator[None]:
    """Turns whatever Hydra says of a wrong override into one message about it."""
    try:
        yield
    except OverrideParseException as error:
        raise ConfigError(
            f"'{error.override}' is not an override.", "Write key=value; quote values that have spaces or commas."
        ) from error
    except MissingConfigException as error:
        raise _unknown_option(error) from error
    except (ConfigCompositionException, OmegaConfBaseException) as error:
        raise _unknown_key(error, overrides) from error
    except ValueError as error:  # Hydra's own: an option that is no word, such as model=3
        raise ConfigError(
            f"{str(error).strip().splitlines()[0]}.", "A group's option is the name of a file."
        ) from error


def _choice(overrides: Sequence[str], group: str) -> str | None:
    chosen = [o.partition("=")[2] for o in overrides if o.partition("=")[0] == group]
    return chosen[-1] if chosen and chosen[-1] not in ("null", "") else None


def hydra_value(value: Any) -> str:
    """A YAML value in the grammar of Hydra's overrides."""
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w./${}:-]+", value) else "'" + value.replace("'", r"\'") + "'"
    if isinstance(value, list):
        return "[" + ",".join(map(hydra_value, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{hydra_value(item)}" for key, item in value.items()) + "}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def resolved(config: DictConfig, choices: dict[str, str]) -> dict[str, Any]:
    """Plain dicts and lists, interpolations replaced by what they stand for.

    Raises:
        ConfigError: one of them stands for nothing.
    """
    try:
        plain = OmegaConf.to_container(config, resolve=True)
    except (InterpolationKeyError, InterpolationResolutionError) as error:
        raise _unresolved(error, choices) from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _unresolved(error: OmegaConfBaseException, choices: dict[str, str]) -> ConfigError:
    missing = re.search(r"data\.spec\.(\w+)", str(error.msg or error))
    key = str(error.full_key)
    group = key.split(".")[0]
    if missing and group == "model" and "${" + missing[0] + "}" in options("task")[choices["task"]].read_text():
        group = "task"  # the model asks for what the task asks of the data
    if missing and group in choices:
        fact = {
            "classes": "classes",
            "targets": "real-valued targets",
            "vocab": "tokens",
            "shape": "inputs of a known shape",
        }.get(missing[1], missing[1])
        fitting = _options_without(f"data.spec.{missing[1]}", group)
        return ConfigError(
            f"{group}={choices[group]} needs data with {fact}, but data={choices['data']} has none "
            f"({key} asks for data.spec.{missing[1]}).",
            f"Without that need: {group}={' | '.join(fitting)}." if fitting else None,
        )
    return ConfigError(f"{key}: {str(error.msg or error).splitlines()[0]}.")


def _options_without(text: str, group: str) -> list[str]:
    return [name for name, path in options(group).items() if "${" + text + "}" not in path.read_text()]


def options(group: str) -> dict[str, Path]:
    """The options of a config group, by name."""
    return {
        path.stem: path
        for folder in reversed(library.config_folders())
        for path in sorted((folder / group).glob("*.yaml"))
    }


def _unknown_option(error: MissingConfigException) -> ConfigError:
    group, _, option = str(error.missing_cfg_file or "").rpartition("/")
    if not group:
        return ConfigError(str(error).splitlines()[0])
    what = "There is no experiment" if group == "experiment" else f"{group} has no option"
    return ConfigError(f"{what} '{option}'.", did_you_mean(option, options(group), show=40))


def _unknown_key(error: Exception, overrides: Sequence[str]) -> ConfigError:
    text = str(error.__cause__ or error) if not str(error) else str(error)
    if "requires --multirun" in text or "Ambiguous value" in text:
        override = (re.search(r"'([^']*=[^']*)'", text) or ["", ""])[1]
        return ConfigError(
            f"'{override}' names several values.",
            "Add -m to run them all; write key=[a,b] for a list, or quote the value to mean the text itself.",
        )
    found = re.search(r"Could not (?:override|append|delete) '([^']+)'|full_key: (\S+)", text)
    if found is None:
        return ConfigError(text.strip().splitlines()[0] if text.strip() else repr(error))
    key = (found[1] or found[2]).split("@")[0]
    config = _composed_without_values(overrides)
    if config is None or ("." not in key and any(o.lstrip("+~").startswith(f"{key}=") for o in overrides)):
        keys = set() if config is None else {str(k) for k in config if k != "hydra"}
        return ConfigError(
            f"There is no key or group '{key}'.", did_you_mean(key, (groups() | keys) - {"hydra"}, show=30)
        )
    return _unknown_nested_key(key, config)


def _unknown_nested_key(key: str, config: DictConfig) -> ConfigError:
    parent, parts = config, key.split(".")
    for depth, part in enumerate(parts):
        child = OmegaConf.select(config, ".".join(parts[: depth + 1]))
        if not isinstance(parent, DictConfig) or part not in parent:
            where = ".".join(parts[:depth])
            known = [str(k) for k in parent if not str(k).startswith("_")] if isinstance(parent, DictConfig) else []
            group, option = parts[0], config.hydra.runtime.choices.get(parts[0])
            file = f" (conf/{group}/{option}.yaml)" if option else ""
            return ConfigError(
                f"There is no key '{key}'{file}." if where else f"There is no key '{part}'.",
                did_you_mean(part, known),
            )
        parent = child
    return ConfigError(f"'{key}' cannot be set.", "It is there already: leave out the +.")


def _composed_without_values(overrides: Sequence[str]) -> DictConfig | None:
    """The config with the group choices of the overrides only, to tell which keys there are."""
    chosen = [o for o in expand(overrides) if "." not in o.partition("=")[0] and (o.partition("=")[0] in groups())]
    try:
        OverridesParser.create().parse_overrides(chosen)
        return loader().load_configuration(ROOT_CONFIG, chosen, run_mode=RunMode.RUN)
    except (ConfigCompositionException, OmegaConfBaseException, MissingConfigException):
        return None


def groups() -> set[str]:
    """The names of the config groups."""
    return {path.name for folder in library.config_folders() for path in folder.iterdir() if path.is_dir()}


def check_top_level_keys(config: Mapping[str, Any]) -> None:
    """Refuses top-level keys that nothing reads."""
    known = {*yaml.safe_load((library.root() / "conf" / f"{ROOT_CONFIG}.yaml").read_text()), *groups(), *DESCRIPTIVE}
    for key in config:
        if key not in known:
            raise ConfigError(f"There is no top-level key '{key}'.", did_you_mean(key, known - {"defaults", "hydra"}))


def check_top_level_values(config: Mapping[str, Any]) -> None:
    """Refuses values of the keys of conf/train.yaml itself that cannot be."""
    wanted: dict[str, tuple[Callable[[Any], bool], str]] = {
        "seed": (lambda v: type(v) is int, "a whole number"),
        "tags": (lambda v: isinstance(v, list) and all(isinstance(t, str) for t in v), "a list of words"),
        "name": (
            lambda v: isinstance(v, str) and re.fullmatch(r"\w[\w.-]*", v) is not None,
            "a word of letters, digits, and . _ - after the first",
        ),
    }
    for key, (fits, meaning) in wanted.items():
        if not fits(config[key]):
            raise ConfigError(f"{key}={config[key]!r}: it has to be {meaning}.")


def check_sweep(sweep: Mapping[str, Any]) -> None:
    """Refuses values of the keys below `sweep` that cannot be."""

    def is_count(value: Any) -> bool:
        return type(value) is int and value >= 0

    wanted: dict[str, tuple[Callable[[Any], bool], str]] = {
        "name": (
            lambda v: v is None or (isinstance(v, str) and re.fullmatch(r"\w[\w.-]*", v) is not None),
            "a word of letters, digits, and . _ - after the first",
        ),
        "max_failures": (lambda v: v is None or (is_count(v) and v > 0), "a whole number above zero, or null"),
        "retries": (is_count, "a whole number"),
        "wandb_runs": (is_count, "a whole number"),
        "dense": (lambda v: v is None or isinstance(v, bool), "true, false or null"),
        "figure": (lambda v: v is None or (isinstance(v, dict) and "_target_" in v), "a `_target_` with arguments"),
    }
    for key, (fits, meaning) in wanted.items():
        if not fits(sweep[key]):
            raise ConfigError(f"sweep.{key}={sweep[key]!r}: it has to be {meaning}.")
