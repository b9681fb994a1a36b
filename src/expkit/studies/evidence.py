"""What a study left: its verdicts, and what they rest on.

Imports nothing heavy: `expkit list` asks of every experiment whether its evidence is stale.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit import library, source, yaml_files
from expkit.errors import ConfigError, UserError
from expkit.records.files import read_json, write_json
from expkit.source.modules import stamp

if TYPE_CHECKING:
    from expkit.studies.study import Studied

FILE = "results.json"
STATISTICS = 1
"""Counted up when the same runs and the same study.py may give other verdicts than before."""
PACKAGES = ("torch", "lightning", "numpy", "scipy", "polars", "hydra-core")


def evidence(experiment: str) -> dict[str, Any] | None:
    """The contents of the results.json beside an experiment's study; None if there is none, or not a whole one."""
    folder = _folder(experiment)
    found = read_json(folder / FILE) if folder else None
    return found if found and isinstance(found.get("claims"), list) else None


def is_stale(experiment: str, thorough: bool = False) -> bool | None:
    """Whether the study would now have other runs or other claims than its evidence; None without evidence.

    That is decided by the run ids. They are composed only where a file that they depend on says something else than it
    did; `thorough` composes them in any case.
    """
    found = evidence(experiment)
    if found is None:
        return None
    rests = found.get("rests_on") or {}
    try:
        if not thorough and _is_as_it_was(rests["inputs"]):
            return False
        return _has_changed(experiment, rests, thorough)
    except (KeyError, TypeError, ConfigError):  # written by another version, or the study cannot be composed any more
        return True


def _is_as_it_was(inputs: Mapping[str, Any]) -> bool:
    return _bytes(inputs["configs"], inputs["modules"]) == inputs["bytes"]


def _has_changed(experiment: str, rests: Mapping[str, Any], thorough: bool) -> bool:
    inputs = rests["inputs"]
    if rests["study"] != study_hash(experiment):
        return True
    same = _contents(inputs["configs"]) == inputs["contents"] and code_hash(inputs["targets"]) == inputs["code"]
    if same and not thorough:
        return False
    from expkit.studies.plan import plan

    return _are_others(plan(experiment), rests["runs"])


def describe(studied: Studied) -> dict[str, Any]:
    """The stable fields of `reproduce --json` for a study."""
    return {
        "experiment": studied.experiment,
        "claims": [
            {"claim": claim.text, "paper": claim.paper, **result.as_json()} for claim, result in studied.verdicts
        ],
        "runs": len(studied.runs),
        "failed": [vars(failed) for failed in studied.failed],
    }


def write(studied: Studied) -> Path:
    """Writes the figure, the README's generated block, and results.json, in this order; returns the folder.

    Raises:
        UserError: runs failed, the study's code was changed since it was loaded, or the folder cannot be written.
    """
    from expkit.studies.claims import study_code
    from expkit.studies.drawing import draw
    from expkit.studies.readme import write_block

    if studied.failed:
        raise UserError(
            f"{len(studied.failed)} runs of '{studied.experiment}' failed, so that nothing was written.",
            "The same command runs them again.",
        )
    if study_code(studied.folder) != studied.code:
        raise UserError(
            f"The code in {studied.folder} was changed while the study ran, so that nothing was written.",
            "The same command evaluates it as it is now; the runs are there.",
        )
    facts = {**describe(studied), **_rests_on(studied)}
    try:
        if studied.panels:
            draw(studied.panels, studied.runs, studied.folder / "figure.png")
        write_block(studied.folder / "README.md", facts, bool(studied.panels))
        write_json(studied.folder / FILE, facts)
    except OSError as error:
        raise UserError(f"Evidence cannot be written to {studied.folder}: {error.strerror or error}.") from error
    return studied.folder


def study_hash(experiment: str) -> str:
    """A hash of the study's code and of what it imports beside it, without comments and formatting."""
    package = f"experiments.{experiment}"
    own = source.closure([f"{package}.study"])
    return _digest([f"statistics {STATISTICS}", *(f"{name} {own[name]}" for name in own if name.startswith(package))])


