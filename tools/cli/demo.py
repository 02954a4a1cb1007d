# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A systemd host in a container, Flask applications that playbooks/site.yml deploys to it, and a screen about them."""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.common import CACHE, ROOT, ToolError, call, say, succeeds
from tools.lab import engine, images
from tools.lab.host import BUNDLE, Host, private_bundle

# Two checkouts have two demos.
HOST = Host.of_checkout("demo")
DIRECTORY = CACHE / "demo"
INVENTORY = DIRECTORY / "inventory.yml"
OWN_APPS = DIRECTORY / "apps.json"
LOG = DIRECTORY / "ansible.log"
FIRST_PORT = 8443
# What the host has signed itself: the one way to know it.
CERTIFICATES = DIRECTORY / "certificates.pem"
RECAP = re.compile(rf"^{HOST.name} +: ok=(?P<ok>\d+) +changed=(?P<changed>\d+)", re.MULTILINE)


@dataclass(frozen=True)
class App:
    """One entry of flask_apps."""

    name: str
    source: str
    app: str
    domain: str


@dataclass(frozen=True)
class Run:
    """What a run of the playbook did."""

    tasks: int
    changed: int
    seconds: float


EXAMPLES = (
    App("hello", str(ROOT / "examples" / "hello"), "hello:create_app()", "hello.localhost"),
    App("httpbin", "httpbin==0.10.2", "httpbin:app", "httpbin.localhost"),
)


def derive_name(source: str) -> str:
    """Return the name of an application: the last word of a path or an address, or the project of a requirement."""
    last = source.rstrip("/").rsplit("/", 1)[-1]
    if last == source:
        last = re.split(r"[=<>~!@\[; ]", last)[0]
    last = re.sub(r"\.(git|zip|whl|tgz|tar(\.\w+)?)$", "", last)
    return re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-")


def own_app(arguments: argparse.Namespace) -> App | None:
    """Return the application that the caller describes, if any."""
    if not any((arguments.app, arguments.source, arguments.domain, arguments.name)):
        return None
    if not arguments.app or not arguments.source:
        raise ToolError(
            "your own application takes at least APP=module:app (or 'module:factory()') and SOURCE=directory, "
            "git address, archive or PyPI requirement"
        )
    local = Path(arguments.source).expanduser()
    source = str(local.resolve()) if local.exists() else arguments.source
    name = arguments.name or derive_name(source)
    if not name:
        raise ToolError(f"no name can be derived from SOURCE={arguments.source}; add NAME=…")
    return App(name, source, arguments.app, arguments.domain or f"{name}.localhost")


def remembered_apps() -> list[App]:
    """Return the caller's applications of earlier runs, but for those that were removed from the host since."""
    if not OWN_APPS.exists():
        return []
    apps = [App(**entry) for entry in json.loads(OWN_APPS.read_text(encoding="utf-8"))]
    if HOST.state != "running":
        return apps
    return [app for app in apps if succeeds(["docker", "exec", HOST.name, "test", "-e", f"/srv/{app.name}/current"])]


def choose_apps(own: App | None) -> list[App]:
    """Return all applications of this run and remember those of the caller."""
    mine = [*(app for app in remembered_apps() if own is None or app.name != own.name), *filter(None, [own])]
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    OWN_APPS.write_text(json.dumps([asdict(app) for app in mine]), encoding="utf-8")
    return [*(app for app in EXAMPLES if app.name not in {entry.name for entry in mine}), *mine]


def free_port() -> int:
    """Return the first port from 8443 on that nothing on this machine listens on."""
    for port in itertools.count(FIRST_PORT):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ToolError("every port is taken")


def start_host() -> None:
    """Return when the demo's host runs."""
    if not HOST.state:
        family = images.ensure(["newer"], os.environ.get("FLASKOPS_HOSTS", ""))["newer"]
        say(f"starting a host, {family}, as container {HOST.name}")
    HOST.start("flaskops-host:newer", ["--publish", f"127.0.0.1:{free_port()}:443"])


