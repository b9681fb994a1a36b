"""From command-line overrides to one resolved configuration, or to one message that says why not.

Imports nothing heavy: a mistake on the command line is reported before torch is loaded.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from expkit import interpolation, library, schema, yaml_files
from expkit.errors import ConfigError, UserError, did_you_mean
from expkit.extras import require_extra
from expkit.hydra_settings import ConfigLoader
from expkit.overrides import hydra_value

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
    with composing(overrides):
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
    check(plain, choices)
    return Composed(plain, list(overrides), choices)


def check(config: Mapping[str, Any], choices: Mapping[str, str] | None = None) -> None:
    """Refuses a resolved configuration, wherever it comes from, that is not a run that could be started.

    Args:
        config: in plain dicts and lists.
        choices: the option chosen of each group, where that is known.

    Raises:
        ConfigError: naming the key, and what is wrong with it.
    """
    check_top_level_keys(config)
    check_top_level_values(config)
    if config.get("requires"):
        require_extra(config["requires"], config["name"])
    schema.check(config, choices)


def named(config: DictConfig, chosen: Mapping[str, Any]) -> dict[str, str]:
    """Gives a configuration its name, where it has none; returns the option of each group of expkit's own."""
    choices = {group: option for group, option in chosen.items() if isinstance(option, str) and "/" not in group}
    default = choices.get("experiment") or f"{choices.get('data', 'data')}-{choices.get('model', 'model')}"
    with open_dict(config), suppress(OmegaConfBaseException):  # an interpolation that leads nowhere: told by `resolved`
        config.name = default if OmegaConf.is_missing(config, "name") else config.name or default
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
    if not isinstance(scales, dict) or not all(isinstance(each, dict | None) for each in scales.values()):
        raise ConfigError(f"Experiment '{experiment}': its scales are {scales!r}.", "Write scales: {smoke: {key: 1}}.")
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
    config = yaml_files.read(path)
    if not isinstance(config, dict | None):
        raise ConfigError(f"{path} is not a mapping.", "Write keys with values.")
    return config or {}


def search_path() -> ConfigSearchPathImpl:
    """Where Hydra looks for configs, first match first."""
    path = ConfigSearchPathImpl()
    path.append("hydra", "pkg://hydra.conf")
    for number, folder in enumerate(library.config_folders()):
        path.append("main" if number == 0 else "expkit", f"file://{folder}")
    path.append("schema", "structured://")
    return path


@cache
def loader() -> ConfigLoader:
    from hydra.core.plugins import Plugins
    from hydra.core.utils import setup_globals

    # A launcher's YAML is checked against its dataclass, which is found by its name: meant here, deprecated in Hydra.
    warnings.filterwarnings("ignore", message=r"\s*'hydra/\w+/\w+' is validated against ConfigStore schema")
    setup_globals()
    Plugins.instance()  # finds the kinds of config sources, among others
    interpolation.register_resolvers()
    return ConfigLoader(config_search_path=search_path())


@contextmanager
def composing(overrides: Sequence[str]) -> Iterator[None]:
    """`explained`, for composition only: nothing that Hydra raises at strange overrides or files is a fault of expkit.

    Raises:
        ConfigError: whatever it is.
    """
    with explained(overrides):
        try:
            yield
        except (UserError, HydraException, OmegaConfBaseException, ValueError):
            raise
        except RecursionError as error:
            raise ConfigError("An override or a file nests too deeply.") from error
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), "")
            raise ConfigError(
                f"Hydra cannot compose this ({type(error).__name__}{': ' if reason else ''}{reason[:200]}).",
                "Write key=value; --debug shows where it fails.",
            ) from error


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
        raise _own(error) or _unknown_key(error, overrides) from error
    except ValueError as error:  # Hydra's own: an option that is no word, such as model=3
        reason = next(iter(str(error).strip().splitlines()), repr(error)).rstrip(".")
        raise ConfigError(f"{reason}.", "A group's option is the name of a file.") from error


def _own(error: BaseException | None) -> ConfigError | None:
    """What expkit itself said of a configuration, where Hydra or OmegaConf have made an error of theirs of it."""
    while error is not None and not isinstance(error, ConfigError):
        error = error.__cause__ or error.__context__
    return error


def _choice(overrides: Sequence[str], group: str) -> str | None:
    chosen = [o.partition("=")[2] for o in overrides if o.partition("=")[0] == group]
    return chosen[-1] if chosen and chosen[-1] not in ("null", "") else None


def resolved(config: DictConfig, choices: dict[str, str]) -> dict[str, Any]:
    """Plain dicts and lists, interpolations replaced by what they stand for.

    Raises:
        ConfigError: one of them stands for nothing.
    """
    try:
        with interpolation.bounded():
            plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise _unresolved(error, choices) from error
    except RecursionError as error:
        raise ConfigError("The configuration nests too deeply.") from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _unresolved(error: OmegaConfBaseException, choices: dict[str, str]) -> ConfigError:
    missing = re.search(r"data\.spec\.(\w+)", str(error.msg or error))
    key = str(error.full_key)
    if own := _own(error):
        return ConfigError(f"{key}: {own.message}", own.hint)
    group = key.split(".")[0]
    task = options("task").get(choices.get("task", ""))
    if missing and group == "model" and task and "${" + missing[0] + "}" in task.read_text("utf-8", "replace"):
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
            f"{group}={choices[group]} needs data with {fact}, but data={choices.get('data')} has none "
            f"({key} asks for data.spec.{missing[1]}).",
            f"Without that need: {group}={' | '.join(fitting)}." if fitting else None,
        )
    return ConfigError(f"{key}: {next(iter(str(error.msg or error).splitlines()), repr(error))}.")


