"""What a configuration may say to Hydra itself, which would call whatever it names: loggers, callbacks, plugins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_search_path import ConfigSearchPath
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from expkit import source
from expkit.config_sources import Sources
from expkit.errors import ConfigError
from expkit.identity import targets
from expkit.interpolation import bounded

PLUGINS = ("launcher", "sweeper")
LOGGING = ("hydra_logging", "job_logging")
HANDLERS = frozenset({"logging.StreamHandler", "logging.NullHandler"})


class ConfigLoader(ConfigLoaderImpl):
    """Hydra's, which looks at every file first, and at the settings of Hydra in them before anybody acts on them."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = Sources(config_search_path)

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        config = super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        check(config, run_mode)
        return config


def check(config: DictConfig, run_mode: RunMode) -> None:
    """Refuses settings of Hydra that would run code which a configuration may not name.

    Args:
        config: as Hydra composed it.
        run_mode: of a sweep, launcher and sweeper will be made; of a run, they are not.

    Raises:
        ConfigError: naming the setting.
    """
    for name, node in (_plain(config, "callbacks") or {}).items():
        for target in targets(node):
            _check_target(f"hydra.callbacks.{name}", target)
    if run_mode is RunMode.MULTIRUN:
        for plugin in PLUGINS:
            _check_plugin(f"hydra.{plugin}", _plain(config, plugin))
    for kind in LOGGING:
        _check_logging(f"hydra.{kind}", _plain(config, kind, resolve=False))
    if _plain(config, "job.env_set", resolve=False):
        raise ConfigError("hydra.job.env_set: a configuration does not set variables.", "Set them in your shell.")


def _plain(config: DictConfig, key: str, resolve: bool = True) -> Any:
    node = OmegaConf.select(config, f"hydra.{key}")
    with bounded():
        return OmegaConf.to_container(node, resolve=resolve) if OmegaConf.is_config(node) else node


def _check_plugin(key: str, node: Any) -> None:
    """Hydra sees to it that a plugin is one, and would build all that is in its arguments."""
    if not isinstance(node, dict):
        raise ConfigError(f"{key} is {node!r}, not a plugin.", f"Choose one: {key.replace('.', '/')}=...")
    for name, value in node.items():
        for target in targets(value):
            _check_target(f"{key}.{name}", target)
    for text in _texts(node):
        if any(not character.isprintable() for character in text):
            raise ConfigError(f"{key} has a value with characters that are no text: {text!r}.")


def _check_target(key: str, target: str) -> None:
    try:
        source.resolve(target)
    except ConfigError as error:
        raise ConfigError(f"{key}._target_: {error.message}", error.hint) from error


def _check_logging(key: str, node: Any) -> None:
    """Python's own configuration of logging calls what stands under `()`, `class` and behind `ext://`."""
    for name, value in _items(node):
        if name in ("()", "class", "filename") and not (name == "class" and value in HANDLERS):
            raise ConfigError(
                f"{key} names {value!r} as something to be called or written to.",
                f"expkit keeps its own records; leave {key.replace('.', '/')} at none.",
            )
        if isinstance(value, str) and "://" in value and value not in ("ext://sys.stdout", "ext://sys.stderr"):
            raise ConfigError(f"{key} names {value!r}.", f"Leave {key.replace('.', '/')} at none.")


def _items(node: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth; values of lists without a key."""
    if isinstance(node, dict | list):
        for name, value in node.items() if isinstance(node, dict) else (("", item) for item in node):
            yield str(name), value
            yield from _items(value)


def _texts(node: Any) -> Iterator[str]:
    yield from (value for _, value in _items(node) if isinstance(value, str))
