# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application whose releases are deployed, and what can be seen of it on a host. Runs inside that, as root."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from tools.faults.inject.module import Module

NAME, HOST = "shop", "shop.test"
BASE = Path("/srv") / NAME
CURRENT, RELEASES = BASE / "current", BASE / "releases"
SOCKET = str(CURRENT / "run" / "0.sock")
UNITS = Path("/etc/systemd/system")
HISTORY = Path("/var/lib/flaskops") / NAME / "history.jsonl"
SITE = {"current": str(CURRENT), "host": HOST}
_SOURCE = Path("/opt/shop")
_KNOWN = Path("/opt/shop.json")
# Until everything that is not waited for has ended.
_PATIENCE = 20

_APP = """
import os

# systemd gives it to a service that says when it is ready; while a release is built it is not there.
if {sick} and "NOTIFY_SOCKET" in os.environ:
    raise RuntimeError("sick")

def app(environ, start_response):
    start_response({status!r}, [("Content-Type", "text/plain")])
    return ["{code} {{}}".format(os.environ["SHOP_COLOUR"]).encode()]
"""

# As role nginx writes it, in short.
_NGINX = f"""
server {{
  listen 80;
  server_name {HOST};
  location / {{
    proxy_pass http://unix:{SOCKET};
    proxy_http_version 1.1;
    proxy_set_header Connection close;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
  }}
  location /static/ {{ alias {CURRENT}/app/static/; }}
}}
"""

_COMMON = {
    "requirements": [],
    "packages": ["werkzeug"],
    "domains": [HOST],
    "keep": 50,
}
# One worker each, so that a fault costs little.
_GUNICORN = {"workers": 1, "threads": 2}


@dataclass(frozen=True)
class Variant:
    """What a user wants of a release."""

    code: str
    colour: str = "blue"
    # Whether it fails as a service.
    sick: bool = False
    # What it answers.
    status: str = "200 OK"
    gunicorn: t.Mapping[str, t.Any] = field(default_factory=dict)
    # Workers, timers, hooks.
    more: t.Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """Return what a visitor reads: one word comes from the code, the other from the environment."""
        return f"{self.code} {self.colour}"

    def params(self, commit: str) -> dict[str, t.Any]:
        """Return the application as module flask_release takes it."""
        app: dict[str, t.Any] = {"name": NAME, "source": str(_SOURCE), "source_type": "git", "app": "shop:app"}
        settings = {"environment": {"SHOP_COLOUR": self.colour}, "gunicorn": {**_GUNICORN, **self.gunicorn}}
        return {**app, "version": commit, **_COMMON, **settings, **self.more}


WORKERS = {
    "workers": [{"name": "mail", "command": "sleep infinity"}],
    "timers": [{"name": "tidy", "command": "true", "schedule": "daily"}],
    "hooks": {"before_switch": ["true"], "after_switch": ["true"]},
}
# The web is fine, the worker ends.
DYING = {"workers": [{"name": "mail", "command": "false"}]}
VARIANTS = {
    "one": Variant("one"),
    "two": Variant("two"),
    # The same code in another environment, with other settings, and with more around it.
    "rich": Variant("two", "green", gunicorn={"memory_high": "1G", "bind": ["127.0.0.1:8001"]}, more=WORKERS),
    "sick": Variant("sick", sick=True),
    "unwell": Variant("unwell", status="500 Internal Server Error", gunicorn={"health": {"timeout": 3}}),
    "dying": Variant("dying", more=DYING),
}


def sh(*words: str, check: bool = True) -> str:
    """Return what a command says."""
    return subprocess.run(words, capture_output=True, text=True, check=check).stdout.strip()


def commit(variant: Variant) -> str:
    """Return the commit that has the code of a variant."""
    (_SOURCE / "static").mkdir(parents=True, exist_ok=True)
    (_SOURCE / "shop.py").write_text(_APP.format(code=variant.code, sick=variant.sick, status=variant.status))
    (_SOURCE / "static" / "code.txt").write_text(variant.code)
    git = ("git", "-C", str(_SOURCE), "-c", "user.name=test", "-c", "user.email=test@shop.test")
    if not (_SOURCE / ".git").is_dir():
        sh(*git, "init", "--quiet")
    sh(*git, "add", ".")
    sh(*git, "commit", "--quiet", "--allow-empty", "--message", variant.code)
    return sh(*git, "rev-parse", "HEAD")


def builder() -> Module:
    """Return the module that builds."""
    return Module("flask_release")


def publish() -> None:
    """Let nginx lead to the application."""
    Path("/etc/nginx/sites-enabled/default").unlink(missing_ok=True)
    Path("/etc/nginx/conf.d/shop.conf").write_text(_NGINX)
    sh("systemctl", "reload-or-restart", "nginx")


