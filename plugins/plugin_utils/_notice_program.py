# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Post notices: a program of its own, so that no name server and no answer can hold up the run that started it.

It reads C({"seconds": 5, "notices": [{"url": "https://...", "body": {}}]}) from its standard input, so that no URL is
in a list of processes, and writes a list with the problem of each notice, an empty text for none. None names a URL.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import sys
import threading
import time
import typing as t
import urllib.request
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit

_LOOPBACK = ("localhost", "::1", "127.")


class _Headers(urllib.request.BaseHandler):
    """Says what is posted, before Python calls it a form."""

    handler_order = 400

    def __init__(self, headers: t.Mapping[str, str]) -> None:
        self._headers = headers

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        """Return the request with the headers."""
        for name, value in self._headers.items():
            request.add_header(name, value)
        return request

    https_request = http_request


def post(url: str, body: t.Mapping[str, t.Any], seconds: float) -> str:
    """Post a notice; return why it did not arrive, empty when it did."""
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "flaskops.stack"}
    parts = urlsplit(url)
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    try:
        opener = _opener(parts.hostname or "", headers)
        with opener.open(urlunsplit(parts), json.dumps(body).encode(), timeout=seconds):
            return ""
    except HTTPError as exc:
        moved = ", and redirects are not followed" if 300 <= exc.code < 400 else ""
        return f"its server answered {exc.code}{moved}"
    except URLError as exc:
        return f"its server cannot be reached: {_say(exc.reason)}"
    except (OSError, http.client.HTTPException, ValueError) as exc:
        return f"its server did not answer: {_say(exc)}"


def _opener(host: str, headers: t.Mapping[str, str]) -> urllib.request.OpenerDirector:
    """Return what speaks HTTP and HTTPS alone, and follows no redirect: the URL holds a token."""
    opener = urllib.request.OpenerDirector()
    # A proxy that the environment names has no business with what does not leave this host.
    proxies: dict[str, str] | None = {} if host.startswith(_LOOPBACK) else None
    for handler in (
        _Headers(headers),
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _say(reason: object) -> str:
    """Return what an error says, without what may quote the URL or its host."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted (code {reason.verify_code})"
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return type(reason).__name__


def main() -> None:
    """Post all at once; give up those that take too long."""
    given = json.load(sys.stdin)
    seconds = float(given["seconds"])
    end = time.monotonic() + seconds
    problems = [f"it did not answer in {seconds:.0f} s" for _notice in given["notices"]]

    def attempt(number: int, url: str, body: t.Mapping[str, t.Any]) -> None:
        problems[number] = post(url, body, seconds)

    threads = [
        threading.Thread(target=attempt, args=(number, notice["url"], notice["body"]), daemon=True)
        for number, notice in enumerate(given["notices"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    sys.stdout.write(json.dumps(problems))
    sys.stdout.flush()
    # A thread may wait for a name server, which nothing interrupts.
    os._exit(0)


if __name__ == "__main__":
    main()
