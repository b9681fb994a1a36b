"""Many runs from one command line, by Hydra's sweeper and launcher."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from expkit.compose import ROOT_CONFIG, expand, explained, search_path
from expkit.outcome import Outcome


def multirun(overrides: Sequence[str], job: Callable[[Any], Outcome]) -> list[Outcome]:
    """Calls `job` with the composed configuration of every combination that the overrides name.

    `job` catches what goes wrong in its run; the sweep goes on.

    Raises:
        ConfigError: the sweep cannot be composed.
    """
    from hydra._internal.hydra import Hydra
    from hydra.core.global_hydra import GlobalHydra

    from expkit.compose import loader

    loader()  # registers the resolvers
    GlobalHydra.instance().clear()
    hydra = Hydra.create_main_hydra2("expkit", search_path())
    try:
        with explained(overrides):
            returned = hydra.multirun(ROOT_CONFIG, job, expand(overrides), with_log_configuration=False)
    finally:
        GlobalHydra.instance().clear()
    return [job_return.return_value for job_return in _flat(returned)]


def _flat(returned: Any) -> Iterable[Any]:
    """Sweepers return the jobs of each batch as a list of their own."""
    for item in returned:
        if isinstance(item, list | tuple):
            yield from _flat(item)
        else:
            yield item
