"""The configurations of many jobs at once: Hydra composes what they share, and their values are put in place."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from omegaconf import OmegaConf

from expkit import compose
from expkit.compose import Composed
from expkit.errors import ConfigError
from expkit.sweeps.frame import Frame
from expkit.sweeps.overrides import Setting, overlap, setting

Slot = str | tuple[str, bool]


def compose_jobs(base: Sequence[str], jobs: Sequence[Sequence[str]]) -> list[Composed | ConfigError]:
    """What `expkit.compose.compose([*base, *job])` gives for each job, or the error that it raises.

    10,000 jobs take a second or two where they differ in values of keys that exist. Their configurations share what
    does not differ and must not be changed.

    Args:
        base: overrides of all jobs.
        jobs: each job's own; Hydra's sweepers give a job all of its overrides, with nothing in `base`.
    """
    composer = Composer()
    return [composer.composed([*base, *job]) for job in jobs]


class Composer:
    """Reads every override once, and makes a frame when a job needs another one; remembers both."""

    def __init__(self) -> None:
        self._groups = compose.groups()
        self._settings: dict[str, Setting | None] = {}
        self._movable: dict[tuple[Slot, ...], tuple[int, ...]] = {}
        self._frames: dict[tuple[Any, ...], Frame | ConfigError | None] = {}

    def composed(self, overrides: list[str]) -> Composed | ConfigError:
        """One job's configuration, or why it has none."""
        settings = [self._setting(override) for override in overrides]
        slots = tuple(o if s is None else s.slot for o, s in zip(overrides, settings, strict=True))
        if slots not in self._movable:
            self._movable[slots] = movable(slots, self._groups)
        values = {s.key: s for i in self._movable[slots] if (s := settings[i]) is not None}  # the last one wins
        fixed = tuple(o for o, s in zip(overrides, settings, strict=True) if s is None or s.key not in values)
        if (slots, fixed) not in self._frames:
            self._frames[slots, fixed] = _frame(overrides, list(values))
        frame = self._frames[slots, fixed]
        if frame is None or (isinstance(frame, ConfigError) and any(s.override in str(frame) for s in values.values())):
            return _alone(overrides)
        if isinstance(frame, ConfigError):
            return frame
        config = frame.config(values)
        return config if isinstance(config, ConfigError) else Composed(config, overrides, frame.choices)

    def _setting(self, override: str) -> Setting | None:
        if override not in self._settings:
            self._settings[override] = setting(override, self._groups)
        return self._settings[override]


def _alone(overrides: list[str]) -> Composed | ConfigError:
    try:
        return compose.compose(overrides)
    except ConfigError as error:
        return error


def movable(slots: Sequence[Slot], groups: Collection[str]) -> tuple[int, ...]:
    """The positions of overrides that may be applied last, because no other sets the same thing or a part of it."""
    keys = [slot[0] for slot in slots if not isinstance(slot, str)]
    others = [key for slot in slots if isinstance(slot, str) and (key := _key(slot, groups))]
    return tuple(
        position
        for position, slot in enumerate(slots)
        if not isinstance(slot, str)
        and not any(overlap(slot[0], other) for other in others)
        and not any(overlap(slot[0], other) for other in keys if other != slot[0])
    )


def _key(override: str, groups: Collection[str]) -> str | None:
    """The key that an override sets, adds or deletes; None if it chooses an option, which comes before all values."""
    key, _, value = override.lstrip("+~").partition("=")
    is_choice = key.partition("@")[0].partition("/")[0] in groups and not value.lstrip().startswith("{")
    return None if is_choice else key.partition("[")[0]


def _frame(overrides: list[str], keys: list[str]) -> Frame | ConfigError | None:
    """The frame of a job; the error that all of its jobs have; None if they cannot be made from one."""
    try:
        config, chosen = compose.load(overrides)
        plain = OmegaConf.to_container(config)
        return Frame(config, chosen, keys) if all(_exists(plain, key) for key in keys) else None
    except ConfigError as error:
        return error


def _exists(config: Any, key: str) -> bool:
    node = config
    for name in key.split("."):
        if not isinstance(node, dict) or name not in node:
            return False
        node = node[name]
    return True
