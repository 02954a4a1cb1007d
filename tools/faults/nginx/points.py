# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill nginx_site, or let it fail, at each of its system calls. Runs inside the test host, as root, beside strace.

Two states of three sites are changed into each other. After each fault nginx's tree must be one of the two, whole,
C(nginx -t) must pass, the server must answer, and the next run must complete the change and leave nothing behind.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import typing as t
from pathlib import Path

from tools.faults.inject import injector
from tools.faults.inject.module import Module

ENABLED = Path("/etc/nginx/sites-enabled")
STATE = Path("/var/lib/flaskops/nginx_site")
SNIPPET = Path("/etc/nginx/conf.d/extra.conf")


def site(name: str, text: str) -> dict[str, str]:
    """Return one site of a state."""
    listen = f"listen 80; server_name {name}.example.com;"
    return {"name": name, "content": f'server {{ {listen} location / {{ return 200 "{name} {text}"; }} }}\n'}


class State(t.NamedTuple):
    """A wanted set: the sites with what a visitor sees of them."""

    texts: dict[str, str]
    # The content of a further file of the transaction.
    snippet: str = ""

    @property
    def params(self) -> dict[str, t.Any]:
        """Return the module's parameters."""
        files = [{"path": str(SNIPPET), "content": self.snippet}] if self.snippet else []
        return {"sites": [site(*item) for item in self.texts.items()], "purge": True, "keep": 1, "files": files}

    @property
    def tree(self) -> dict[str, str]:
        """Return the directory of enabled sites: names, and the contents that their links lead to."""
        return {item["name"]: item["content"] for item in self.params["sites"]}


# One link changes by a rename; several links, one of them new and one gone, by an exchange of two directories; a file
# beside the sites changes just before them.
PLANS = {
    "one": (State({"a": "1", "b": "1"}), State({"a": "2", "b": "1"})),
    "many": (State({"a": "1", "b": "1", "c": "1"}), State({"a": "2", "b": "2", "d": "2"})),
    "files": (State({"a": "1", "b": "1", "c": "1"}, "# 1\n"), State({"a": "2", "b": "2", "d": "2"}, "# 2\n")),
}


def tree() -> dict[str, str]:
    """Return what nginx would read: names and the contents that their links lead to."""
    return {entry.name: entry.read_text() for entry in ENABLED.iterdir() if not entry.name.startswith(".")}


def snippet() -> str:
    """Return the further file; '' where there is none."""
    return SNIPPET.read_text() if SNIPPET.exists() else ""


def served(name: str) -> str:
    """Return what a visitor of a site reads."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": f"{name}.example.com", "Connection": "close"})
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException) as exc:
        return f"nothing: {exc}"


def leftovers() -> list[str]:
    """Return what a run must not leave behind."""
    found = [
        *Path("/etc/nginx").rglob(".flaskops*"),
        *Path("/run").glob("flaskops-*"),
        *Path("/tmp").glob("flaskops-*"),
    ]
    return [str(path) for path in [*found, *STATE.glob("*.json")]]


class Sites:
    """Two wanted sets of sites, and the change from one to the other."""

    def __init__(self, old: State, new: State) -> None:
        """Load the module."""
        self._old, self._new = old, new
        self._module = Module("nginx_site")
        # There is but one way from the old set to the new one.
        self.way = ""

    def ready(self, label: str) -> str:
        """Go to the old set."""
        failure = self._module.run(self._old.params).failure
        if failure or tree() != self._old.tree or snippet() != self._old.snippet:
            return f"{label}: no way back: {failure or sorted(tree())}"
        # Each change is the first of its kind: it keeps the earlier content of the further file.
        for kept in STATE.glob("*/*@*"):
            kept.unlink()
        return f"{label}: left behind: {leftovers()}" if leftovers() else ""

    def change(self, strace: t.Sequence[str] = ()) -> injector.Ended:
        """Go to the new set."""
        return self._module.run(self._new.params, strace)

    def judge(self, label: str) -> str:
        """Look at what the fault has left, and at what the next two runs do."""
        wrong = self._at_once() or self._afterwards()
        return f"{label}: {wrong}" if wrong else ""

    def _at_once(self) -> str:
        """Look at the tree, at what nginx says of it, and at what visitors see."""
        now, old, new = tree(), self._old, self._new
        if now not in (old.tree, new.tree):
            return f"neither the old nor the new tree: {sorted(now)}"
        if snippet() not in (old.snippet, new.snippet):
            return f"{SNIPPET} is neither old nor new: {snippet()!r}"
        if subprocess.run(["nginx", "-t"], capture_output=True, check=False).returncode != 0:
            return "nginx -t fails"
        for name in set(old.texts) & set(new.texts):
            if (answer := served(name)) not in (f"{name} {old.texts[name]}", f"{name} {new.texts[name]}"):
                return f"{name} answers {answer!r}"
        return ""

    def _afterwards(self) -> str:
        """Let the next run complete the change, and the run after that find nothing to do."""
        new = self._new
        if failure := self.change().failure:
            return f"the next run fails: {failure}"
        answers = {name: served(name) for name in new.texts}
        complete = (tree(), snippet()) == (new.tree, new.snippet)
        if not complete or any(answers[name] != f"{name} {text}" for name, text in new.texts.items()):
            return f"the next run does not complete the change: {answers}"
        again = self.change()
        return again.failure or ("the run after that changes something" if again.result["changed"] else "")

    def mend(self) -> None:
        """Start nginx anew, without what was there."""
        restart = (
            "rm -rf /var/lib/flaskops /etc/nginx/sites-enabled/*; nginx -s stop; sleep 0.5; pgrep -x nginx || nginx"
        )
        subprocess.run(["sh", "-c", restart], capture_output=True, check=False)
        self._module.run(self._old.params)


def main() -> int:
    """Inject faults, and print the counts as JSON in the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", choices=PLANS)
    parser.add_argument("faults", nargs="+", help="signal=KILL, error=ENOSPC, …")
    parser.add_argument("--every", type=int, default=1, help="take each n-th point only")
    arguments = parser.parse_args()
    result = injector.inject_all(Sites(*PLANS[arguments.plan]), injector.Calls(arguments.faults, arguments.every))
    print(json.dumps(result.to_json()))
    return 1 if result.broken else 0


if __name__ == "__main__":
    sys.exit(main())
