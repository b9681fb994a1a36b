"""Metric tables from strangers, read first in a process of its own: garbled Parquet can abort the one that reads it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from expkit.harmless import NO_TEXT

LARGEST = 50_000_000  # numbers in a table, which may say much in few bytes
MEMORY = 4 * 2**30  # bytes of addresses that the process may have
SECONDS = 60


def first_fault(tables: Sequence[Path]) -> tuple[Path, str] | None:
    """The first of some files that is not a table as runs write it, and what it is instead: "cannot be read".

    Raises:
        RuntimeError: the process cannot look at any.
    """
    if not tables:
        return None
    command = [sys.executable, "-P", "-m", __name__, *map(str, tables)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
    else:
        if done.returncode == 1:  # Python's own: what a table can do to the process ends it by a signal
            raise RuntimeError(f"tables cannot be looked at:\n{done.stderr.decode(errors='replace')}")
        said = done.stdout
    found = said.decode().splitlines()
    if len(found) < len(tables) and not any(found):
        return tables[len(found)], "cannot be read"
    return next(((path, fault) for path, fault in zip(tables, found, strict=False) if fault), None)


def _fault(path: Path) -> str:
    import polars

    try:
        schema = polars.read_parquet_schema(path)
        if next(iter(schema.items()), None) != ("step", polars.Int64()) or any(
            kind != polars.Float64() or NO_TEXT.search(name) for name, kind in list(schema.items())[1:]
        ):
            return "is not a table of steps and numbers"
        if int(polars.scan_parquet(path).select(polars.len()).collect().item()) * len(schema) > LARGEST:
            return "is larger than such a file can be"
        steps = polars.read_parquet(path)["step"]
        in_order = not steps.null_count() and steps.is_sorted() and not steps.is_duplicated().any()
    except BaseException as error:  # a panic of polars is no Exception
        return f"cannot be read ({type(error).__name__})"
    return "" if in_order else "is not a table of steps and numbers"


def _main(paths: Sequence[str]) -> None:
    """Prints what is wrong with each table, a line each, up to the first with which something is."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.environ["POLARS_MAX_THREADS"] = "1"  # each thread reserves some of them
    for path in paths:
        fault = _fault(Path(path))
        print(fault, flush=True)
        if fault:
            return


if __name__ == "__main__":
    _main(sys.argv[1:])
