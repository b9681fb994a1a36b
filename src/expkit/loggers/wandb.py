"""W&B for Lightning's Trainer."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from expkit.loggers.wandb_session import Status, WandbSession

ENDINGS: dict[str, Status] = {"success": "finished", "interrupted": "interrupted"}


class WandbLogger(Logger):
    """Hands what Lightning logs to a `WandbSession`.

    Args:
        session: one that has been started; who started it also finishes it. Without it the logger starts one with the
            arguments below, and finishes it when Lightning is done.
        folder, run_id, name, config: the run's, see `WandbSession`.
        project, entity, group, job_type, tags, notes: as W&B uses the words.
        mode: 'auto' is online if there is a login and W&B's server answers, else offline.
        resume: go on with the run of this id, instead of writing it anew.

    Raises:
        ValueError: there is neither a session, nor a folder and an id to start one.
    """

    def __init__(
        self,
        session: WandbSession | None = None,
        folder: Path | None = None,
        run_id: str | None = None,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        project: str | None = "expkit",
        entity: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: Sequence[str] = (),
        notes: str | None = None,
        mode: Literal["auto", "online", "offline", "disabled"] = "auto",
        resume: bool = False,
    ) -> None:
        super().__init__()
        self._own = session is None
        if session is None:
            if folder is None or run_id is None:
                raise ValueError("give a session, or a folder and a run_id to start one")
            session = WandbSession(
                folder,
                run_id,
                name,
                config,
                project=project,
                entity=entity,
                group=group,
                job_type=job_type,
                tags=tags,
                notes=notes,
                mode="disabled" if getattr(rank_zero_only, "rank", 0) else mode,
                resume=resume,
            )
        self._session = session

    @property
    def name(self) -> str | None:
        """W&B's project."""
        return self._session.project

    @property
    def version(self) -> str:
        """W&B's id of the run."""
        return self._session.run_id

    @property
    def experiment(self) -> WandbSession:
        """The session, once its run has begun: its `log` takes what `wandb.log` takes, `wandb.Histogram` and all.

        W&B's own object of the run is in the process that writes.
        """
        self._session.wait()
        return self._session

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if step is None:
            raise ValueError("metrics are logged at a step")
        self._session.log(metrics, step)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The whole configuration is in the run from its beginning."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self._own:
            self._session.finish(ENDINGS.get(status, "failed"))
