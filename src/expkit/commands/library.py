"""`expkit list` and `expkit show`: the experiments there are."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from expkit import library, yaml_files
from expkit.errors import ConfigError, UserError, did_you_mean

# `list` reads the head of each YAML itself: with several hundred experiments, importing Hydra and parsing every file
# would take longer than a person waits.


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="WORD", help="only experiments whose name, title or finding has it")
    parser.add_argument("--family", help="only one family")


def list(options: argparse.Namespace) -> None:
    entries = sorted((_entry(name, config) for name, config in _configs()), key=_place)
    if options.family:
        families = {entry["family"] for entry in entries}
        if options.family not in families:
            raise UserError(f"There is no family '{options.family}'.", did_you_mean(options.family, families))
        entries = [entry for entry in entries if entry["family"] == options.family]
    for word in options.words:
        entries = [entry for entry in entries if word.lower() in json.dumps(entry).lower()]
    entries = [_with_staleness(entry) for entry in entries]
    if options.json:
        print(json.dumps(entries, indent=2))
        return
    _print_list(entries)


def add_show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment")
    parser.add_argument("--runs", metavar="DIR", help="where records are (default: $EXPKIT_RUNS, or ./runs)")


def show(options: argparse.Namespace) -> None:
    from expkit import compose

    raw = compose.experiment_config(options.experiment)
    composed = compose.compose([f"experiment={options.experiment}"])
    entry = _with_staleness(_entry(options.experiment, raw))
    runs = _runs(options.experiment, options.runs)
    if options.json:
        print(
            json.dumps({**entry, "scales": raw.get("scales") or {}, "config": composed.config, "runs": runs}, indent=2)
        )
        return
    _print_experiment(entry, raw, composed, runs)


def _configs() -> Iterator[tuple[str, dict[str, Any]]]:
    seen: set[str] = set()
    for folder in library.config_folders():
        for path in sorted((folder / "experiment").glob("*.yaml")):
            if path.stem not in seen:
                seen.add(path.stem)
                yield path.stem, head(path)


def head(path: Path) -> dict[str, Any]:
    """What an experiment's file says; nothing if it is damaged, which is told where the experiment is used."""
    try:
        config = yaml_files.read(path)
    except ConfigError:
        return {}
    return config if isinstance(config, dict) else {}


def paper_of(config: dict[str, Any]) -> dict[str, str]:
    """What an experiment says of its paper, in words."""
    paper = config.get("paper")
    items = paper.items() if isinstance(paper, dict) else ()
    return {str(key): str(value) for key, value in items if value is not None}


