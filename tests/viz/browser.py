"""A headless browser, driven through chromedriver by the WebDriver protocol: what it shows, and what keys and clicks do."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1400,800",
)  # fmt: skip
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {
    "Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004",
    "ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015",
}  # fmt: skip


class Browser:
    """One page in one window."""

    def __init__(self, address: str) -> None:
        self._address = address

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        data = json.dumps(content).encode() if method == "POST" else None
        request = urllib.request.Request(self._address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as problem:
            raise AssertionError(json.load(problem)["value"]["message"]) from None

    def open(self, path: Path) -> None:
        self._ask("POST", "/url", url=path.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """What a piece of JavaScript returns."""
        return self._ask("POST", "/execute/sync", script=script, args=list(arguments))

    def click(self, selector: str) -> None:
        """A click of the mouse in the middle of an element, as of a person."""
        element = self._ask("POST", "/element", using="css selector", value=selector)
        origin = {ELEMENT: element[ELEMENT]}
        self._act("pointer", [("pointerMove", {"origin": origin, "x": 0, "y": 0}), ("pointerDown", {}), ("pointerUp", {})])

    def hover(self, selector: str) -> None:
        element = self._ask("POST", "/element", using="css selector", value=selector)
        self._act("pointer", [("pointerMove", {"origin": {ELEMENT: element[ELEMENT]}, "x": 0, "y": 0})])

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        moves = [("pointerMove", {"x": x, "y": y}) for x, y in (start, end)]
        self._act("pointer", [moves[0], ("pointerDown", {}), moves[1], ("pointerUp", {})])

    def wheel(self, at: tuple[int, int], down: int) -> None:
        self._act("wheel", [("scroll", {"x": at[0], "y": at[1], "deltaX": 0, "deltaY": down})])

    def press(self, *keys: str) -> None:
        """Keys, one after the other, wherever the focus is."""
        values = [KEYS.get(key, key) for key in keys]
        self._act("key", [(kind, {"value": value}) for value in values for kind in ("keyDown", "keyUp")])

    def _act(self, kind: str, steps: Sequence[tuple[str, dict[str, Any]]]) -> None:
        actions = [
            {"type": step, **({"button": 0} if step in ("pointerDown", "pointerUp") else {}), **more} for step, more in steps
        ]
        self._ask("POST", "/actions", actions=[{"type": kind, "id": kind, "actions": actions}])

    def screenshot(self) -> bytes:
        return base64.b64decode(self._ask("GET", "/screenshot"))

    def errors(self) -> list[str]:
        """What the browser complained of: errors of scripts, and whatever the page's policy forbade."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", type="browser") if entry["level"] == "SEVERE"]

    def printed(self) -> bytes:
        """The page as a PDF."""
        return base64.b64decode(self._ask("POST", "/print", orientation="landscape"))


@contextmanager
def a_browser() -> Iterator[Browser]:
    """A browser with nobody's settings, closed at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}", "--silent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            base = f"http://127.0.0.1:{port}"
            started = _session(base, profile, time.monotonic() + 60)
            browser = Browser(f"{base}/session/{started}")
            try:
                yield browser
            finally:
                browser._ask("DELETE", "")
    finally:
        driver.terminate()
        driver.wait(30)


def _session(base: str, profile: str, until: float) -> str:
    options = {"binary": shutil.which("chromium"), "args": [*FLAGS, f"--user-data-dir={profile}"]}
    asked = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    while True:
        try:
            found: str = Browser(base)._ask("POST", "/session", capabilities={"alwaysMatch": asked})["sessionId"]
            return found
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
