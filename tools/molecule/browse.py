# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load pages in Chromium, one after the other, and print what it saw as JSON. Runs on a test host, with Python alone.

usage: browse.py '{"pages": ["https://hello.test/"], "options": ["--lang=de"], "headers": {…}, "size": [800, 450],
                   "screenshots": false}'
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import select
import signal
import sys
import tempfile
import time
import typing as t

BROWSER = "/usr/bin/chromium"
OPTIONS = (
    "--headless=new",
    # As root there is no sandbox of its own; the pages are ours.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",
)
PATIENCE = 60.0
# Nothing has happened for so long: the page is complete, with what it asks for after it was loaded.
QUIET = 1.0

Message = dict[str, t.Any]


class BrowserError(Exception):
    """The browser does not do what it was told."""


class Browser:
    """A Chromium that is told what to do over two pipes, by the DevTools protocol."""

    def __init__(self, options: t.Sequence[str], profile: str) -> None:
        """Start it, with a profile of its own."""
        theirs, self._to = _high_pipe()
        self._from, answers = _high_pipe()
        words = [BROWSER, *OPTIONS, f"--user-data-dir={profile}", *options, "about:blank"]
        # It reads from 3 and writes to 4.
        files = [(os.POSIX_SPAWN_DUP2, theirs, 3), (os.POSIX_SPAWN_DUP2, answers, 4)]
        quiet = os.open(os.devnull, os.O_RDWR)
        files += [(os.POSIX_SPAWN_DUP2, quiet, place) for place in (0, 1, 2)]
        self._pid = os.posix_spawn(words[0], words, {**os.environ, "HOME": profile}, file_actions=files)
        for place in (theirs, answers, quiet):
            os.close(place)
        self._numbers = itertools.count(1)
        self._waiting = b""
        self.events: list[Message] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = ""
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method: str, **params: t.Any) -> Message:
        """Call a method and return its result; events that come meanwhile are kept."""
        number = next(self._numbers)
        message: Message = {"id": number, "method": method, "params": params}
        if getattr(self, "_session", ""):
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._read(deadline - time.monotonic())
            if answer is None:
                raise BrowserError(f"{method}: no answer after {PATIENCE:.0f} s")
            if answer.get("id") == number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            self.events.append(answer)

    def wait_until_quiet(self) -> None:
        """Return when the page has been loaded and nothing more happens."""
        deadline = time.monotonic() + PATIENCE
        while True:
            event = self._read(QUIET)
            if event is not None:
                self.events.append(event)
            elif any(seen.get("method") == "Page.loadEventFired" for seen in self.events):
                return
            if time.monotonic() > deadline:
                raise BrowserError(f"the page is not complete after {PATIENCE:.0f} s")

    def close(self) -> None:
        """End it, with all its processes."""
        with contextlib.suppress(OSError, BrowserError):
            self._session = ""
            self.call("Browser.close")
        deadline = time.monotonic() + 10
        while os.waitpid(self._pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
                return
            time.sleep(0.05)

    def _read(self, seconds: float) -> Message | None:
        """Return the next message, or nothing when none has come after so many seconds."""
        deadline = time.monotonic() + seconds
        while b"\0" not in self._waiting:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._from], [], [], left)[0]:
                return None
            piece = os.read(self._from, 1 << 16)
            if not piece:
                raise BrowserError(f"{BROWSER} has ended by itself")
            self._waiting += piece
        text, _nul, self._waiting = self._waiting.partition(b"\0")
        return dict(json.loads(text))


def _high_pipe() -> tuple[int, int]:
    """Return a pipe whose ends are none of the numbers that the browser has for its own."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]


def load(browser: Browser, url: str, *, screenshot: bool) -> Message:
    """Return what the browser saw of a page: each request with its answer, and what stands in the console."""
    browser.events.clear()
    error = browser.call("Page.navigate", url=url).get("errorText", "")
    browser.wait_until_quiet()
    words = "document.body.innerText" if not error else "''"
    seen = {
        "url": url,
        "error": error,
        "text": browser.call("Runtime.evaluate", expression=words, returnByValue=True)["result"].get("value", ""),
        "console": list(_console(browser.events)),
        "requests": _requests(browser.events),
    }
    if screenshot:
        seen["png"] = browser.call("Page.captureScreenshot", format="png")["data"]
    return seen


def _console(events: t.Iterable[Message]) -> t.Iterator[str]:
    for event in events:
        params = event.get("params", {})
        if event.get("method") == "Log.entryAdded":
            entry = params["entry"]
            yield f"{entry['level']}: {entry['text']} {entry.get('url', '')}"
        elif event.get("method") == "Runtime.exceptionThrown":
            yield f"error: {params['exceptionDetails'].get('text', '')}"
        elif event.get("method") == "Runtime.consoleAPICalled":
            yield f"{params['type']}: {[word.get('value', '') for word in params['args']]}"


def _requests(events: t.Iterable[Message]) -> list[Message]:
    """Return each answer with its protocol, and whether it came from the browser's cache without a request."""
    found: dict[str, Message] = {}
    kept = set()
    for event in events:
        params = event.get("params", {})
        number = params.get("requestId", "")
        if event.get("method") == "Network.requestServedFromCache":
            kept.add(number)
        elif event.get("method") == "Network.responseReceived":
            answer = params["response"]
            found[number] = {
                "url": answer["url"],
                "status": answer["status"],
                "protocol": answer.get("protocol", ""),
                "cached": bool(answer.get("fromDiskCache")),
            }
        elif event.get("method") == "Network.loadingFailed":
            found.setdefault(number, {"url": "", "status": 0, "protocol": ""})["error"] = params["errorText"]
    return [{**answer, "cached": answer.get("cached", False) or number in kept} for number, answer in found.items()]


def browse(wanted: Message) -> list[Message]:
    """Return what was seen of each page."""
    width, height = wanted.get("size", [800, 450])
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser([f"--window-size={width},{height}", *wanted.get("options", [])], profile)
        try:
            for domain in ("Page", "Network", "Log", "Runtime"):
                browser.call(f"{domain}.enable")
            browser.call(
                "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
            )
            if wanted.get("headers"):
                browser.call("Network.setExtraHTTPHeaders", headers=wanted["headers"])
            return [load(browser, url, screenshot=bool(wanted.get("screenshots"))) for url in wanted["pages"]]
        finally:
            browser.close()


def main() -> None:
    """Print what was seen; screenshots are in Base64."""
    json.dump(browse(json.loads(sys.argv[1])), sys.stdout)


if __name__ == "__main__":
    main()