def _options_without(text: str, group: str) -> list[str]:
    return [
        name for name, path in options(group).items() if "${" + text + "}" not in path.read_text("utf-8", "replace")
    ]


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
        lines = [line.strip() for line in text.splitlines() if line.strip()][:2]  # where, and what is wrong
        return ConfigError(" ".join(lines) or repr(error))
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
    except Exception:  # whatever is wrong with these, it is not what is to be explained
        return None


def groups() -> set[str]:
    """The names of the config groups."""
    return {path.name for folder in library.config_folders() for path in folder.iterdir() if path.is_dir()}


NEEDED = ("data", "task", "trainer", "optimizer")
"""Groups of which an option is built in every run."""
OPTIONAL = ("model", "scheduler", "population")
"""Groups whose option may be empty."""


def check_top_level_keys(config: Mapping[str, Any]) -> None:
    """Refuses top-level keys that nothing reads, missing ones, and groups without anything that could be built."""
    own = yaml_files.read(library.root() / "conf" / f"{ROOT_CONFIG}.yaml")
    known = {*own, *groups(), *DESCRIPTIVE}
    for key in config:
        if key not in known:
            raise ConfigError(f"There is no top-level key '{key}'.", did_you_mean(key, known - {"defaults", "hydra"}))
    for key in (*NEEDED, "model", "scheduler", *schema.COLLECTED - {"transforms"}, "paths", "seed", "name", "tags"):
        if key not in config:
            raise ConfigError(f"The configuration has no '{key}'.", "An override or a file has deleted it.")
    for key in (*NEEDED, *OPTIONAL):
        node = config.get(key)
        if not (isinstance(node, dict) and "_target_" in node) and (node or key in NEEDED):
            raise ConfigError(f"{key} is nothing that can be built: {_brief(node)}.", f"Choose one: {key}=...")
    for key in schema.COLLECTED:
        node = config.get(key)
        for name, item in node.items() if isinstance(node, dict) else [("", node)] if node else []:
            if not isinstance(item, dict):
                place = f"{key}.{name}" if name else key
                raise ConfigError(f"{place} is nothing that can be built: {_brief(item)}.", f"Choose one: {key}=[...]")


def check_top_level_values(config: Mapping[str, Any]) -> None:
    """Refuses values of the keys of conf/train.yaml itself that cannot be."""
    mapping: tuple[Callable[[Any], bool], str] = (lambda v: isinstance(v, dict | None), "a mapping")
    wanted: dict[str, tuple[Callable[[Any], bool], str]] = {
        "seed": (lambda v: type(v) is int, "a whole number"),
        "tags": (lambda v: isinstance(v, list) and all(isinstance(t, str) for t in v), "a list of words"),
        "name": (_is_name, A_NAME),
        "paths": (
            lambda v: isinstance(v, dict) and isinstance(v.get("runs"), str) and v["runs"] != "",
            "a mapping in which `runs` is a folder",
        ),
        "requires": (lambda v: isinstance(v, str | None), "the name of an extra, or null"),
        **dict.fromkeys(("paper", "study", "scales", "sweep"), mapping),
    }
    for key, (fits, meaning) in wanted.items():
        if key in config and not fits(config[key]):
            raise ConfigError(f"{key}={_brief(config[key])}: it has to be {meaning}.")
    trial = (config.get("sweep") or {}).get("trial")
    if not isinstance(trial, dict | None):
        raise ConfigError(f"sweep.trial={_brief(trial)}: it has to be a mapping.", "Sweepers that search set it.")


A_NAME = "a word of letters, digits, and . _ - after the first, at most 100"


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\w[\w.-]{0,99}", value) is not None


def _brief(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # thousands of digits
        return "a number that is too large"
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_sweep(sweep: Mapping[str, Any]) -> None:
    """Refuses values of the keys below `sweep` that cannot be."""

    def is_count(value: Any) -> bool:
        return type(value) is int and value >= 0

    wanted: dict[str, tuple[Callable[[Any], bool], str]] = {
        "name": (lambda v: v is None or _is_name(v), A_NAME),
        "max_failures": (lambda v: v is None or (is_count(v) and v > 0), "a whole number above zero, or null"),
        "retries": (is_count, "a whole number"),
        "wandb_runs": (is_count, "a whole number"),
        "dense": (lambda v: v is None or isinstance(v, bool), "true, false or null"),
        "figure": (lambda v: v is None or (isinstance(v, dict) and "_target_" in v), "a `_target_` with arguments"),
    }
    for key, (fits, meaning) in wanted.items():
        if not fits(sweep[key]):
            raise ConfigError(f"sweep.{key}={sweep[key]!r}: it has to be {meaning}.")
