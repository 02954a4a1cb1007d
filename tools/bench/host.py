# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One test host, reached over SSH as a user's hosts are, and Ansible run against it."""

from __future__ import annotations

import json
import os
import re
import socket
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from tools.common import ROOT, ToolError, run
from tools.lab.host import Host


@dataclass(frozen=True)
class Play:
    """What a run of ansible-playbook did."""

    seconds: float
    # Headlines, also of tasks that were skipped.
    tasks: list[str]
    # The headlines of those that changed something.
    changed: list[str]
    # Name and seconds of each task that succeeded, from its start to its result.
    timed: list[tuple[str, float]] = field(default_factory=list)


class BenchHost(Host):
    """A host with an SSH server; made on entry, removed on exit. Past SSH it is prepared only, and not measured."""

    # Four tasks for each of a hundred sites take two minutes, on a busy machine eight.
    patience = 1800

    def __init__(self, image: str, work: Path) -> None:
        super().__init__(Host.of_checkout("bench").name)
        self.image, self.work = image, work
        self.port = 0

    def __enter__(self) -> t.Self:
        try:
            self.remove()
            self.start(self.image, ["--publish", "127.0.0.1::22"])
            self.port = self.published_port(22)
            self._open_ssh()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.remove()

    def _open_ssh(self) -> None:
        key = self.work / "key"
        for old in (key, key.with_suffix(".pub"), self.work / "known_hosts"):
            old.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(key)])
        self.install("openssh-server git python3-venv")
        self.script(
            "mkdir -p -m 700 /root/.ssh && cat > /root/.ssh/authorized_keys && systemctl restart ssh.service",
            stdin=key.with_suffix(".pub").read_text(encoding="utf-8"),
        )
        self._await_ssh()
        inventory = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(key),
        }
        self.write_json("inventory.json", {"all": {"hosts": {"bench": inventory}}})

    def _await_ssh(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                    if connection.recv(4) == b"SSH-":
                        return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise ToolError(f"no SSH server answers on port {self.port}: docker logs {self.name}")
            time.sleep(0.3)

    def write_json(self, name: str, value: object) -> Path:
        """Write a JSON file beside the results and return its path."""
        path = self.work / name
        path.write_text(json.dumps(value, indent=1), encoding="utf-8")
        return path

    @property
    def _ssh_options(self) -> list[str]:
        # The controller's own configuration stays out of it; one connection is made and kept.
        pairs = {
            "ControlMaster": "auto",
            "ControlPersist": "300s",
            "StrictHostKeyChecking": "accept-new",
            "UserKnownHostsFile": str(self.work / "known_hosts"),
            "LogLevel": "ERROR",
        }
        return ["-F", "none", *(f"-o{name}={value}" for name, value in pairs.items())]

    def ssh(self, script: str) -> float:
        """Run a shell script over SSH, with a connection that is kept, and return the seconds it took."""
        control = f"-oControlPath={self.work / 'ssh'}"
        command = ["ssh", *self._ssh_options, control, "-i", str(self.work / "key"), "-p", str(self.port)]
        started = time.monotonic()
        run([*command, "root@127.0.0.1", script], timeout=self.patience)
        return time.monotonic() - started

    def play(self, playbook: Path, variables: Path | None = None, *extra: str) -> Play:
        """Run a playbook over SSH with pipelining and return what it did."""
        timed = self.work / "seconds.jsonl"
        timed.unlink(missing_ok=True)
        env = {
            **os.environ,
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "flaskops_seconds",
            "FLASKOPS_SECONDS": str(timed),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_SSH_ARGS": " ".join(self._ssh_options),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_NOCOLOR": "true",
            # Ansible is compiled where people use it; without this it would be in each run, where that is switched off.
            "PYTHONDONTWRITEBYTECODE": "",
        }
        given = ["--extra-vars", f"@{variables}"] if variables else []
        command = ["ansible-playbook", "-i", str(self.work / "inventory.json"), str(playbook), *given, *extra]
        started = time.monotonic()
        output = run(command, env=env, cwd=ROOT, timeout=self.patience)
        seconds = time.monotonic() - started
        return Play(seconds, *read_tasks(output), read_seconds(timed))


def read_seconds(path: Path) -> list[tuple[str, float]]:
    """Return what the callback plugin has written."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [tuple(json.loads(line)) for line in lines]


def read_tasks(output: str) -> tuple[list[str], list[str]]:
    """Return all tasks in the output of a run, and those that changed something."""
    tasks, changed = [], []
    for line in output.splitlines():
        if headline := re.match(r"TASK \[(.*)\]", line):
            tasks.append(headline.group(1))
        elif line.startswith("changed: "):
            changed.append(tasks[-1])
    return tasks, changed
