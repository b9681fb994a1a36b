"""The loggers of one run. W&B's is started before torch is loaded, so that its start costs no time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from expkit.build import build
from expkit.records.files import write_json
from expkit.records.record import Record

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from expkit.loggers.wandb_session import WandbSession

WANDB = "expkit.loggers.wandb.WandbLogger"
ENDINGS: dict[str, Literal["finished", "interrupted"]] = {"complete": "finished", "interrupted": "interrupted"}


class RunLoggers:
    """What the configuration's `logger` group names, fed with one run.

    Args:
        config: of the run.
        record: of the run; each logger keeps its files in a folder of its own in it.
        warn: is told of whatever goes wrong; no logger ever stops a training.
    """

    def __init__(self, config: Mapping[str, Any], record: Record, warn: Callable[[str], None]) -> None:
        self._nodes = dict(config["logger"] or {})
        self._facts: dict[str, Any] = {
            "folder": record.folder,
            "run_id": record.run_id,
            "name": f"{record.experiment}-{record.run_id}",
            "config": dict(config),
        }
        self._record = record
        self.wandb: WandbSession | None = None
        for node in self._nodes.values():
            if node.get("_target_") == WANDB:
                from expkit.loggers.wandb_session import WandbSession

                settings = {key: value for key, value in node.items() if key != "_target_"}
                self.wandb = WandbSession(**self._facts, **settings, resume=record.checkpoint.exists(), warn=warn)

    def for_lightning(self) -> list[Logger]:
        """The loggers as Lightning's Trainer takes them."""
        return [self._lightning(name, node) for name, node in self._nodes.items()]

    def finish(self, state: str, summary: Mapping[str, Any]) -> None:
        """Hands over the last values and the figures; waits a little for what is still to be written."""
        if self.wandb is not None:
            for figure in sorted((self._record.folder / "figures").glob("*.png")):
                self.wandb.figure(figure.stem, figure)
            self.wandb.summary({**summary, "expkit/status": state})
            if self.wandb.url:
                write_json(self._record.folder / "wandb.json", {"url": self.wandb.url})
            self.wandb.finish(ENDINGS.get(state, "failed"))

    def _lightning(self, name: str, node: Mapping[str, Any]) -> Logger:
        if node.get("_target_") == WANDB:
            from expkit.loggers.wandb import WandbLogger

            assert self.wandb is not None
            return WandbLogger(self.wandb)
        logger: Logger = build(node, f"logger.{name}", **self._facts)
        return logger
