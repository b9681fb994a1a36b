"""The process that writes to W&B on behalf of another; started by `wandb_session`, and by nothing else.

Reads messages from its standard input, and answers on its standard output, one line each. It ends when its input does,
that is with the process that started it, however that ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, Literal

from expkit.loggers.wandb_server import answers, logged_in
from expkit.loggers.wandb_session import HEADER

EXIT_CODES = {"finished": 0, "failed": 1, "interrupted": 255}
PENDING = "upload-pending"
"""A file in the folder of a run that is online: not all of it has been uploaded yet."""

SLURM_KEPT = ("SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_CLUSTER_NAME")

CONNECT_SECONDS = 2.0
INIT_SECONDS = 12.0
LEFT_ALONE_SECONDS = 30.0


def main() -> None:
    # Those who started this process say when to stop; a signal to the whole group is for them to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    forget_slurm()
    messages, replies = _private_pipes()
    writer = Writer(replies)
    while header := messages.read(HEADER.size):
        number, length = HEADER.unpack(header)
        writer.handle(number, messages.read(length))
    writer.end()


class Writer:
    """The runs of one process, by number."""

    def __init__(self, replies: IO[str]) -> None:
        self.replies = replies
        self.runs: dict[int, Any] = {}
        self.offline_because: str | None = None  # found out once: a sweep shall not try in vain for every run

    def handle(self, number: int, message: bytes) -> None:
        kind = "message"
        try:
            kind, contents = pickle.loads(message)
            if kind == "open":
                self.open(number, *contents)
            elif number in self.runs:
                getattr(self, kind)(number, *contents)
        except Exception as error:
            said = f"{type(error).__name__}: {error}".strip()
            if kind == "open":
                self.tell(number, "left out", text=f"W&B is left out of this run. {said}")
            else:
                self.tell(number, "warning", text=f"W&B: {kind} failed. {said}")
        if kind == "finish":
            self.runs.pop(number, None)
            self.tell(number, "finished")

    def open(self, number: int, options: dict[str, Any]) -> None:
        sys.argv = options.pop("argv")
        import wandb

        folder = Path(options["dir"])
        require_space(folder / "wandb")
        mode = self.mode(number, options["mode"])
        if mode == "disabled":
            self.tell(number, "finished")
            return
        if mode == "online":
            before = set((folder / "wandb").glob("run-*"))
            try:
                run = begin(options, "online")
                (Path(run.dir).parent / PENDING).touch()
            except Exception as error:
                self.offline_because = "W&B could not be reached before"
                for leftover in set((folder / "wandb").glob("run-*")) - before:
                    shutil.rmtree(leftover, ignore_errors=True)
                if not self.runs:  # W&B's service takes this run to be in use still
                    wandb.teardown()
                self.tell(
                    number, "warning", text=f"W&B: {reason(error)}. This run is kept offline; `expkit sync` uploads it."
                )
                mode = "offline"
        if mode == "offline":
            run = begin(options, "offline")
        self.runs[number] = run
        self.tell(number, "begun", url=run.url if mode == "online" else None)

    def log(self, number: int, metrics: dict[str, Any], step: int) -> None:
        self.runs[number].log(metrics, step=step)

    def figure(self, number: int, name: str, path: str) -> None:
        import wandb

        # Into the last step's row: a row of its own would have to be a step that was never made.
        run = self.runs[number]
        run.log({f"figures/{name}": wandb.Image(path)}, step=run.step)

    def table(self, number: int, name: str, columns: list[Any], rows: list[list[Any]]) -> None:
        import wandb

        self.runs[number].log({name: wandb.Table(columns=columns, data=rows, allow_mixed_types=True)})

    def summary(self, number: int, values: dict[str, Any]) -> None:
        self.runs[number].summary.update(values)

    def finish(self, number: int, status: str) -> None:
        run = self.runs[number]
        run.finish(exit_code=EXIT_CODES[status])
        folder = Path(run.dir).parent
        (folder / PENDING).unlink(missing_ok=True)
        require_space(folder)

    def mode(self, number: int, wanted: str) -> str:
        """'online', 'offline' or 'disabled'."""
        import wandb

        settings = wandb.setup().settings
        if wanted == "auto" and settings.mode != "online":
            return "offline" if settings.mode == "dryrun" else str(settings.mode)
        if wanted == "offline":
            return "offline"
        because = self.offline_because
        if because is None and not logged_in(settings):
            because = "there is no login (`wandb login`)"
        elif because is None and not answers(settings.base_url, CONNECT_SECONDS):
            because = f"{settings.base_url} does not answer"
        if because is None:
            return "online"
        demanded = self.offline_because is None and "online" in (wanted, os.environ.get("WANDB_MODE"))
        self.offline_because = because
        text = f"W&B keeps this run offline: {because}. `expkit sync` uploads it."
        self.tell(number, "warning" if demanded else "note", text=text)
        return "offline"

    def end(self) -> None:
        """The process that started this one is gone, and left runs unfinished."""
        limit = threading.Timer(LEFT_ALONE_SECONDS, os._exit, args=[1])
        limit.daemon = True
        limit.start()
        for number in list(self.runs):
            self.handle(number, pickle.dumps(("finish", ("interrupted",))))

    def tell(self, number: int, kind: str, **contents: Any) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more
            print(json.dumps([number, kind, contents]), file=self.replies, flush=True)


def forget_slurm() -> None:
    """Takes Slurm's variables out of the environment, but for the job: W&B uploads them all, and one is a key."""
    for name in [name for name in os.environ if name.startswith("SLURM_") and name not in SLURM_KEPT]:
        del os.environ[name]


def begin(options: dict[str, Any], mode: Literal["online", "offline"]) -> Any:
    """Starts W&B's run."""
    import wandb

    keys = ("dir", "id", "name", "config", "project", "entity", "group", "job_type", "tags", "notes")
    return wandb.init(
        **{key: options[key] for key in keys},
        mode=mode,
        resume="allow" if options["resume"] else None,
        reinit="create_new",
        settings=wandb.Settings(
            silent=True,
            quiet=True,
            console="off",
            disable_git=True,
            save_code=False,
            program=sys.argv[0],
            init_timeout=INIT_SECONDS,
            x_save_requirements=False,  # the record has them
            x_stats_pid=options["pid"],
        ),
    )


def reason(error: Exception) -> str:
    """The first line of what W&B says; of a refusal it says nothing."""
    said = str(error).strip().partition("\n")[0].rstrip(".")
    return said if said not in ("", "<no message>") else "the server refused the run; is the login a good one"


def require_space(folder: Path) -> None:
    """Refuses a folder that cannot take a megabyte. W&B itself would go elsewhere, or on without a word.

    Raises:
        OSError: it cannot be written, or its disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(1 << 20))
        file.flush()


def _private_pipes() -> tuple[IO[bytes], IO[str]]:
    """Standard input and output, out of reach of what W&B prints and of the processes it starts."""
    messages = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return messages, replies


if __name__ == "__main__":
    main()
