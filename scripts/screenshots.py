"""Pictures of every page of the dashboard, light and dark, wide and narrow, for a person to look at.

    python scripts/screenshots.py FOLDER [--runs DIR]

Run it in a project folder to have its experiments in the library. Needs Chromium and its driver, as the tests do.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from dashboard.browser import Browser
from dashboard.conftest import serving
from expkit.compose import experiments
from expkit.dashboard.evidence import Experiment
from expkit.errors import UserError
from expkit.records import runs
from expkit.records.store import Store
from expkit.sweeps.sweep import sweeps

WIDTHS = (1400, 480)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for the pictures")
    parser.add_argument("--runs", type=Path, help="the run store (default: $EXPKIT_RUNS, or ./runs)")
    parser.add_argument("--only", default="", help="only pictures whose name has it")
    options = parser.parse_args()
    store = Store(options.runs)
    options.folder.mkdir(parents=True, exist_ok=True)
    pages = {name: page for name, page in shown(store).items() if options.only in name}
    with serving(Path.cwd(), store.root.absolute()) as address, tempfile.TemporaryDirectory() as profile:
        browser = Browser(Path(profile))
        browser.address = address
        for width in WIDTHS:
            for dark in (False, True):
                for name, (page, tabs) in pages.items():
                    browser.resize(width, 1000, dark)
                    browser.open(page)
                    for tab in tabs:
                        browser.click(tab)
                    path = options.folder / f"{name}-{'dark' if dark else 'light'}-{width}.png"
                    browser.picture(path)
                    print(path, flush=True)
        browser.quit()


def shown(store: Store) -> dict[str, tuple[str, list[str]]]:
    """The pages by the names of their pictures: the address, and the tabs to open."""
    pages: dict[str, tuple[str, list[str]]] = {
        "runs": ("", []),
        "compare-curves": ("compare", []),
        "compare-results": ("compare", ["Results"]),
        "compare-differences": ("compare", ["What differs"]),
        "library": ("library", []),
    }
    known = [Experiment(name, {}, Path("experiments") / name) for name in experiments()]
    for experiment in [one for one in known if one.claims][:1]:
        pages["library-one"] = (f"library?experiment={experiment.name}", [])
    for sweep in sweeps(store)[:3]:
        address = f"sweeps?sweep={sweep.id}"
        pages[f"sweep-{sweep.id}"] = (address, [])
        for tab in ("All keys", "Importance", "Best runs"):
            pages[f"sweep-{sweep.id}-{tab.lower().replace(' ', '-')}"] = (address, [tab])
    try:
        newest = runs(*[path.name for path in store.root.glob("[!.]*") if path.is_dir()], root=store.root)
        run = newest.filter(newest["state"] == "complete")["run_id"][0]
    except (UserError, IndexError):
        return pages
    for tab in ("Metrics", "Configuration", "Environment", "Figures", "Commands"):
        pages[f"run-{tab.lower()}"] = (f"run?id={run}", [] if tab == "Metrics" else [tab])
    return pages


if __name__ == "__main__":
    main()
