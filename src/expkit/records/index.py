"""`runs/.index.sqlite`: what `runs()` needs of every record, so that 100,000 of them answer within a second.

The folders are the truth. Each use looks at every status.json (its time, inode and size: some 3 microseconds a run),
takes from the index the rows that were read from just these files, and reads only the records that are new or have
changed. So whatever happens to the index or to the records, an answer is what the folders say; a lost, damaged, locked
or unwritable index costs time and nothing else. What is changed by hand in config.yaml or summary.json alone goes
unnoticed until `expkit runs --rebuild`.

One row a run would take longer to decode than to look at its file, so rows are kept some thousands to a blob of
Parquet, a table by experiment, and what all rows of a blob have in common is kept once. A blob is never changed; small
ones are merged into larger as they come.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.records.columns import Constants, joined, split, stacked
from expkit.records.columns import columns as as_columns
from expkit.records.reading import DAMAGED, read_row
from expkit.records.record import Record

if TYPE_CHECKING:
    import polars

NAME = ".index.sqlite"
VERSION = 2
CHUNK = 10_000
"""Records that are read before they are written down: a rebuild that is stopped goes on from there."""
LARGEST = 200_000
"""Rows of a blob."""
PATIENCE = 2.0
"""Seconds to wait for another process that writes."""

KEY = ("run_id", "_signature")
ALWAYS = ("run_id", "state", "_signature")

Select = Callable[[str], bool]
Part = tuple["polars.DataFrame", Constants]
"""Some rows: the columns that vary among them, and what they have in common."""


class Index:
    """The records below a run store.

    Args:
        root: of the store. Nothing is created but the index, and that only where the folder exists.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / NAME

    def frame(
        self,
        experiments: Collection[str] | None = None,
        select: Select | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> polars.DataFrame:
        """One row a run: 'run_id', 'experiment', 'state', and what `expkit.records.reading.read_row` says.

        Args:
            experiments: only of these.
            select: which other columns are wanted, by name; None for all.
            progress: is told how many records were read, of how many, while there are many to read.
        """
        import polars

        seen = scan(self.root, experiments)
        with self._open() as database:
            parts = [
                (frame, {**constants, "experiment": ("String", name)})
                for name, found in seen.items()
                if not found.is_empty()
                for frame, constants in self._experiment(database, name, found, select, progress)
            ]
        if not parts:
            return polars.DataFrame(schema=dict.fromkeys(("run_id", "experiment", "state"), polars.String))
        return _with_living(self.root, joined(parts))

    def forget(self) -> None:
        """Removes the index; the next use makes it anew."""
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(f"{self.path}{end}").unlink()

    def _experiment(
        self,
        database: sqlite3.Connection | None,
        experiment: str,
        seen: polars.DataFrame,
        select: Select | None,
        progress: Callable[[int, int], None] | None,
    ) -> list[Part]:
        import polars

        try:
            parts = _known(database, experiment, seen, select) if database else []
        except (sqlite3.Error, polars.exceptions.PolarsError, OSError, ValueError):
            self.forget()
            database, parts = None, []
        missing = seen
        if parts:
            keys = polars.concat([frame.select(*KEY) for frame, _ in parts])
            missing = seen.join(keys, on=KEY, how="anti") if len(keys) < len(seen) else seen.clear()
        for start in range(0, len(missing), CHUNK):
            part = missing[start : start + CHUNK]
            fresh = self._read(experiment, part)
            if not len(fresh):
                continue
            if database is not None:
                with contextlib.suppress(sqlite3.Error, polars.exceptions.PolarsError):
                    _insert(database, experiment, fresh)
            parts.append((fresh.select(name for name in fresh.columns if _wanted(name, select)), {}))
            if progress:
                progress(start + len(part), len(missing))
        return parts

    def _read(self, experiment: str, missing: polars.DataFrame) -> polars.DataFrame:
        folder = self.root / experiment
        rows = [
            {**read_row(f"{folder}/{run_id}"), "_signature": signature} for run_id, signature in missing.iter_rows()
        ]
        # One that was deleted meanwhile is not damaged.
        there = [
            row for row in rows if row["state"] != DAMAGED or os.path.exists(f"{folder}/{row['run_id']}/status.json")
        ]
        return as_columns(there)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection | None]:
        """The database, for reading and writing or, where the folder cannot be written, for reading; None without."""
        database = None
        if self.root.is_dir():
            for _ in range(2):
                try:
                    database = _prepared(sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None))
                    break
                except sqlite3.OperationalError:  # locked, or not to be written
                    database = _read_only(self.path)
                    break
                except sqlite3.DatabaseError:
                    self.forget()
        try:
            yield database
        finally:
            if database is not None:
                database.close()


def scan(root: Path, experiments: Collection[str] | None = None) -> dict[str, polars.DataFrame]:
    """The runs that have a status.json, by experiment: columns 'run_id' and '_signature' (of that file)."""
    import polars

    found = {}
    for experiment in sorted(_folders(root) if experiments is None else experiments):
        ids, signatures = _signatures(root / experiment)
        schema = {"run_id": polars.String, "_signature": polars.Int64}
        found[experiment] = polars.DataFrame([ids, signatures], schema=schema)
    return found