def _entry(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """The stable fields of `expkit list --json` but 'stale'; claims and verdicts are those of its evidence."""
    from expkit.studies.evidence import evidence

    paper = paper_of(config)
    found = evidence(name)
    claims = found["claims"] if found else []
    return {
        "name": name,
        "family": paper.get("family"),
        "paper": {key: paper.get(key) for key in ("title", "arxiv")},
        "finding": paper.get("finding"),
        "claims": [claim.get("claim") for claim in claims],
        "verdicts": [claim.get("verdict") for claim in claims],
    }


def _with_staleness(entry: dict[str, Any]) -> dict[str, Any]:
    """With whether its evidence is of other runs or claims; after an edit that may take a while to find out."""
    from expkit.studies.evidence import is_stale

    return {**entry, "stale": is_stale(entry["name"])}


def _place(entry: dict[str, Any]) -> tuple[bool, str, str]:
    """By family, those without one last, then by name."""
    return entry["family"] is None, entry["family"] or "", entry["name"]


def _runs(name: str, root: str | None) -> Any:
    from expkit.records.store import Store

    folder = Store(root).root / name
    return [record.as_json() for record in Store(root) if record.experiment == name] if folder.is_dir() else []


def _print_list(entries: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from expkit.views.console import new_console

    console = new_console()
    if not entries:
        console.print("No experiment matches.")
        return
    table = Table("experiment", "arXiv", "claims", "finding", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for number, entry in enumerate(entries):
        if number == 0 or entry["family"] != entries[number - 1]["family"]:
            if number:
                table.add_row()
            table.add_row(Text((entry["family"] or "without a family").replace("_", " "), style="dim"))
        finding = entry["finding"] or entry["paper"]["title"] or ""
        table.add_row(
            Text(f"  {entry['name']}", style="bold"),
            entry["paper"]["arxiv"] or "",
            _verdicts(entry),
            Text(finding),
        )
    console.print(table)
    console.print()
    stale = sum(bool(entry["stale"]) for entry in entries)
    if stale:
        console.print(Text(f"Evidence of {stale} is stale, that is, of other runs or claims: expkit reproduce --stale"))
    count = "1 experiment" if len(entries) == 1 else f"{len(entries)} experiments"
    name = entries[0]["name"]
    console.print(Text(f"{count}.  About one: expkit show {name}  Run it: expkit train +experiment={name}"))


def _verdicts(entry: dict[str, Any]) -> Any:
    """How many of an experiment's claims are reproduced: 3/4, or 3/4 stale; empty without evidence."""
    from rich.text import Text

    verdicts = entry["verdicts"]
    if not verdicts:
        return Text("")
    tested = [verdict for verdict in verdicts if verdict != "not testable here"]
    share = f"{tested.count('reproduced')}/{len(tested)}"
    return Text(f"{share} stale", style="yellow") if entry["stale"] else Text(share)


def _print_experiment(entry: dict[str, Any], raw: dict[str, Any], composed: Any, runs: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from expkit.studies.claims import study_file
    from expkit.views import text
    from expkit.views.console import new_console
    from expkit.views.terminal import config_tree

    console = new_console()
    name, paper = entry["name"], entry["paper"]
    console.print(Text(name, style="bold"))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    for label, value in (
        ("paper", paper["title"] and f"{paper['title']} (arXiv {paper['arxiv']})"),
        ("family", entry["family"]),
        ("finding", entry["finding"]),
    ):
        if value:
            facts.add_row(label, Text(value))
    facts.add_row("run", Text(f"expkit train +experiment={name}"))
    for scale, changes in (raw.get("scales") or {}).items():
        changed = ", ".join(f"{key}={value}" for key, value in changes.items())
        facts.add_row("", Text(f"expkit train +experiment={name} scale={scale}    ({changed})"))
    if study_file(name):
        facts.add_row("verify", Text(f"expkit reproduce {name}"))
    pages = (folder / "experiments" / name / "README.md" for folder in library.code_folders())
    if readme := next((page for page in pages if page.exists()), None):
        facts.add_row("more", Text(text.short_path(readme)))
    console.print(facts)
    console.print()
    _print_evidence(entry, console)
    console.print(config_tree(composed.config, composed.choices, title="configuration"))
    console.print()
    if not runs:
        console.print("No recorded runs here yet.")
    for run in runs[:5]:
        metrics = "  ".join(f"{n} {text.number(run['summary'][n])}" for n in text.main_metrics(run["summary"]))
        console.print(Text(f"{run['run_id']}  {run['status']:<11}  {metrics}"))
    if len(runs) > 5:
        console.print(Text(f"... and {len(runs) - 5} more: expkit runs {name}"))


def _print_evidence(entry: dict[str, Any], console: Any) -> None:
    """Its claims, with what was measured when they were last tested."""
    from rich.table import Table
    from rich.text import Text

    from expkit.studies.evidence import evidence

    found = evidence(entry["name"])
    if found is None:
        return
    stale = ", stale: its runs or claims are others now" if entry["stale"] else ""
    table = Table(title=f"evidence of {found.get('date')}{stale}", title_justify="left", header_style="dim")
    for column in ("claim", "measured", "seeds", "verdict"):
        table.add_column(column, justify="right" if column == "seeds" else "left")
    for claim in found["claims"]:
        measured = Text(str(claim.get("measured")).replace("; ", "\n"))
        table.add_row(Text(claim["claim"]), measured, str(claim.get("seeds")), Text(claim["verdict"]))
    console.print(table)
    console.print()
