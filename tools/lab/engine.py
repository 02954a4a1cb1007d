# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""See to a Docker engine: leave a running one alone; as root, install and start one where there is none."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from tools.common import ToolError, apt_install, call, docker, is_root, run, say, succeeds

LOG = Path("/var/log/flaskops-dockerd.log")
PID_FILES = (Path("/var/run/docker.pid"), Path("/var/run/docker/containerd/containerd.pid"))
PATIENCE = 60

# systemd 257 and newer, in the test hosts, refuse cgroups of version 1: the engine gets a view of version 2 alone.
START_BY_HAND = """
if ! [ -e /sys/fs/cgroup/cgroup.controllers ] || ! [ -w /sys/fs/cgroup ]; then
  umount -R /sys/fs/cgroup 2>/dev/null
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
exec dockerd
"""


def answers() -> bool:
    """Tell whether an engine can be reached."""
    return shutil.which("docker") is not None and succeeds(["docker", "info"], timeout=60)


def why_not() -> str:
    """Return what the docker client says of the engine that it cannot reach."""
    try:
        docker("info", timeout=60)
    except ToolError as exc:
        return str(exc)
    return ""


def install() -> None:
    """Install the engine that the distribution has."""
    packages = ["docker.io", "iptables"]
    # Debian 13 and newer have the client in a package of its own.
    if shutil.which("apt-cache") and "docker-cli" in run(["apt-cache", "pkgnames", "docker-cli"]).split():
        packages.append("docker-cli")
    apt_install(*packages)


def forget_killed_engine() -> None:
    """Remove the pid files of an engine that was killed: the next one would take any process with that pid for it."""
    for pid_file in PID_FILES:
        try:
            program = Path("/proc", pid_file.read_text(encoding="utf-8").strip(), "exe").readlink().name
        except OSError:
            # No pid file, no such process, or one that is dead and that was not waited for.
            program = ""
        if program not in ("dockerd", "containerd"):
            pid_file.unlink(missing_ok=True)


def start_by_hand() -> subprocess.Popen[bytes]:
    """Start dockerd without an init system."""
    say(f"starting dockerd by hand, its log is {LOG}")
    forget_killed_engine()
    with LOG.open("ab") as log:
        return subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", START_BY_HAND],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )


def start() -> None:
    """Start the installed engine, by systemd where it is the init system, and wait until it answers."""
    process = None
    if Path("/run/systemd/system").is_dir():
        run(["systemctl", "start", "docker.service"])
    else:
        process = start_by_hand()
    deadline = time.monotonic() + PATIENCE
    while not answers():
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            last = "\n".join(LOG.read_text(errors="replace").splitlines()[-5:]) if process else ""
            what = "has ended" if ended else f"does not answer after {PATIENCE} s"
            raise ToolError(f"the Docker engine {what}: {why_not()}\n{last}")
        time.sleep(0.5)


def ensure() -> None:
    """Return when a Docker engine answers."""
    if answers():
        return
    if not is_root():
        raise ToolError(
            "no Docker engine is within reach. Start one, or join the group 'docker' (sudo usermod -aG docker $USER, "
            f"then log in again), or run this as root: it then installs and starts one.\n{why_not()}"
        )
    if not shutil.which("docker") or not shutil.which("dockerd"):
        install()
    if not answers():
        start()


def main() -> int:
    """See to an engine."""
    ensure()
    return 0


if __name__ == "__main__":
    call(main)
