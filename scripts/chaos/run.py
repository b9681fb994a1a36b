"""Breaks expkit on purpose, and says what came of it.

python scripts/chaos/run.py                     every campaign, in full: an hour or two
python scripts/chaos/run.py --short             the version that CI runs: a few seconds each
python scripts/chaos/run.py kills files         only these
python scripts/chaos/run.py --write             also writes their tables into docs/trust.md
"""

from __future__ import annotations

import argparse
import importlib
import platform
import re
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).parent))

from report import Row, table

DOCS = Path(__file__).parents[2] / "docs" / "trust.md"


def campaigns() -> list[str]:
    """The names of the modules beside this one that have a `campaign`."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [path.stem for path in files if "\ndef campaign(" in path.read_text()]


def heading(module: ModuleType) -> str:
    assert module.__doc__ is not None
    return module.__doc__.split("\n")[0]


def carry_out(module: ModuleType, short: bool) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="expkit-chaos-") as folder:
        for row in module.campaign(Path(folder), short):
            rows.append(row)
            print(f"  {row.fault}: {row.tried:,} tried, {len(row.broken)} broken", flush=True)
            for broken in row.broken[:10]:
                print(f"    {broken}", flush=True)
    return rows


def write(name: str, rows: list[Row]) -> None:
    """Replaces a campaign's table in the document."""
    begin, end = f"<!-- campaign {name} -->", f"<!-- end {name} -->"
    day, machine = datetime.now(UTC).date(), f"{platform.system()}, Python {platform.python_version()}"
    block = f"{begin}\n{table(rows)}\n`scripts/chaos/run.py {name} --write`, {day}, {machine}.\n{end}"
    text = DOCS.read_text()
    assert begin in text, f"{DOCS} has no place for the campaign {name}: {begin} {end}"
    DOCS.write_text(re.sub(f"{begin}.*{end}", lambda _: block, text, flags=re.DOTALL))


def main() -> int:
    known = campaigns()
    parser = argparse.ArgumentParser(description="Breaks expkit on purpose.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of campaigns: {', '.join(known)}")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(known):
        parser.error(f"there is no campaign {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if arguments.write and arguments.short:
        parser.error("what the short version finds is not written")
    broken = 0
    for name in arguments.names or known:
        began = time.monotonic()
        module = importlib.import_module(name)
        print(f"{name}: {heading(module)}", flush=True)
        rows = carry_out(module, arguments.short)
        broken += sum(len(row.broken) for row in rows)
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
        if arguments.write:
            write(name, rows)
    print(f"{broken} promises broken" if broken else "no promise broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
