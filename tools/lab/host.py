# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test host: a container with systemd as its first process, made and removed, and what can be done in it."""

from __future__ import annotations

import argparse
import os
import queue
import shlex
import subprocess
import tempfile
import threading
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from tools.common import CHECKOUT, ToolError, call, docker, say, succeeds

# systemd as PID 1 without --privileged, which proves less and fails where the engine lacks capabilities itself.
SYSTEMD = (
    *("--cap-add", "SYS_ADMIN"),
    *("--security-opt", "seccomp=unconfined"),
    *("--security-opt", "apparmor=unconfined"),
    "--cgroupns=host",
    *("--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"),
    *("--tmpfs", "/run"),
    *("--tmpfs", "/run/lock"),
    # Of SIGTERM systemd would start itself anew, and be killed when the engine loses its patience.
    *("--stop-signal", "SIGRTMIN+3"),
)
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
# What the distribution's own update-ca-certificates adds to its bundle, so that an upgrade keeps it.
EXTRA = "/usr/local/share/ca-certificates/controller.crt"
# A busy engine takes this long to stop or start one of several hosts.
_PATIENCE = 120


class CommandError(ToolError):
    """A command in a host failed, or did not end in time."""


@dataclass(frozen=True)
class Output:
    """What a command in a host has printed, and how it ended."""

    rc: int
    out: str
    err: str


