# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a screenshot of each error page, in English and in German, as Chromium shows it: docs/error-pages/*.png.

Role nginx publishes one site whose paths fail in all the ways for which there is a page, on a host in a container.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
import typing as t
from pathlib import Path

import yaml

from tools.common import ROOT, ToolError, call, run, say
from tools.lab import engine, images
from tools.lab.host import Host

HOST = Host.of_checkout("screenshots")
PLACE = ROOT / "docs" / "error-pages"
PROGRAM = ROOT / "tools" / "molecule" / "browse.py"
SITE = ROOT / "tools" / "molecule" / "errors.yml"
SIZE = [800, 450]
# Connections are accepted, and nothing is ever answered.
SILENT = "import socket, time; s = socket.create_server(('127.0.0.1', 9504)); time.sleep(86400)"
ENGLISH = {
    "404": "Page not found",
    "413": "Too large",
    "429": "Too many requests",
    "502": "Not available at the moment",
    "503": "Not available at the moment",
    "504": "This takes too long",
    "maintenance": "Down for maintenance",
}
# What leads to each page: the last of these addresses shows it.
PAGES: dict[str, list[str]] = {
    "404": ["/static/none.css"],
    "413": ["/form"],
    "429": ["/limited", "/limited"],
    "502": ["/"],
    "503": ["/closed"],
    "504": ["/slow"],
}
LANGUAGES = {"en": "en-GB", "de": "de-AT,de;q=0.9,en;q=0.5"}


def site() -> dict[str, t.Any]:
    """Return the site, as a user writes it."""
    return dict(yaml.safe_load(SITE.read_text(encoding="utf-8")))


def publish() -> None:
    """Have role nginx publish the site."""
    inventory = {
        "all": {
            "hosts": {HOST.name: {"ansible_connection": "community.docker.docker", "ansible_user": "root"}},
            "vars": {"nginx_sites": [site()]},
        }
    }
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "inventory.json"
        path.write_text(json.dumps(inventory), encoding="utf-8")
        playbook = ROOT / ".venv" / "bin" / "ansible-playbook"
        run(
            [playbook, "-i", path, "playbooks/site.yml"],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        )


def look(language: str, paths: t.Sequence[str]) -> dict[str, t.Any]:
    """Return what Chromium shows of the last of these paths."""
    wanted = {
        "pages": [f"http://errors.localhost{path}" for path in paths],
        "headers": {"Accept-Language": LANGUAGES[language]},
        "size": SIZE,
        "screenshots": True,
    }
    program = PROGRAM.read_text(encoding="utf-8")
    return dict(json.loads(HOST.run("python3", "-c", program, json.dumps(wanted)).out)[-1])


def take(name: str, language: str, paths: t.Sequence[str]) -> Path:
    """Write one screenshot, of a page that is in the language."""
    seen = look(language, paths)
    german = {str(status): text["title"] for status, text in site()["error_pages"]["de"].items()}
    title = german[name] if language == "de" else ENGLISH[name]
    if title not in seen["text"]:
        raise ToolError(f"{name} in {language}: the page does not say {title!r}:\n{seen['text']}\n{seen['console']}")
    path = PLACE / f"{name}-{language}.png"
    path.write_bytes(base64.b64decode(seen["png"]))
    return path


def take_all() -> list[Path]:
    """Take each page in each language."""
    PLACE.mkdir(parents=True, exist_ok=True)
    found = [take(name, language, paths) for name, paths in PAGES.items() for language in LANGUAGES]
    HOST.run("touch", site()["maintenance"]["flag"])
    return found + [take("maintenance", language, ["/"]) for language in LANGUAGES]


def main() -> int:
    """Take the screenshots on a host of their own, which is removed afterwards."""
    engine.ensure()
    images.provide(["trixie"], os.environ.get("FLASKOPS_HOSTS", ""))
    HOST.remove()
    try:
        say("starting a host, with Chromium on it")
        HOST.start(images.image_of("trixie"))
        HOST.install("chromium fonts-dejavu-core")
        HOST.run("systemd-run", "--unit", "silent", "python3", "-c", SILENT)
        say("publishing the site")
        publish()
        say("taking the screenshots")
        taken = take_all()
    finally:
        HOST.remove()
    size = sum(path.stat().st_size for path in taken)
    print(f"{len(taken)} screenshots in {PLACE.relative_to(ROOT)}, {size // 1024} KiB")
    return 0


if __name__ == "__main__":
    call(main)
