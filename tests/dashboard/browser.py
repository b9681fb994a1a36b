"""Chromium without a window, as the dashboard's reader uses it."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import JavascriptException, StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",  # WebGL without a graphics card, for parallel coordinates
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)
PATIENCE = 30.0
STREAMLIT = '[data-testid="{}"]'
T = TypeVar("T")


class Browser:
    """What a person does with a page, and sees there.

    Args:
        profile: an empty folder for the browser's own files.
    """

    def __init__(self, profile: Path) -> None:
        options = Options()
        options.binary_location = shutil.which("chromium") or "chromium"
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.address = ""

    def quit(self) -> None:
        self.driver.quit()

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})

    def open(self, page: str) -> None:
        """Opens a page of the dashboard and waits until it is drawn."""
        self.driver.get(f"{self.address}/{page}")
        self.wait(lambda: self.all("stHeading"), f"{page} to have a heading")
        self.settle()

    def settle(self) -> None:
        """Waits until nothing is being computed or drawn."""
        time.sleep(0.25)  # what was just done takes a moment to reach the server
        quiet = 0

        def is_quiet() -> bool:
            nonlocal quiet
            busy = self.script(
                "return document.querySelector('[data-testid=\"stApp\"]')?.dataset.testScriptState !== 'notRunning'"
                ' || !!document.querySelector(\'[data-testid="stSkeleton"], [data-stale="true"]\')'
            )
            quiet = 0 if busy else quiet + 1
            return quiet > 3

        self.wait(is_quiet, "the page to be drawn")

    def wait(self, condition: Callable[[], T], what: str) -> T:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found = condition()
            except (StaleElementReferenceException, JavascriptException):
                found = None  # drawn again meanwhile
            if found:
                return found
            assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for {what}, in vain; there is:\n{self.text}"
            time.sleep(0.05)

    def script(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def all(self, test_id: str) -> list[Any]:
        """Elements of one of Streamlit's kinds."""
        return self.driver.find_elements("css selector", STREAMLIT.format(test_id))

    @property
    def text(self) -> str:
        return str(self.script("return document.querySelector('[data-testid=\"stMain\"]')?.innerText ?? ''"))

    def sees(self, *texts: str) -> None:
        for text in texts:
            self.wait(lambda text=text: text in self.text, f"{text!r} to be seen")

    @property
    def cells(self) -> list[list[str]]:
        """What the first table shows, its head first; a canvas that says so for those who cannot see it."""
        code = (
            "return [...document.querySelectorAll('[data-testid=\"stDataFrame\"] canvas')[0]"
            ".querySelectorAll('tr')].map(row => [...row.children].map(cell => cell.textContent))"
        )
        return list(self.wait(lambda: self.script(code), "a table"))

    def column(self, name: str) -> list[str]:
        head, *rows = self.cells
        place = head.index(name)
        return [row[place] for row in rows]

    def mark(self, row: int) -> None:
        """Marks a row of the first table, at its left edge."""
        self._at(self.driver.find_element("css selector", '[data-testid="stDataFrame"] canvas'), 16, 50 + 33 * row)
        self.settle()

    def click(self, label: str) -> None:
        """Clicks a button, a tab, a switch or a link by what stands on it."""
        kinds = 'button, [role="tab"], summary, label, a, [role="option"], [role="radio"]'

        def clicked() -> bool:
            every = self.driver.find_elements("css selector", kinds)
            found = [one for one in every if label in one.text.splitlines()]  # an icon's name is a line of its own
            if found:
                self.script("arguments[0].scrollIntoView({block: 'center'})", found[-1])
                found[-1].click()
            return bool(found)

        self.wait(clicked, f"{label!r} to click on")
        self.settle()

    def write(self, label: str, text: str) -> None:
        """Replaces what stands in a field."""
        field = self.driver.find_element("css selector", f'input[aria-label="{label}"]')
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text, Keys.ENTER)
        self.settle()

    def choose(self, label: str, *options: str) -> None:
        """Chooses among the options of a field, in place of what is chosen there or beside it."""
        for option in options:
            field = self.driver.find_element("css selector", f'input[aria-label="{label}"]')
            self.script("arguments[0].scrollIntoView({block: 'center'})", field)
            field.click()
            field.send_keys(option)
            self.click_option(option)
            self.settle()
            self.driver.switch_to.active_element.send_keys(Keys.ESCAPE)

    def click_option(self, option: str) -> None:
        def chosen() -> bool:
            found = self.driver.find_elements("css selector", '[role="option"]')
            fitting = [one for one in found if one.text.strip() == option]
            if fitting:
                fitting[0].click()
            return bool(fitting)

        self.wait(chosen, f"the option {option!r}")

    def copied_from(self, code: Any) -> str:
        """What the button beside a command puts on the clipboard. The button is there without pointing at it."""
        button = code.find_element("css selector", "button")
        visible = """
            for (let one = arguments[0]; one !== arguments[1]; one = one.parentElement)
                if (getComputedStyle(one).opacity !== '1') return false;
            return true"""
        assert self.script(visible, button, code), "the button is not seen"
        rights = {"origin": self.address, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        self.driver.execute_cdp_cmd("Browser.grantPermissions", rights)
        button.click()
        read = "navigator.clipboard.readText().then(arguments[0], error => arguments[0](String(error)))"
        return str(self.wait(lambda: self.driver.execute_async_script(read), "something on the clipboard"))

    def figures(self) -> list[dict[str, Any]]:
        """What Plotly draws: of each figure its traces and axes, numbers as they are drawn."""
        code = """
            const plain = value => value?.constructor?.name?.endsWith('Array') ? Array.from(value) : value;
            return [...document.querySelectorAll('.js-plotly-plot')].filter(one => one.offsetParent).map(one => ({
                traces: one._fullData.map(trace => ({type: trace.type, name: trace.name, mode: trace.mode,
                    x: plain(trace.x), y: plain(trace.y), shape: trace.z ? [trace.z.length, trace.z[0].length] : null,
                    dimensions: trace.dimensions?.map(each => each.label)})),
                x: one._fullLayout.xaxis && {type: one._fullLayout.xaxis.type, title: one._fullLayout.xaxis.title.text},
                y: one._fullLayout.yaxis && {type: one._fullLayout.yaxis.type, title: one._fullLayout.yaxis.title.text},
            }))"""
        return list(self.wait(lambda: self.script(code), "a figure"))

    def requested(self) -> set[str]:
        """Addresses that the browser has asked for since the last time."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
        return sent | {e["params"]["url"] for e in events if e["method"] == "Network.webSocketCreated"}

    def picture(self, path: Path) -> None:
        """A picture of the whole page."""
        code = "return document.querySelector('[data-testid=\"stMainBlockContainer\"]').scrollHeight + 70"
        width, height = self.script("return innerWidth"), min(max(600, self.script(code)), 3000)
        dark = self.script("return matchMedia('(prefers-color-scheme: dark)').matches")
        self.resize(width, height, dark)
        time.sleep(0.8)
        path.write_bytes(base64.b64decode(self.driver.get_screenshot_as_base64()))

    def _at(self, element: Any, x: int, y: int) -> None:
        """Clicks at a place, from an element's upper left corner."""
        self.script("arguments[0].scrollIntoView({block: 'center'})", element)
        size = element.size
        actions = ActionChains(self.driver)
        actions.move_to_element_with_offset(element, x - size["width"] // 2, y - size["height"] // 2).click().perform()
