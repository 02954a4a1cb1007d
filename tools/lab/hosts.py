# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and remove test hosts, containers with systemd as their first process, for demo, bench and faults."""

from __future__ import annotations

import argparse
import os
import time
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


def container(name: str) -> str:
    """Return the container's name of a host, which differs between checkouts."""
    return f"flaskops-{CHECKOUT}-{name}"


def state(name: str) -> str:
    """Return the state of a container: running, exited, …; empty when there is none."""
    found = docker("ps", "--all", "--filter", f"name=^/?{name}$", "--format", "{{.State}}")
    return found.strip()


def private_bundle() -> Path | None:
    """Return the trust store that the caller's environment names, as behind a proxy that re-signs TLS."""
    for variable in ("SSL_CERT_FILE", "PIP_CERT"):
        path = Path(os.environ.get(variable, ""))
        if path.is_file():
            return path
    return None


def wait_for_systemd(name: str, seconds: float = 30) -> None:
    """Wait until systemd has started what the host starts by itself."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            docker("exec", name, "systemctl", "is-system-running", timeout=30)
        except ToolError as exc:
            # "degraded": a unit that no container can run has failed.
            if "degraded" in str(exc):
                return
        else:
            return
        if time.monotonic() > deadline:
            raise ToolError(
                f"systemd is not up in {name} after {seconds:.0f} s:\n{docker('logs', '--tail', '20', name)}"
            )
        time.sleep(0.2)


def create(name: str, image: str, options: list[str]) -> None:
    """Make a new host, with the caller's trust store where it has one of its own."""
    hostname = name.removeprefix(f"flaskops-{CHECKOUT}-")
    docker("create", "--name", name, "--hostname", hostname, *SYSTEMD, *options, image, "/sbin/init")
    if bundle := private_bundle():
        docker("cp", "--follow-link", bundle, f"{name}:{BUNDLE}")
        docker("cp", "--follow-link", bundle, f"{name}:{EXTRA}")
    docker("start", name)


def start(name: str, image: str, options: list[str]) -> None:
    """Return when a host of this name runs: the one that exists, started if need be, else a new one."""
    before = state(name)
    if before and before != "running" and not succeeds(["docker", "start", name]):
        say(f"{name} cannot be started again: making a new one")
        remove(name)
        before = ""
    if not before:
        create(name, image, options)
    wait_for_systemd(name)


def remove(name: str) -> None:
    """Remove a host, if it exists."""
    if state(name):
        docker("rm", "--force", "--volumes", name)


def main() -> int:
    """Start or remove a test host of this checkout and print its container's name."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="start: what is left over are options of docker create"
    )
    parser.add_argument("action", choices=["start", "remove", "name"])
    parser.add_argument("name")
    parser.add_argument("--image", default="flaskops-host:newer")
    arguments, options = parser.parse_known_args()
    name = container(arguments.name)
    if arguments.action == "start":
        start(name, arguments.image, options)
    elif arguments.action == "remove":
        remove(name)
    print(name)
    return 0


if __name__ == "__main__":
    call(main)
