"""Records that attack whoever looks at them: in the dashboard, and in a terminal

The long version also opens every page in Chromium, where what is executed or fetched would show.
"""

from __future__ import annotations

import contextlib
import html
import io
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from hostile_store import ATTACKS, CANARY, write_project, write_store
from report import Row

from expkit.cli import main
from expkit.dashboard import server
from expkit.harmless import CONTROLS

PAGES = ("runs", "compare", "sweeps", "library", "run")
TABS = {
    "compare": ("Curves", "Results", "What differs"),
    "sweeps": ("Map", "All keys", "Best runs", "Failures"),
    "run": ("Metrics", "Configuration", "Environment", "Figures", "Log", "Commands"),
}
RUN, BROKEN = "0000000000c0", "0000000000f0"
COMMANDS = (
    ["runs"], ["runs", "--rebuild"], ["runs", "--sweep", "script"], ["list"], ["show", "nothing"], ["sweeps"],
    ["sweeps", "script"], ["sweeps", "nothing"], ["resume", "script"], ["compare"], ["compare", "nothing"],
    ["compare", "--csv", "-"], ["diff", RUN, BROKEN, "--code"], ["eval", BROKEN], ["export", RUN], ["sync"],
)  # fmt: skip


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    write_project(folder)
    write_store(folder / "runs")
    with contextlib.chdir(folder), mock.patch.dict(os.environ, EXPKIT_RUNS=str(folder / "runs")):
        yield printed(short)
        yield drawn(short)
        if not short:
            yield opened(folder)


def printed(short: bool) -> Row:
    """What commands print of the records, into a pipe."""
    broken = []
    commands = COMMANDS[::2] if short else COMMANDS
    for command in commands:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                main(command)
            except Exception as error:
                broken.append(f"expkit {' '.join(command)}: {type(error).__name__}: {str(error)[:200]!r}")
        for found in list(CONTROLS.finditer(said.getvalue()))[:1]:
            around = said.getvalue()[max(0, found.start() - 40) : found.end() + 40]
            broken.append(f"expkit {' '.join(command)} printed a control character: {around!r}")
    tried = len(commands) * len(ATTACKS)
    seen = "the texts, without the sequences that a terminal would obey"
    return Row(
        "terminal sequences and markup of rich in every text of a record, printed by commands", tried, (*broken,), seen
    )


def drawn(short: bool) -> Row:
    """What Streamlit would send to a browser, for every page and tab."""
    from streamlit.testing.v1 import AppTest

    logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").disabled = True
    broken, tried = [], 0
    for page, tab, query in visits(short):
        app = AppTest.from_string(_app(page), default_timeout=600)
        for name, value in query.items():
            app.query_params[name] = value
        if tab:
            app.session_state[f"{page}_tabs"] = tab
        app.run()
        tried += 1 if query else len(ATTACKS)
        where = f"{page} {tab} {query}"
        broken += [f"{where}: {one.value[:200]!r}" for one in app.exception]
        broken += [f"{where}: {wrong}" for node in app._tree for wrong in wrongs(getattr(node, "proto", None))]
    return Row("markup, Markdown and terminal sequences in every text of a record, sent to the page", tried, (*broken,),
               "the texts themselves; nothing of them is a tag, a link or a picture")  # fmt: skip


def visits(short: bool) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Pages, tabs on them, and what their addresses ask for."""
    every = 16 if short else 1
    names = sorted(path.stem for path in Path("conf/experiment").glob("*.yaml"))
    asked: dict[str, list[dict[str, str]]] = {
        "library": [{}, *({"experiment": name} for name in names[::every])],
        "run": [{"id": f"{number:010x}{kind}0"} for number in range(0, len(ATTACKS), every) for kind in "fc"],
    }
    for page in PAGES:
        for tab in TABS.get(page, ("",))[: 1 if short else None]:
            yield from ((page, tab, query) for query in asked.get(page, [{}]))


def _app(page: str) -> str:
    """The dashboard's program, with another page as the first one."""
    text = (server.FOLDER / "app.py").read_text().replace(", default=True", "")
    return text.replace(f'url_path="{page}"', f'url_path="{page}", default=True')


MARKDOWN = ("body", "label", "help", "caption", "placeholder")


def wrongs(proto: Any) -> Iterator[str]:
    """What an element has that is not only text."""
    if proto is None or not hasattr(proto, "DESCRIPTOR"):
        return
    from google.protobuf.json_format import MessageToDict
    from markdown_it import MarkdownIt

    for key, text in _texts(MessageToDict(proto)):
        if key != "id" and (found := CONTROLS.search(text)):
            yield f"{proto.DESCRIPTOR.name}.{key} has {found[0]!r}: {text[:100]!r}"
        if CANARY not in text:
            continue
        if key == "spec" and proto.DESCRIPTOR.name == "PlotlyChart":
            for name, inner in _texts(json.loads(text)):
                if CANARY in inner and re.search("<[a-z/]", inner):
                    yield f"the figure's {name} has a tag: {inner[:100]!r}"
        elif key in MARKDOWN and proto.DESCRIPTOR.name != "Code":
            tokens = [each for token in MarkdownIt().parse(text) for each in (token, *(token.children or ()))]
            for token in tokens:
                if token.type in (
                    "link_open",
                    "image",
                    "html_inline",
                    "html_block",
                    "heading_open",
                    "fence",
                    "code_inline",
                ):
                    yield f"{proto.DESCRIPTOR.name}.{key} is {token.type}: {text[:100]!r}"
            if re.search(r"(?<!\\):(\w+\[|material/)|(?<!\\)\$", text):
                yield f"{proto.DESCRIPTOR.name}.{key} has Streamlit's own markup: {text[:100]!r}"


def _texts(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _texts(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value, key)
    elif isinstance(node, str):
        yield key, node


def opened(folder: Path) -> Row:
    """Every page in a browser: what was executed, what was fetched, and what could be clicked."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    from dashboard.browser import Browser
    from dashboard.conftest import serving

    broken: list[str] = []
    tried = 0
    pages = ["", "compare", "sweeps", "library"]
    pages += [f"run?id={number:010x}f0" for number in range(8)]
    with serving(folder, folder / "runs") as address, tempfile.TemporaryDirectory() as profile:
        browser = Browser(Path(profile))
        browser.address = address
        browser.resize(1400, 1100)
        try:
            browser.requested()
            for page in pages:
                browser.open(page)
                tabs = TABS.get(page.partition("?")[0], ())
                for tab in ("", *(tabs[1:] if page.startswith("run") else ())):
                    if tab:
                        browser.click(tab)
                    tried += 1
                    broken += [f"/{page} {tab}: {wrong}" for wrong in _happened(browser)]
            own = (f"{address}/", address.replace("http", "ws") + "/", "data:", "blob:", "about:")
            broken += [f"asked for {url}" for url in browser.requested() if not url.startswith(own)]
        finally:
            browser.quit()
    return Row("the same pages and tabs, opened in Chromium", tried, (*broken,),
               "nothing was executed, and nothing was fetched from anywhere else")  # fmt: skip


def _happened(browser: Any) -> Iterator[str]:
    if browser.script("return window.hacked"):
        yield "a script of the record was executed"
    code = "return [...document.querySelectorAll(arguments[0])].map(one => one.outerHTML.slice(0, 200))"
    links = f'a[href^="http"][href*="{CANARY}"], a[href^="javascript"], a[href^="mailto"]'
    for found in browser.script(code, f'img[src*="{CANARY}"], img[src="x"], iframe, {links}'):
        yield html.unescape(found)
