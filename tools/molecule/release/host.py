# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test host as those see it who deploy to it, visit it, and ask how it is."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from tools.common import ROOT, ToolError
from tools.lab.host import Host

CONNECTIONS = 16
# Of each connection between two visits: a hundred requests in a second, of which some meet each instant of a deploy.
PAUSE = 0.15
LONGEST = 240
LEAVE = "/run/visitors-leave"

Row = dict[str, t.Any]


class StoryError(ToolError):
    """Something is not as it has to be."""


@dataclass(frozen=True)
class Run:
    """A run of Ansible that has ended."""

    succeeded: bool
    output: str


class InventoryHost(Host):
    """A host of the inventory, which is a container of the same name."""

    # A step that takes longer is broken.
    patience = LONGEST

    def begin(self, playbook: str, variables: t.Mapping[str, t.Any]) -> subprocess.Popen[str]:
        """Start Ansible, as a user of the collection would."""
        words = ["ansible-playbook", "--inventory", os.environ["MOLECULE_INVENTORY_FILE"], "--limit", self.name]
        return subprocess.Popen(
            [*words, str(ROOT / playbook), "--extra-vars", json.dumps(variables)],
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def play(self, playbook: str, variables: t.Mapping[str, t.Any] | None = None) -> Run:
        """Run Ansible."""
        return finish(self.begin(playbook, variables or {}))

    def status(self, name: str, root: str) -> Row:
        """Return how the application is, as status.yml tells."""
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            run = self.play("playbooks/status.yml", {"app": name, "flask_root": root, "json": file.name})
            found = json.loads(Path(file.name).read_text(encoding="utf-8") or "{}")
        if not run.succeeded or not found.get(self.name, {}).get("apps"):
            raise StoryError(f"status.yml does not know {name}:\n{run.output}")
        return t.cast(Row, found[self.name]["apps"][0])

    def ask(self, target: str, site: str) -> str:
        """Return what a visitor gets."""
        wanted = {"address": "127.0.0.1", "port": 80, "target": target, "headers": [["Host", site]]}
        reply = json.loads(self.script(f"python3 /root/visit.py '{json.dumps(wanted)}'"))
        if reply.get("status") != 200:
            raise StoryError(f"{target} of {site} answers {reply}")
        return str(reply["text"])


def finish(process: subprocess.Popen[str]) -> Run:
    """Return what became of a run when it has ended."""
    try:
        output = process.communicate(timeout=LONGEST)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise StoryError(f"Ansible did not end within {LONGEST} s") from None
    return Run(process.returncode == 0, output)


class Visitors:
    """Visitors who come all the time while something happens to their host."""

    def __init__(self, host: InventoryHost, site: str, *, repeat: bool = False) -> None:
        """Say whose they are; C(repeat) is for a reload of nginx, see tools/traffic.py."""
        self.figures: Row = {}
        self._host = host
        options = ["--host", site, "--post", "/whoami", "--field", "release", "--connections", str(CONNECTIONS)]
        options += ["--pause", str(PAUSE), "--seconds", str(LONGEST), "--until", LEAVE]
        self._words = ["docker", "exec", host.name, "python3", "/root/traffic.py", *options]
        self._words += ["--repeat"] if repeat else []

    def __enter__(self) -> t.Self:
        self._host.script(f"rm -f {LEAVE}")
        self._process = subprocess.Popen(self._words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # Nothing is to happen before they are there.
        time.sleep(1)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._host.script(f"touch {LEAVE}")
        output, error = self._process.communicate(timeout=60)
        if self._process.returncode:
            raise StoryError(f"the visitors stumbled: {error}")
        self.figures = json.loads(output)