def code_hash(targets: Iterable[Sequence[str]]) -> str:
    """A hash of the code that each of some sets of targets uses."""
    return _digest(source.closure_hash(own) for own in targets)


def _rests_on(studied: Studied) -> dict[str, Any]:
    import platform
    from datetime import UTC, datetime
    from importlib import metadata

    from expkit import __version__
    from expkit.records import environment

    git = environment.git(studied.folder)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "rests_on": {
            "runs": _runs(studied.arms),
            "study": study_hash(studied.experiment),
            "inputs": _inputs(studied),
            "commit": git and git["commit"],
            "uncommitted_changes": bool(git and git["diff"]),
            "packages": {
                "expkit": __version__,
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in PACKAGES},
            },
            "machine": environment.hardware(),
        },
    }


def _runs(arms: Sequence[Any]) -> dict[str, Any]:
    """The number of runs of each arm and their ids; of large arms, those of evenly spread runs, as a hash."""
    from expkit.studies.plan import ids

    found = {}
    for arm in arms:
        own = ids(arm)
        found[arm.name] = {"count": len(arm.jobs), "ids": own if len(own) <= 100 else _digest(own)}
    return found


def _are_others(arms: Sequence[Any], recorded: Mapping[str, Any]) -> bool:
    """Whether the arms have other runs than are recorded.

    The first run of each arm is composed before all: what changes one changes most, and there may be thousands.
    """
    from expkit.studies.plan import ids

    known = {name: own["ids"] for name, own in recorded.items() if isinstance(own["ids"], list)}
    return any(arm.name in known and known[arm.name][:1] != ids(arm, 1) for arm in arms) or recorded != _runs(arms)


def _inputs(studied: Studied) -> dict[str, Any]:
    """The files that the run ids depend on, and hashes of what they say."""
    from expkit.compose import Composed
    from expkit.identity import targets
    from expkit.studies.plan import config_files

    configs, used = set[str](), set[tuple[str, ...]]()
    for arm in studied.arms:
        configs |= config_files(arm)
        for one in arm.composed(arm.looked_at):
            if isinstance(one, Composed):
                pieces = {key: value for key, value in one.config.items() if key != "trainer"}
                used.add(tuple(sorted(set(targets(pieces)))))
    package = f"experiments.{studied.experiment}"
    modules = {*source.closure(target for own in used for target in own)}
    modules |= {name for name in source.closure([f"{package}.study"]) if name.startswith(package)}
    return {
        "configs": sorted(configs),
        "contents": _contents(sorted(configs)),
        "targets": sorted(map(list, used)),
        "code": code_hash(sorted(used)),
        "modules": sorted(modules),
        "bytes": _bytes(sorted(configs), sorted(modules)),
    }


def _folder(experiment: str) -> Path | None:
    from expkit.studies.claims import study_file

    file = study_file(experiment)
    return file.parent if file else None


def _bytes(configs: Iterable[str], modules: Iterable[str]) -> str:
    return _digest([*map(_config_bytes, configs), *map(_module_bytes, modules)])


def _contents(configs: Iterable[str]) -> str:
    return _digest(map(_config_contents, configs))


def _config_bytes(name: str) -> str:
    path = _config(name)
    return _file_bytes(path, *stamp(path)) if path else "none"


def _config_contents(name: str) -> str:
    path = _config(name)
    return _file_contents(path, *stamp(path)) if path else "none"


def _module_bytes(name: str) -> str:
    path = source.find_module(name)
    return _file_bytes(path, *stamp(path)) if path and path.is_file() else "none"


@lru_cache(maxsize=8192)
def _file_bytes(path: Path, mtime_ns: int, size: int) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=12).hexdigest()


@lru_cache(maxsize=8192)
def _file_contents(path: Path, mtime_ns: int, size: int) -> str:
    """What a file says, whatever its comments and formatting."""
    try:
        return json.dumps(yaml_files.read(path), default=str)
    except ConfigError:
        return "damaged"


def _config(name: str) -> Path | None:
    return next((path for folder in library.config_folders() if (path := folder / f"{name}.yaml").is_file()), None)


def _digest(words: Iterable[str]) -> str:
    return hashlib.blake2b("\n".join(words).encode(), digest_size=12).hexdigest()
