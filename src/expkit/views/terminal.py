"""One run in a terminal: the configuration as a tree, a live line, and a panel with the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from expkit.views import text
from expkit.views.console import HarmlessConsole
from expkit.views.view import View

if TYPE_CHECKING:
    from expkit.compose import Composed
    from expkit.records.record import Record

COLOURS = {"complete": "green", "interrupted": "yellow", "diverged": "red", "failed": "red", "running": "blue"}
LEFT_OUT = {"name", "paper", "study", "scales", "paths", "tags", "scale", "sweep"}
UPDATE_EVERY = 0.1  # seconds


class TerminalView(View):
    """Draws with rich, which honours NO_COLOR and the terminal's width."""

    def __init__(self) -> None:
        self.console = HarmlessConsole()
        self.progress: Progress | None = None
        self.names: list[str] = []
        self._shown = 0.0

    def begun(self, record: Record, composed: Composed) -> None:
        super().begun(record, composed)
        self.console.print(config_tree(composed.config, composed.choices, title=f"{composed.name}  {record.run_id}"))
        self.status = self.console.status("loading torch")
        self.status.start()

    def cached(self, record: Record) -> None:
        self.record = record
        self.console.print(
            Text.assemble(f"This run is {record.state} already; ", ("--force", "bold"), " runs it again.")
        )
        self.finished(record)

    def started(self, step: int, max_steps: int) -> None:
        super().started(step, max_steps)
        self.status.stop()
        if step:
            self.console.print(f"resumed at step {step}")
        self.progress = Progress(
            TextColumn("[bold]{task.completed:,.0f}[/]/{task.total:,.0f} steps"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[metrics]}", markup=False),
            TextColumn("[dim]{task.fields[rate]}[/]"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            refresh_per_second=8,
        )
        self.task = self.progress.add_task("", total=max_steps, completed=step, rate="", metrics="")
        self.progress.start()

    def advanced(self, step: int) -> None:
        assert self.progress is not None
        now = self.progress.get_time()
        if now - self._shown > UPDATE_EVERY:
            self._shown = now
            speed = self.progress.tasks[0].speed
            self.progress.update(self.task, completed=step, rate=f"{text.number(speed)} steps/s" if speed else "")

    def evaluated(self, step: int, metrics: dict[str, float]) -> None:
        if not self.names:
            self.names = text.fitting(list(metrics), self.console.width)
            self.console.print(Text(text.metric_table_row("step", self.names, self.names), style="dim"))
        values = [text.number(metrics.get(name)) for name in self.names]
        self.console.print(Text(text.metric_table_row(step, values, self.names)))
        if self.progress is not None:
            latest = [f"{name} {text.number(metrics[name])}" for name in text.main_metrics(metrics)]
            self.progress.update(self.task, metrics="  ".join(dict.fromkeys([*latest[:1], *latest[-1:]])))

    def finished(self, record: Record) -> None:
        self.close()
        colour = COLOURS.get(record.state, "white")
        facts = Table.grid(padding=(0, 2))
        facts.add_row("time", text.duration(record.status.get("seconds", 0.0)))
        for name, fact in text.facts(record).items():
            facts.add_row(name, fact)
        title = Text.assemble((record.state, f"bold {colour}"), f"  {record.experiment} {record.run_id}")
        self.console.print(
            Panel(
                Group(metric_grid(record.summary), Text(), facts), title=title, title_align="left", border_style=colour
            )
        )

    def close(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None
        if status := getattr(self, "status", None):
            status.stop()

    def note(self, message: str) -> None:
        self.console.print(Text(message, style="yellow"))


def metric_grid(metrics: Mapping[str, Any]) -> Table:
    """Metrics side by side: a row for each name, a column for each split."""
    table = Table.grid(padding=(0, 3))
    splits = [split for split in text.SPLITS if any(name.startswith(f"{split}/") for name in metrics)]
    table.add_row(f"step {metrics.get('step', 0):,}", *splits, style="dim")
    names = list(dict.fromkeys(name.partition("/")[2] for name in metrics if name.partition("/")[0] in splits))
    for name in names:
        table.add_row(name, *(text.number(metrics.get(f"{split}/{name}")) for split in splits))
    others = [name for name in metrics if name != "step" and name.partition("/")[0] not in splits]
    for name in others:
        table.add_row(name, text.number(metrics[name]))
    return table


def config_tree(config: Mapping[str, Any], choices: Mapping[str, str], title: str) -> Tree:
    """The composed configuration; each group with the option that was chosen."""
    tree = Tree(Text(title, style="bold"), guide_style="dim")
    for key, value in config.items():
        if key in LEFT_OUT or value in (None, {}, []):
            continue
        chosen = choices.get(key)
        label = Text.assemble((key, "bold"), f": {chosen}" if chosen else "")
        if isinstance(value, Mapping):
            _add_values(tree.add(label), value)
        else:
            tree.add(Text.assemble((key, "bold"), f": {value}"))
    return tree


def _add_values(branch: Tree, values: Mapping[str, Any]) -> None:
    plain = [
        f"{k}: {_short(v)}"
        for k, v in values.items()
        if k != "_target_" and not isinstance(v, Mapping) and v is not None
    ]
    if plain:
        branch.add(Text("  ".join(plain)))
    for key, value in values.items():
        if isinstance(value, Mapping):
            _add_values(branch.add(Text(str(key))), value)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_short, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
