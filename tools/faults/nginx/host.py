# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drive nginx_site inside a test host, a Docker container with nginx, without the seconds that a playbook takes."""

from __future__ import annotations

import io
import json
import queue
import subprocess
import tarfile
import tempfile
import threading
import typing as t
from dataclasses import dataclass
from pathlib import Path

import ansible

from tools.common import ROOT, ToolError

PAYLOAD = "/opt/flaskops-test"
# What runs inside, by the same names as here.
INSIDE = ("tools/__init__.py", "tools/traffic.py", "tools/faults")
MODULE = "ansible_collections.flaskops.stack.plugins.modules.nginx_site"


@dataclass(frozen=True)
class Said:
    """What a command in the host has said."""

    rc: int
    out: str
    err: str


@dataclass(frozen=True)
class Host:
    """A container that runs already."""

    name: str
    method: str = "namespace"

    def server(self, verb: str) -> None:
        """Start, stop, restart or reload nginx, with systemd or by hand."""
        wait = "i=0; while pgrep -x nginx >/dev/null && [ $i -lt 100 ]; do sleep 0.05; i=$((i+1)); done"
        # By its path: an exchange of the binary (USR2) runs the words that nginx was started with.
        by_hand = {
            "start": "/usr/sbin/nginx",
            "stop": f"! pgrep -x nginx >/dev/null || nginx -s stop; {wait}; rm -f /run/nginx.pid",
            "reload": "nginx -s reload; sleep 0.5",
        }
        by_hand["restart"] = f"{by_hand['stop']}; {by_hand['start']}"
        systemd = f"systemctl reset-failed nginx; systemctl {verb} nginx"
        self.sh(f"if [ -d /run/systemd/system ]; then {systemd}; else {by_hand[verb]}; fi")

    def run(self, *argv: str, stdin: str = "", check: bool = True, timeout: float = 300) -> Said:
        """Run a command in the host."""
        command = ["docker", "exec", "-i", "-e", f"PYTHONPATH={PAYLOAD}", self.name, *argv]
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name}: {' '.join(argv)} did not end within {timeout:.0f} s") from None
        if check and done.returncode != 0:
            raise AssertionError(
                f"{self.name}: {' '.join(argv)} ended with {done.returncode}: {done.stderr or done.stdout}"
            )
        return Said(done.returncode, done.stdout, done.stderr)

    def follow(self, *argv: str, heard: t.Callable[[str], None], silence: float) -> Said:
        """Run a command that is told of line by line, and given up when it says nothing for so many seconds."""
        command = ["docker", "exec", "-e", f"PYTHONPATH={PAYLOAD}", self.name, *argv]
        lines: queue.Queue[str] = queue.Queue()
        said = []
        with tempfile.TemporaryFile("w+") as errors, _start(command, errors) as process:
            reader = threading.Thread(target=_read, args=(process, lines))
            reader.start()
            try:
                while line := lines.get(timeout=silence):
                    said.append(line)
                    heard(line)
            except queue.Empty:
                process.kill()
                last = said[-1].strip()[:300] if said else "nothing at all"
                what = f"{' '.join(argv)} has said nothing for {silence:.0f} s, and last {last!r}"
                raise ToolError(f"{self.name} hangs: {what}") from None
            finally:
                reader.join()
            rc = process.wait()
            errors.seek(0)
            return Said(rc, "".join(said), errors.read())

    def sh(self, script: str, check: bool = True) -> str:
        """Run a shell script in the host and return its output."""
        return self.run("sh", "-c", script, check=check).out.strip()

    def write(self, path: str, text: str) -> None:
        """Write a file in the host."""
        self.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat > "$1"', "sh", path, stdin=text)

    def install(self) -> None:
        """Put the modules, the part of Ansible that they need, and what injects faults into the host."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            stack = "ansible_collections/flaskops/stack/plugins"
            for part in ("modules", "module_utils"):
                archive.add(ROOT / "plugins" / part, f"{stack}/{part}", filter=_source)
            utils = Path(ansible.__file__).parent
            archive.add(utils / "module_utils", "ansible/module_utils", filter=_source)
            archive.addfile(tarfile.TarInfo("ansible/__init__.py"))
            for part in INSIDE:
                archive.add(ROOT / part, part, filter=_source)
        self.run("rm", "-rf", PAYLOAD)
        self.run("mkdir", "-p", PAYLOAD)
        command = ["docker", "exec", "-i", self.name, "tar", "-x", "-C", PAYLOAD]
        subprocess.run(command, input=buffer.getvalue(), check=True)

    def module(self, check: bool = False, diff: bool = False, **params: t.Any) -> dict[str, t.Any]:
        """Run nginx_site and return its result."""
        said = self.run("python3", "-m", MODULE, stdin=arguments(check, diff, params), check=False)
        return result_of(said)

    def get(self, host: str, path: str = "/", port: int = 80) -> str:
        """Return the status and body that nginx answers for a host name, or the error."""
        return self.run("python3", "-c", _GET, host, str(port), path, check=False).out.strip()


def _start(command: t.Sequence[str], errors: t.IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True)


def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    """Pass on what a process says, and an empty text at its end."""
    for line in process.stdout or ():
        lines.put(line)
    lines.put("")


def arguments(check: bool, diff: bool, params: dict[str, t.Any]) -> str:
    """Return a module's standard input."""
    return json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_check_mode": check, "_ansible_diff": diff, **params}})


def result_of(said: Said) -> dict[str, t.Any]:
    """Return the result that a module has printed."""
    try:
        result: dict[str, t.Any] = json.loads(said.out.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"failed": True, "msg": f"no result, exit code {said.rc}: {said.err[-3000:]}", "rc": said.rc}
    return result


def _source(item: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in item.name else item


_GET = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]), timeout=5)
try:
    connection.request("GET", sys.argv[3], headers={"Host": sys.argv[1], "Connection": "close"})
    answer = connection.getresponse()
    print(answer.status, answer.read(2000).decode("utf-8", "replace"))
except OSError as exc:
    print("error:", exc)
"""
