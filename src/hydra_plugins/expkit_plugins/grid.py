"""`hydra/sweeper=grid`: Hydra's own sweeper, which looks at the jobs quickly before it launches them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser


class GridSweeper(BasicSweeper):
    """All combinations of the values that `params` and the command line list; the command line wins.

    Hydra's own composes each job twice; expkit's jobs are looked at all at once.
    """

    def sweep(self, arguments: list[str]) -> Any:
        define = getattr(getattr(self.launcher, "task_function", None), "define", None)
        if define is None:
            return super().sweep(arguments)
        from expkit.sweeps.spaces import check_count, spelled_out

        assert self.launcher is not None
        assert self.hydra_context is not None
        params = spelled_out(f"{key}={value}" for key, value in (self.params or {}).items())
        parsed = OverridesParser.create(self.hydra_context.config_loader).parse_overrides([*params, *arguments])
        check_count(parsed)
        batches: list[Sequence[Sequence[str]]] = list(self.split_arguments(parsed, self.max_batch_size))
        define([job for batch in batches for job in batch])
        returned = []
        first = 0
        for batch in batches:
            returned.append(self.launcher.launch(batch, initial_job_idx=first))
            first += len(batch)
        return returned
