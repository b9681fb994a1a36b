"""`expkit reproduce`: run studies, and say which claims of their papers hold."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from expkit.commands.library import head, paper_of
from expkit.errors import ConfigError, UserError

EPILOG = """\
An experiment's study is its sweep over seeds and arms (`study` in its YAML) and the claims in its study.py. Runs that
are complete are not run again, so that a study which was stopped goes on. Whatever the verdicts are, the exit status
is 0; it is 1 if a run failed or a study could not be evaluated.
  expkit reproduce grokking_xor
  expkit reproduce grokking_xor --write                  keep verdicts, figure and README beside study.py
  expkit reproduce --family dynamics --jobs 2
  expkit reproduce --all --scale smoke
  expkit reproduce grokking_xor --jobs 1                 one arm after the other, with all cores for each
  expkit reproduce grokking_xor data.noise_rate=0        what the claims say of another configuration
"""

COLOURS = {"reproduced": "green", "partly": "yellow", "not reproduced": "red", "not testable here": "dim"}


def add_reproduce_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument(
        "words", nargs="*", metavar="EXPERIMENT|OVERRIDE", help="experiments, and overrides of all runs"
    )
    parser.add_argument("--family", help="all experiments of a family")
    parser.add_argument("--all", action="store_true", help="all experiments")
    parser.add_argument("--stale", action="store_true", help="those of them whose evidence is stale or missing")
    parser.add_argument("--write", action="store_true", help="write results.json, figure.png and the README's table")
    parser.add_argument("--scale", default="default", help="size of the runs: smoke proves only that they run")
    parser.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="so many experiments, or arms of one, at a time (default: an arm for each core)",
    )
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")


def reproduce(options: argparse.Namespace) -> int:
    from expkit.sweeps.sweep import defining

    if options.jobs is not None and options.jobs < 1:
        raise ConfigError(f"--jobs {options.jobs}: at least one experiment or arm is run at a time.")
    overrides = [word for word in options.words if "=" in word]
    changed = bool(defining(overrides))
    if options.write and (changed or options.scale != "default"):
        raise ConfigError(
            "Evidence is written of a study as it is.", "Leave out --write, or --scale and the overrides of the runs."
        )
    experiments = chosen(options, [word for word in options.words if "=" not in word])
    try:
        if (options.jobs or 1) > 1 and len(experiments) > 1:
            done = _in_processes(experiments, overrides, options)
        else:
            done = _here(experiments, overrides, changed, options)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        raise
    if options.json:
        print(json.dumps(done, indent=2))
    else:
        _print(done, options.scale)
    return int(any(one.get("error") or one.get("failed") for one in done))


def chosen(options: argparse.Namespace, named: Sequence[str]) -> list[str]:
    """The experiments that are asked for, in order of their names unless they are named.

    Raises:
        ConfigError: there are none, or one that is named does not exist or has no claims.
    """
    from expkit import compose
    from expkit.errors import did_you_mean
    from expkit.studies.claims import study_file
    from expkit.studies.evidence import is_stale

    for name in named:
        compose.experiment_config(name)
        if study_file(name) is None:
            raise ConfigError(f"Experiment '{name}' has no claims.", f"They would be in experiments/{name}/study.py.")
    found = list(dict.fromkeys(named))
    if options.family or options.all or (options.stale and not named):
        families = {name: _family(path) for name, path in sorted(compose.experiments().items())}
        if options.family and options.family not in families.values():
            known = [family for family in families.values() if family]
            raise ConfigError(f"There is no family '{options.family}'.", did_you_mean(options.family, set(known)))
        fitting = [name for name, family in families.items() if options.family in (None, family)]
        found += [name for name in fitting if name not in found and study_file(name)]
        if not found:
            raise ConfigError("None of these experiments has claims.", "They are in experiments/<name>/study.py.")
    elif not named:
        raise ConfigError(
            "Reproduce what?", "Name experiments (see `expkit list`), or give --family, --all or --stale."
        )
    return [name for name in found if not options.stale or is_stale(name) is not False]


def _family(path: Path) -> str | None:
    return paper_of(head(path)).get("family")


def _here(
    experiments: Sequence[str], overrides: Sequence[str], changed: bool, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One after the other, in this process."""
    done = []
    for experiment in experiments:
        try:
            with _only_json(options.json):
                done.append(_one(experiment, overrides, changed, options))
        except UserError as error:
            if options.debug or len(experiments) == 1:
                raise
            print(f"{experiment}: {error}", file=sys.stderr)
            done.append({"experiment": experiment, "claims": [], "failed": [], "error": str(error)})
    return done