def prepare() -> None:
    """Build a release of each variant, and note where they are."""
    module, known = builder(), {}
    for name, variant in VARIANTS.items():
        params = variant.params(commit(variant))
        ended = module.run({"apps": [params], "index_url": os.environ.get("PIP_INDEX_URL", "")})
        if ended.failure:
            raise SystemExit(f"release {name!r} cannot be built: {ended.failure}")
        known[name] = {"id": ended.result["releases"][0]["id"], "params": params}
    _KNOWN.write_text(json.dumps(known))
    publish()


@dataclass(frozen=True)
class Release:
    """One that was built."""

    name: str
    id: str
    params: t.Mapping[str, t.Any]

    @property
    def path(self) -> Path:
        """Return where it is."""
        return RELEASES / self.id

    @property
    def page(self) -> str:
        """Return what a visitor reads."""
        return VARIANTS[self.name].page


def releases() -> dict[str, Release]:
    """Return all that were prepared, by name."""
    return {name: Release(name, **known) for name, known in json.loads(_KNOWN.read_text()).items()}


def current() -> str:
    """Return the id of the release that the link leads to, an empty text where there is none."""
    return CURRENT.readlink().name if CURRENT.is_symlink() else ""


def read(path: str = "/") -> str:
    """Return what a visitor reads at the first attempt."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": HOST, "Connection": "close"})
        answer = connection.getresponse()
        return answer.read().decode() if answer.status == 200 else f"status {answer.status}"
    except (OSError, http.client.HTTPException) as exc:
        return f"nothing: {exc}"
    finally:
        connection.close()


def finished_releases() -> list[str]:
    """Return the ids of the releases that are complete."""
    return [path.parent.name for path in RELEASES.glob("*/release.json")]


def history() -> list[dict[str, t.Any]]:
    """Return the activations, oldest first."""
    return [json.loads(line) for line in HISTORY.read_text().splitlines()] if HISTORY.exists() else []


def units() -> dict[str, set[str]]:
    """Return the names of the application's unit files, of those that start at boot, and of those that run."""
    shown = sh("systemctl", "list-units", "--all", "--plain", "--no-legend", f"{NAME}@*").splitlines()
    states = {line.split()[0]: line.split()[2] for line in shown}
    return {
        "files": {path.name for path in UNITS.glob(f"{NAME}@*")},
        "enabled": {path.name for path in UNITS.glob(f"*.wants/{NAME}@*")},
        "active": {name for name, state in states.items() if state == "active"},
        # Neither up nor down: on the way, or failed.
        "unsettled": {name for name, state in states.items() if state not in ("active", "inactive")},
    }


def leftovers() -> list[str]:
    """Return what a run must not leave behind, apart from units."""
    found = [
        *BASE.glob(".flaskops-*"),
        *UNITS.glob(".flaskops-*"),
        *UNITS.glob("*.wants/.flaskops-*"),
        *HISTORY.parent.glob(".flaskops-*"),
        *RELEASES.glob(".removed-*"),
        *RELEASES.glob("*/.flaskops-*"),
        *RELEASES.glob("*/run/.flaskops-*"),
        *Path("/run/flaskops/previous").glob(".flaskops-*"),
        *Path("/run/systemd/system").glob(f"{NAME}@*"),
        *(path for path in RELEASES.glob("[!.]*") if not (path / "release.json").exists()),
    ]
    return [str(path) for path in found]


def age() -> None:
    """Make what a killed run left where others work, too, old enough that another may remove it."""
    long_ago = time.time() - 3600
    shared = Path("/run/flaskops/previous")
    for path in [*UNITS.glob(".flaskops-*"), *UNITS.glob("*.wants/.flaskops-*"), *shared.glob(".flaskops-*")]:
        os.utime(path, (long_ago, long_ago), follow_symlinks=False)


def await_nothing(look: t.Callable[[], str], seconds: float = _PATIENCE) -> str:
    """Return what is still wrong after some patience; an empty text as soon as nothing is."""
    deadline = time.monotonic() + seconds
    while (wrong := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return wrong


def processes(mark: str) -> list[str]:
    """Return the processes that have something in their environment, this one and its children apart."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "environ").read_bytes().split(b"\0"):
                found.append(f"{path.name} {(path / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}")
        except OSError:
            # It has ended.
            continue
    return found


def wipe() -> None:
    """Remove the application by force, but for its releases."""
    names = [*units()["files"], *units()["active"], *units()["unsettled"]]
    sh("systemctl", "stop", *names, check=False)
    for path in [*UNITS.glob(f"{NAME}@*"), *UNITS.glob(f"*.wants/{NAME}@*"), *map(Path, leftovers()), CURRENT]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    HISTORY.unlink(missing_ok=True)
    sh("systemctl", "daemon-reload")
    sh("systemctl", "reset-failed")
