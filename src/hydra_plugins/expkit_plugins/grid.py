"""`hydra/sweeper=grid`: Hydra's own sweeper, which looks at the jobs quickly before it launches them."""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class GridSweeper(BasicSweeper):
    """All combinations of the values. Hydra composes each job twice; expkit's jobs are looked at all at once."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        validate = getattr(getattr(self.launcher, "task_function", None), "validate", None)
        if validate is None:
            super().validate_batch_is_legal(batch)
        else:
            validate(batch)