def _one(experiment: str, overrides: Sequence[str], changed: bool, options: argparse.Namespace) -> dict[str, Any]:
    from expkit.studies import evidence
    from expkit.studies.arms import at_a_time
    from expkit.studies.study import study
    from expkit.sweeps.sweep_job import Flags

    quiet = options.json or not sys.stdout.isatty()
    studied = study(
        experiment,
        options.scale,
        overrides,
        options.runs,
        Flags(debug=options.debug, quiet=quiet),
        changed,
        options.jobs or (1 if options.scale == "smoke" else at_a_time(overrides)),
        say=lambda message: print(message, file=sys.stderr if options.json else sys.stdout, flush=True),
    )
    described = {**evidence.describe(studied), "scale": options.scale}
    if options.write and not studied.failed:
        described["written"] = str(evidence.write(studied))
    else:
        described["figure"] = _figure(studied, options)
    return described


def _figure(studied: Any, options: argparse.Namespace) -> str | None:
    """Draws the figure beside the records, where it is not kept as evidence."""
    from expkit.records.store import Store
    from expkit.studies.drawing import draw

    if not studied.panels:
        return None
    path = Store(options.runs).root / ".studies" / studied.experiment / "figure.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        draw(studied.panels, studied.runs, path)
    except Exception as error:
        if not studied.runs.lenient:
            raise UserError(
                f"The figure of '{studied.experiment}' cannot be drawn: {type(error).__name__}: {error}",
                f"It is in {studied.folder / 'study.py'}.",
            ) from error
        return None  # of runs that are too short, or of another configuration
    return str(path)


def _in_processes(
    experiments: Sequence[str], overrides: Sequence[str], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Several at a time, each in a process of its own with its share of the processor."""
    from concurrent.futures import ThreadPoolExecutor

    threads = str(max(1, (os.cpu_count() or 1) // options.jobs))
    environment = {"OMP_NUM_THREADS": threads, **os.environ}
    shared = ["--json", "--jobs", "1", "--scale", options.scale, *(["--runs", options.runs] if options.runs else [])]
    shared += ["--write"] if options.write else []

    def run(experiment: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "expkit", "reproduce", experiment, *overrides, *shared]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        try:
            (one,) = json.loads(done.stdout)
        except ValueError:
            said = done.stderr.strip().removeprefix("error: ") or f"ended with status {done.returncode}"
            one = {"experiment": experiment, "claims": [], "failed": [], "error": said}
        counts = Counter(claim["verdict"] for claim in one["claims"])
        print(f"{experiment}: {_counted(counts) or one.get('error')}", file=sys.stderr, flush=True)
        return one

    with ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(run, experiments))


@contextmanager
def _only_json(as_json: bool) -> Iterator[None]:
    """With --json, whatever is printed meanwhile goes to standard error."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def _print(done: Sequence[dict[str, Any]], scale: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from expkit.views import text
    from expkit.views.console import new_console

    console = new_console()
    if not done:
        console.print("Nothing to reproduce: all evidence is up to date.")
        return
    title = None if scale == "default" else f"at scale {scale}, which is not the size that the claims are about"
    table = Table(title=title, title_justify="left", show_lines=True, header_style="dim")
    several = len(done) > 1
    for column in (*(["experiment"] if several else []), "claim", "paper", "measured", "seeds", "verdict"):
        table.add_column(column, justify="right" if column == "seeds" else "left", overflow="fold")
    for one in done:
        for claim in one["claims"]:
            table.add_row(
                *([Text(one["experiment"])] if several else []),
                Text(claim["claim"]),
                Text(claim["paper"] or ""),
                Text(claim["measured"].replace("; ", "\n")),
                str(claim["seeds"]),
                Text(claim["verdict"], style=COLOURS[claim["verdict"]]),
            )
        if one.get("error"):
            cells: list[Any] = [Text(str(one["error"])), "", "", "", Text("error", style="red")]
            table.add_row(*([Text(one["experiment"])] if several else []), *cells)
    console.print(table)
    counts = Counter(claim["verdict"] for one in done for claim in one["claims"])
    console.print(Text(f"{sum(counts.values())} claims: {_counted(counts)}"))
    for one in done:
        failed = one.get("failed") or []
        if failed:
            console.print(Text(f"{one['experiment']}: {len(failed)} of {one['runs']} runs failed:", style="red"))
            for run in failed[:10]:
                console.print(Text(f"  {run['overrides']}  {run['message']}"))
        if where := one.get("written") or one.get("figure"):
            label = "written to" if one.get("written") else "figure:"
            console.print(Text(f"{one['experiment']}  {label} {text.short_path(Path(where))}"))


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in COLOURS if counts[verdict])