def write_inventory(apps: list[App]) -> None:
    """Write an inventory like a user's own, with the demo's host in it."""
    lines = [
        "all:",
        "  hosts:",
        f"    {HOST.name}:",
        "      ansible_connection: community.docker.docker",
        "      ansible_user: root",
        "  vars:",
    ]
    if private_bundle():
        lines.append(f"    flask_ca_bundle: {BUNDLE}")
    if index := os.environ.get("PIP_INDEX_URL"):
        lines.append(f"    flask_index_url: {json.dumps(index)}")
    # No CA gives a certificate for names of this machine.
    lines.append("    nginx_site_defaults: {tls: {mode: self_signed}}")
    lines.append("    flask_apps:")
    for app in apps:
        lines.append(f"      - name: {app.name}")
        lines.append(f"        source: {json.dumps(app.source)}")
        lines.append(f"        app: {json.dumps(app.app)}")
        lines.append(f"        domains: [{json.dumps(app.domain)}]")
    # An index URL may hold a password.
    INVENTORY.touch(mode=0o600)
    INVENTORY.write_text("\n".join([*lines, ""]), encoding="utf-8")


def show_progress(line: str) -> None:
    """Show the current task in place, on a terminal."""
    if sys.stderr.isatty() and (found := re.match(r"TASK \[(?:[\w.]+ : )?(.*)\]", line)):
        print(f"\r\033[K   {found[1]}", end="", file=sys.stderr, flush=True)


def deploy() -> Run:
    """Run the playbook; what it prints is kept, and shown when it fails."""
    say("running playbooks/site.yml")
    started = time.monotonic()
    command = [str(ROOT / ".venv" / "bin" / "ansible-playbook"), "-i", str(INVENTORY), "playbooks/site.yml"]
    # Named, so that it counts in a directory that all users may write to, too.
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    output = []
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    for line in process.stdout or ():
        output.append(line)
        show_progress(line)
    print("\r\033[K" if sys.stderr.isatty() else "", end="", file=sys.stderr)
    text = "".join(output)
    LOG.write_text(text, encoding="utf-8")
    recap = RECAP.search(text)
    if process.wait() != 0 or not recap:
        print(text)
        raise ToolError(f"the playbook failed; its output is above and in {LOG.relative_to(ROOT)}")
    return Run(int(recap["ok"]), int(recap["changed"]), time.monotonic() - started)


class _Connection(http.client.HTTPSConnection):
    """A connection to a site of the host, by its name and a port of this machine, that knows its certificate."""

    def connect(self) -> None:
        """Connect, and refuse a certificate that the host has not signed."""
        trust = ssl.create_default_context(cafile=str(CERTIFICATES))
        plain = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        self.sock = trust.wrap_socket(plain, server_hostname=self.host)


def fetch(domain: str, port: int) -> str:
    """Return what a visitor of a site gets, through the published port and nginx."""
    connection = _Connection(domain, port, timeout=30)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as exc:
        raise ToolError(f"https://{domain}:{port}/ does not answer: {type(exc).__name__}: {exc}") from None
    finally:
        connection.close()
    if response.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ToolError(f"https://{domain}:{port}/ answers {response.status}:\n{body.decode(errors='replace')[:500]}")
    return f"{response.status} {response.reason}, {len(body)} bytes"


def manifest(app: App) -> dict[str, str]:
    """Return what the host knows of an application's current release."""
    return dict(json.loads(HOST.run("cat", f"/srv/{app.name}/current/release.json").out))


def address(app: App, port: int) -> str:
    """Return what to type to visit a site: programs find localhost's subdomains by themselves, but no other names."""
    url = f"https://{app.domain}:{port}/"
    return url if app.domain.endswith("localhost") else curl(app, port)