def _folders(root: Path) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []


def _signatures(folder: Path) -> tuple[list[str], list[int]]:
    ids: list[str] = []
    signatures: list[int] = []
    try:
        here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return ids, signatures
    try:
        stat = os.stat
        for name in os.listdir(here):
            try:
                status = stat(name + "/status.json", dir_fd=here)  # relative: a shorter way for the kernel
            except OSError:
                continue
            ids.append(name)
            signatures.append(hash((status.st_mtime_ns, status.st_ino, status.st_size)))  # of numbers: always the same
    finally:
        os.close(here)
    return ids, signatures


def _prepared(database: sqlite3.Connection) -> sqlite3.Connection:
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        if database.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            database.executescript(
                f"""BEGIN IMMEDIATE; DROP TABLE IF EXISTS blobs;
                CREATE TABLE blobs (id INTEGER PRIMARY KEY, experiment TEXT NOT NULL, rows INTEGER NOT NULL,
                                    parquet BLOB NOT NULL, constants TEXT NOT NULL);
                CREATE INDEX by_experiment ON blobs (experiment); PRAGMA user_version={VERSION}; COMMIT"""
            )
    except sqlite3.Error:
        database.close()
        raise
    return database


def _read_only(path: Path) -> sqlite3.Connection | None:
    for options in ("mode=ro", "mode=ro&immutable=1"):
        try:
            database = sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, timeout=PATIENCE)
            database.execute("SELECT count(*) FROM blobs").fetchone()
        except sqlite3.Error:
            continue
        return database
    return None


def _known(database: sqlite3.Connection, experiment: str, seen: polars.DataFrame, select: Select | None) -> list[Part]:
    """The rows that were read from just the files that were seen, each run once."""
    import polars

    blobs = database.execute("SELECT parquet, constants FROM blobs WHERE experiment = ? ORDER BY id", (experiment,))
    parts = []
    for blob, common in blobs.fetchall():
        frame, constants = _decoded(blob, common, select)
        valid = frame.select(*KEY).with_row_index("_row").join(seen, on=KEY, how="semi", maintain_order="left")["_row"]
        if len(valid):
            parts.append((frame if len(valid) == len(frame) else frame[valid], constants))
    if len(parts) > 1 and polars.concat([frame["run_id"] for frame, _ in parts]).n_unique() < sum(
        len(frame) for frame, _ in parts
    ):  # two processes have read the same records
        return [(joined(parts).unique("run_id", keep="last", maintain_order=True), {})]
    return parts


def _insert(database: sqlite3.Connection, experiment: str, fresh: polars.DataFrame) -> None:
    """Adds rows, in one blob with those that are not more: so there are few blobs, and a row is rarely rewritten."""
    database.execute("BEGIN IMMEDIATE")
    try:
        held = database.execute(
            "SELECT id, rows FROM blobs WHERE experiment = ? ORDER BY id DESC", (experiment,)
        ).fetchall()
        merged, total = [], len(fresh)
        for number, rows in held:
            if rows > total or rows + total > LARGEST:
                break
            merged.append(number)
            total += rows
        frames = [fresh]
        for number in merged:
            cursor = database.execute("SELECT parquet, constants FROM blobs WHERE id = ?", (number,))
            blob, common = cursor.fetchone()
            frames.append(joined([_decoded(blob, common, None)]))
            database.execute("DELETE FROM blobs WHERE id = ?", (number,))
        frame, constants = split(stacked(frames).unique("run_id", keep="first", maintain_order=True), ALWAYS)
        encoded = io.BytesIO()
        frame.write_parquet(encoded, compression="zstd", statistics=False)
        row = (experiment, len(frame), encoded.getvalue(), json.dumps(constants))
        database.execute("INSERT INTO blobs (experiment, rows, parquet, constants) VALUES (?, ?, ?, ?)", row)
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


def _decoded(blob: bytes, constants: str, select: Select | None) -> Part:
    import polars

    common = {name: (kind, value) for name, (kind, value) in json.loads(constants).items() if _wanted(name, select)}
    if select is None:
        return polars.read_parquet(io.BytesIO(blob)), common
    names = [name for name in polars.read_parquet_schema(io.BytesIO(blob)) if _wanted(name, select)]
    return polars.read_parquet(io.BytesIO(blob), columns=names), common


def _wanted(name: str, select: Select | None) -> bool:
    return select is None or name in ALWAYS or select(name)


def _with_living(root: Path, frame: polars.DataFrame) -> polars.DataFrame:
    """The same with 'running' made 'interrupted' where no process holds the run any more."""
    import polars

    running = frame.with_row_index("_row").filter(polars.col("state") == "running")
    dead = [
        row
        for row, experiment, run_id in running.select("_row", "experiment", "run_id").iter_rows()
        if not Record(root / experiment / run_id).is_claimed()
    ]
    if not dead:
        return frame
    state = frame["state"].scatter(dead, "interrupted")
    return frame.with_columns(state)