class Host:
    """A container of this name, whether it exists or not."""

    # Seconds that a command may take.
    patience: t.ClassVar[float] = 300

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def of_checkout(cls, label: str) -> t.Self:
        """Return the host with a label in this checkout; another checkout has one of its own."""
        return cls(f"flaskops-{CHECKOUT}-{label}")

    @property
    def state(self) -> str:
        """Return the state of the container: running, exited, …; empty when there is none."""
        found = docker("ps", "--all", "--filter", f"name=^/?{self.name}$", "--format", "{{.State}}")
        return found.strip()

    def create(self, image: str, options: t.Sequence[str] = (), *, systemd: bool = True) -> None:
        """Make it and start it, with the caller's trust store where there is one; without systemd it does nothing."""
        if systemd:
            hostname = self.name.removeprefix(f"flaskops-{CHECKOUT}-")
            words = ["--hostname", hostname, *SYSTEMD, *options, image, "/sbin/init"]
        else:
            words = ["--init", *options, image, "sleep", "infinity"]
        docker("create", "--name", self.name, *words)
        if bundle := private_bundle():
            docker("cp", "--follow-link", bundle, f"{self.name}:{BUNDLE}")
            docker("cp", "--follow-link", bundle, f"{self.name}:{EXTRA}")
        docker("start", self.name)

    def start(self, image: str, options: t.Sequence[str] = ()) -> None:
        """Return when it runs: the one that exists, started if need be, else a new one."""
        before = self.state
        if before and before != "running" and not succeeds(["docker", "start", self.name]):
            say(f"{self.name} cannot be started again: making a new one")
            self.remove()
            before = ""
        if not before:
            self.create(image, options)
        self.wait_for_boot()

    def remove(self) -> None:
        """Remove it, if it exists."""
        if self.state:
            docker("rm", "--force", "--volumes", self.name)

    def wait_for_boot(self, seconds: float = 30) -> None:
        """Wait until systemd has started what the host starts by itself."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                docker("exec", self.name, "systemctl", "is-system-running", timeout=30)
            except ToolError as exc:
                # "degraded": a unit that no container can run has failed.
                if "degraded" in str(exc):
                    return
            else:
                return
            if time.monotonic() > deadline:
                log = docker("logs", "--tail", "20", self.name)
                raise ToolError(f"systemd is not up in {self.name} after {seconds:.0f} s:\n{log}")
            time.sleep(0.2)

    def cut_power(self) -> None:
        """Kill everything in it at once, and boot it."""
        docker("kill", self.name, timeout=_PATIENCE)
        docker("start", self.name, timeout=_PATIENCE)
        self.wait_for_boot()

    def published_port(self, port: int) -> int:
        """Return the port of this machine that leads to one of the host."""
        return int(docker("port", self.name, f"{port}/tcp").split()[0].rpartition(":")[2])

    def run(self, *argv: str, stdin: str = "", check: bool = True, timeout: float = 0) -> Output:
        """Run a command in the host; one that fails, or takes longer than the host's patience, is a CommandError."""
        command = ["docker", "exec", "--interactive", self.name, *argv]
        patience = timeout or self.patience
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=patience, check=False)
        except subprocess.TimeoutExpired:
            raise CommandError(f"{self.name}: {shlex.join(argv)} did not end within {patience:.0f} s") from None
        if check and done.returncode != 0:
            raise CommandError(
                f"{self.name}: {shlex.join(argv)}\nexited {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
            )
        return Output(done.returncode, done.stdout, done.stderr)

    def sh(self, line: str, *, check: bool = True) -> str:
        """Return what a line for a shell prints; its exit code is that of its last command."""
        return self.run("sh", "-c", line, check=check).out.strip()

    def script(self, text: str, stdin: str = "") -> str:
        """Return what a shell script prints, each of whose commands has to succeed."""
        return self.run("sh", "-ec", text, stdin=stdin).out.strip()

    def install(self, packages: str) -> None:
        """Install packages of the distribution."""
        words = "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"
        self.script(f"apt-get update -qq && {words} {packages} >/dev/null")

    def wait_for(self, question: str, seconds: float = 60) -> None:
        """Wait until a shell in the host answers with yes."""
        late = f"[ $(date +%s) -lt $end ] || {{ echo 'not within {seconds:.0f} s'; exit 1; }}"
        self.script(f"end=$(($(date +%s) + {seconds:.0f})); until {question}; do {late}; sleep 0.02; done")

    def follow(self, *argv: str, on_line: t.Callable[[str], None], silence: float) -> Output:
        """Run a command, pass on each line that it prints, and give it up after so many seconds without one."""
        command = ["docker", "exec", self.name, *argv]
        lines: queue.Queue[str] = queue.Queue()
        printed = []
        with tempfile.TemporaryFile("w+") as errors, _start(command, errors) as process:
            reader = threading.Thread(target=_read, args=(process, lines))
            reader.start()
            try:
                while line := lines.get(timeout=silence):
                    printed.append(line)
                    on_line(line)
            except queue.Empty:
                process.kill()
                last = printed[-1].strip()[:300] if printed else "nothing at all"
                what = f"{shlex.join(argv)} has said nothing for {silence:.0f} s, and last {last!r}"
                raise ToolError(f"{self.name} hangs: {what}") from None
            finally:
                reader.join()
            rc = process.wait()
            errors.seek(0)
            return Output(rc, "".join(printed), errors.read())

    def write(self, path: str, text: str) -> None:
        """Write a file in the host."""
        self.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat > "$1"', "sh", path, stdin=text)

    def copy(self, source: Path, target: str) -> None:
        """Copy what a directory holds to a directory of the host."""
        docker("cp", f"{source}/.", f"{self.name}:{target}")

    def unpack(self, archive: bytes, target: str) -> None:
        """Unpack a tar archive in a directory that is made anew."""
        self.run("rm", "-rf", target)
        self.run("mkdir", "-p", target)
        words = ["docker", "exec", "--interactive", self.name, "tar", "-x", "-C", target]
        subprocess.run(words, input=archive, check=True)


def _start(command: t.Sequence[str], errors: t.IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True)


def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    """Pass on what a process prints, and an empty text at its end."""
    for line in process.stdout or ():
        lines.put(line)
    lines.put("")


def private_bundle() -> Path | None:
    """Return the trust store that the caller's environment names, as behind a proxy that re-signs TLS."""
    for variable in ("SSL_CERT_FILE", "PIP_CERT"):
        path = Path(os.environ.get(variable, ""))
        if path.is_file():
            return path
    return None


def main() -> int:
    """Start or remove a test host of this checkout and print its container's name."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="start: what is left over are options of docker create"
    )
    parser.add_argument("action", choices=["start", "remove", "name"])
    parser.add_argument("name")
    parser.add_argument("--image", default="flaskops-host:newer")
    arguments, options = parser.parse_known_args()
    host = Host.of_checkout(arguments.name)
    if arguments.action == "start":
        host.start(arguments.image, options)
    elif arguments.action == "remove":
        host.remove()
    print(host.name)
    return 0


if __name__ == "__main__":
    call(main)
