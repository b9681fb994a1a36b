"""Where Hydra reads configuration from: folders, every file of which is looked at first, and Hydra's own package."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.config_source import ConfigResult, ConfigSource

from expkit import yaml_files
from expkit.errors import ConfigError


class Sources(ConfigRepository):
    """The places of a search path, each read by a source of this module."""

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        self.sources = [_source(str(each.provider), str(each.path)) for each in config_search_path.get_path()]


def _source(provider: str, path: str) -> ConfigSource:
    scheme, separator, _ = path.partition("://")
    if path == "pkg://hydra.conf":
        return HydrasOwn(provider, path)
    if scheme == "structured":
        return StructuredConfigSource(provider, path)
    if scheme == "file" or not separator:
        return Folder(provider, path)
    raise ConfigError(
        f"hydra.searchpath={path}: configurations are read from folders only; looking into a package would import it.",
        "Name a folder: file://FOLDER.",
    )


class Folder(FileConfigSource):
    """A folder. What a name such as `../x` leads to outside of it is not there."""

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(self.path) / self._normalize_file_name(config_path)
        yaml_files.check(path)
        # Hydra takes the defaults list out of what it is given.
        return deepcopy(_said(self.provider, self.path, config_path, path, *yaml_files.stamp(path)))

    def is_group(self, config_path: str) -> bool:
        return _is_inside(config_path) and super().is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        return _is_inside(config_path) and super().is_config(config_path)


@lru_cache(maxsize=1024)  # a sweep or a study composes from the same files again and again
def _said(provider: str, folder: str, config_path: str, path: Path, mtime_ns: int, size: int) -> ConfigResult:
    """What is in a configuration's file."""
    try:
        return FileConfigSource(provider, folder).load_config(config_path)
    except Exception as error:  # of values that their tag does not fit, and of OmegaConf's own grammar
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ConfigError(f"{path}: {reason}.") from error


class HydrasOwn(ImportlibResourcesConfigSource):
    """Hydra's package."""

    def is_group(self, config_path: str) -> bool:
        return _is_inside(config_path) and super().is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        return _is_inside(config_path) and super().is_config(config_path)


LONGEST = 200  # characters of a part of a path: file systems have less than 256 bytes for it


def _is_inside(config_path: Any) -> bool:
    """Whether a name with slashes is one of something within a folder."""
    parts = str(config_path).split("/")
    return ".." not in parts and "\0" not in config_path and all(len(part) < LONGEST for part in parts)
