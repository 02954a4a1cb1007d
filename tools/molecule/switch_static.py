# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move a link between two releases, and look whether nginx ever serves a file of the one that it has left.

An nginx of its own serves the published site of an application from directories of its own. Runs on a test host, with
its Python alone.

usage: switch_static.py '{"site": "/etc/nginx/sites-enabled/shop", "name": "shop", "host": "shop.test", "switches": 9}'
"""

from __future__ import annotations

import gzip
import http.client
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from pathlib import Path

RELEASES = ("aaaaaaa-11111111", "bbbbbbb-22222222")
PORT = 8089
# More than nginx has workers, so that each of them is asked.
CONNECTIONS = 8
CONF = """\
user www-data;
worker_processes 2;
pid {top}/nginx.pid;
error_log {top}/error.log;
events {{ }}
http {{
    include /etc/nginx/mime.types;
    include {shared};
    include {top}/site;
}}
"""


def make_releases(top: Path, name: str) -> None:
    """Make two releases whose files have the same names and tell their release."""
    for release in RELEASES:
        static = top / name / "releases" / release / "app" / "static"
        static.mkdir(parents=True)
        (top / name / "releases" / release / "run").mkdir()
        (static / "plain.bin").write_text(release)
        (static / "app.css").write_text(release + " " * 2000)
        (static / "app.css.gz").write_bytes(gzip.compress((release + " " * 2000).encode()))
        # Only this release has it; the other one answers 404.
        (static / f"{release}.txt").write_text(release)


def own_site(text: str, top: Path, name: str) -> str:
    """Return the text of a site as it is published, but for its directories, logs and port."""
    text = text.replace(f"/srv/{name}/", f"{top}/{name}/").replace("/var/log/nginx/", f"{top}/")
    # Files of the release before are asked for only where the current one has none.
    text = text.replace("/run/flaskops/previous/", f"{top}/previous/")
    text = re.sub(r"^ *listen \[.*\n", "", text, flags=re.MULTILINE)
    return re.sub(r"listen 80\b", f"listen 127.0.0.1:{PORT}", text)


class Links:
    """The link of the application, and the release that it leads to."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self.release = ""

    def switch(self, release: str) -> None:
        """Lead to a release, by one rename as a deploy does."""
        beside = self._base / "beside"
        beside.symlink_to(f"releases/{release}")
        beside.rename(self._base / "current")
        self.release = release


def ask(connection: http.client.HTTPConnection, target: str, host: str, packed: bool) -> tuple[int, str]:
    """Return the status and the beginning of the body."""
    headers = {"Host": host, **({"Accept-Encoding": "gzip"} if packed else {})}
    connection.request("GET", target, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.getheader("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return answer.status, body.decode("utf-8", "replace")[:40].strip()


def keep_asking(host: str, stop: threading.Event) -> None:
    """Ask all the time, so that nginx has been asked just before and just after each switch."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    while not stop.is_set():
        for target in ("/static/plain.bin", "/static/app.css"):
            ask(connection, target, host, packed=False)


def count(host: str, links: Links, switches: int) -> dict[str, t.Any]:
    """Switch so many times, and return what came of another release than the one that is current."""
    connections = [http.client.HTTPConnection("127.0.0.1", PORT, timeout=10) for _connection in range(CONNECTIONS)]
    stale, requests = [], 0
    stop = threading.Event()
    beside = threading.Thread(target=keep_asking, args=(host, stop))
    beside.start()
    for number in range(switches):
        links.switch(RELEASES[number % 2])
        connection, other = connections[number % CONNECTIONS], RELEASES[(number + 1) % 2]
        wanted = {
            ("/static/plain.bin", False): (200, links.release),
            ("/static/app.css", True): (200, links.release),
            ("/static/app.css", False): (200, links.release),
            (f"/static/{links.release}.txt", False): (200, links.release),
        }
        for (target, packed), expected in wanted.items():
            requests += 1
            got = ask(connection, target, host, packed)
            if got != expected:
                stale.append([number, target, *got])
        requests += 1
        if ask(connection, f"/static/{other}.txt", host, packed=False)[0] != 404:
            stale.append([number, other, "a file that the release does not have"])
    stop.set()
    beside.join()
    return {"switches": switches, "requests": requests, "stale": len(stale), "first": stale[:3]}


def main() -> None:
    """Start nginx, count, and print what was found."""
    wanted = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        top.chmod(0o755)
        make_releases(top, wanted["name"])
        links = Links(top / wanted["name"])
        links.switch(RELEASES[1])
        (top / "site").write_text(own_site(Path(wanted["site"]).read_text(encoding="utf-8"), top, wanted["name"]))
        shared = wanted.get("shared", "/etc/nginx/conf.d/flaskops.conf")
        (top / "nginx.conf").write_text(CONF.format(top=top, shared=shared))
        subprocess.run(["nginx", "-c", f"{top}/nginx.conf"], check=True)
        try:
            time.sleep(0.3)
            print(json.dumps(count(wanted["host"], links, wanted["switches"])))
        finally:
            subprocess.run(["nginx", "-c", f"{top}/nginx.conf", "-s", "stop"], check=True)
            time.sleep(0.3)


if __name__ == "__main__":
    main()