def curl(app: App, port: int) -> str:
    """Return the command that visits a site and knows its certificate."""
    trust = f"curl --cacert {CERTIFICATES.relative_to(ROOT)}"
    found = "" if app.domain.endswith("localhost") else f" --resolve {app.domain}:{port}:127.0.0.1"
    return f"{trust}{found} https://{app.domain}:{port}/"


def save_certificates(apps: list[App]) -> None:
    """Write the certificates of the sites to a file of this machine."""
    found = [HOST.run("cat", f"/etc/flaskops/tls/{app.name}/current/fullchain.pem").out for app in apps]
    CERTIFICATES.write_text("".join(found), encoding="ascii")


def published_port() -> int:
    """Return the port of this machine that leads to HTTPS on the host."""
    try:
        return HOST.published_port(443)
    except (ToolError, IndexError):
        raise ToolError(f"{HOST.name} was made before the demo had HTTPS: 'make demo-down', then 'make demo'") from None


def print_screen(apps: list[App], run: Run, started: float) -> None:
    """Say on one screen what there is now and what to do with it."""
    port = published_port()
    save_certificates(apps)
    change = f"{run.changed} of {run.tasks} tasks changed something" if run.changed else "nothing changed"
    print(f"\n{len(apps)} applications behind nginx on {HOST.name}: {change}, playbook {run.seconds:.0f} s,", end=" ")
    print(f"all {time.monotonic() - started:.0f} s\n")
    for app in apps:
        release = manifest(app)
        print(f"  {address(app, port)}\n      {fetch(app.domain, port)}")
        print(f"      release {release['id']} of {app.source}, Python {release['python']}")
    one = apps[-1].name
    sources = [app.source for app in apps if Path(app.source).is_dir()]
    changed = os.path.relpath(sources[-1], ROOT) if sources else "its source"
    playbook = f".venv/bin/ansible-playbook -i {INVENTORY.relative_to(ROOT)}"
    print(f"""
  look       {curl(apps[0], port)}
             (a browser asks whether you trust the certificate, which the host has signed itself)
  log        docker exec {HOST.name} journalctl --no-pager -n 20 -u '{one}@*'
  status     docker exec {HOST.name} systemctl --no-pager list-units {" ".join(f"'{app.name}@*'" for app in apps)}
  redeploy   make demo                (after a change in {changed}, for example)
  your own   make demo APP=module:app SOURCE=directory-or-git-or-PyPI DOMAIN=name.localhost
  by hand    {playbook} playbooks/site.yml --check --diff
  remove     {playbook} playbooks/remove.yml -e app={one}
             make demo-down           (the host, with everything on it)""")


def up(arguments: argparse.Namespace) -> None:
    """Deploy to the demo's host, which is made if there is none."""
    started = time.monotonic()
    own = own_app(arguments)
    engine.ensure()
    apps = choose_apps(own)
    start_host()
    write_inventory(apps)
    print_screen(apps, deploy(), started)


def check(arguments: argparse.Namespace) -> None:
    """Say what is missing before the minute that the virtualenv takes."""
    own_app(arguments)
    engine.ensure()


def down() -> None:
    """Remove the demo's host and what is remembered of it."""
    if not engine.answers():
        print("no Docker engine answers, so no demo runs")
        return
    HOST.remove()
    for path in (INVENTORY, OWN_APPS, LOG, CERTIFICATES):
        path.unlink(missing_ok=True)
    print(f"{HOST.name} is gone")


def main() -> int:
    """Bring the demo up or down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["check", "up", "down"])
    for option in ("app", "source", "domain", "name"):
        parser.add_argument(f"--{option}", default="")
    arguments = parser.parse_args()
    if arguments.action == "check":
        check(arguments)
    elif arguments.action == "up":
        up(arguments)
    else:
        down()
    return 0


if __name__ == "__main__":
    call(main, "'make demo' again continues where it was; 'make demo-down' removes what there is.")
