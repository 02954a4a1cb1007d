# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input: the error names the value and the way out, and nothing on the host has changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from testinfra.host import Host

from tools.molecule.protocols import Shell, Visit

SCENARIO = Path(__file__).parents[1]
ROOT = SCENARIO.parents[1]
CASES: list[dict[str, t.Any]] = yaml.safe_load((SCENARIO / "tests" / "cases.yml").read_text(encoding="utf-8"))["cases"]

WORKING = {
    "name": "hello",
    "source": str(ROOT / "examples" / "hello"),
    "app": "hello:create_app()",
    "domains": ["hello.test"],
    # Each release that is refused stays; with fewer, a later one would take an earlier one's place.
    "keep": 20,
}

# What files there are, what they hold and whose they are; which processes run. Uploads and sockets come and go.
FINGERPRINT = """
{
  find /etc/nginx /etc/systemd/system /etc/passwd /etc/group /etc/shadow /etc/logrotate.d /srv /var/lib/flaskops /mnt \
    -not -path '/srv/*/shared/*' -printf '%p %y %m %u %g %l\n'
  find /etc/nginx /etc/systemd/system /srv -not -path '/srv/*/shared/*' -type f -print0 | xargs -0 sha256sum
  sed 's,^,/etc/passwd  ,' /etc/passwd
  sed 's,^,/etc/group  ,' /etc/group
  systemctl show --property MainPID,ActiveEnterTimestamp 'hello@*' nginx.service
  pgrep -a nginx
} 2>/dev/null | sort
"""


def application(changes: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the working application with changes."""
    merged = {**WORKING, **changes}
    text = json.dumps({key: value for key, value in merged.items() if value is not None})
    return dict(json.loads(text.replace('"apps/', f'"{SCENARIO}/apps/')))


def deploy(host: Host, case: t.Mapping[str, t.Any]) -> subprocess.CompletedProcess[str]:
    """Run the playbook as a user would."""
    apps = [application(changes) for changes in case.get("apps", [case.get("app", {})])]
    return playbook(host, "site", {"flask_apps": apps, **case.get("vars", {})})


def playbook(host: Host, name: str, variables: t.Mapping[str, t.Any]) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the collection on the host."""
    inventory, path = os.environ["MOLECULE_INVENTORY_FILE"], str(ROOT / "playbooks" / f"{name}.yml")
    limit = str(host.backend.get_hostname())
    command = ["ansible-playbook", "-i", inventory, "--limit", limit, path, "--extra-vars", json.dumps(variables)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)


def changes(before: t.Sequence[str], after: t.Sequence[str], allowed: str | None) -> list[str]:
    """Return the lines of two fingerprints that differ, except new ones that are allowed."""
    gone, new = set(before) - set(after), set(after) - set(before)
    # A checksum stands before the path of its file, and the name of its file before an account.
    return sorted(gone) + sorted(line for line in new if not allowed or not re.search(allowed, line.split("  ")[-1]))


@pytest.fixture
def scene(host: Host, sh: Shell, request: pytest.FixtureRequest) -> t.Generator[dict[str, t.Any], None, None]:
    """Set the scene of a case, and undo it afterwards."""
    case: dict[str, t.Any] = request.param
    if "before" in case:
        sh(case["before"])
    yield case
    if "after" in case:
        sh(case["after"])


@pytest.mark.parametrize("scene", CASES, ids=[case["name"] for case in CASES], indirect=True)
def test_bad_input_is_refused_before_anything_changes(
    host: Host, sh: Shell, visit: Visit, scene: dict[str, t.Any]
) -> None:
    before = sh(FINGERPRINT).splitlines()
    run = deploy(host, scene)
    output = run.stdout + run.stderr
    assert run.returncode != 0, f"it was accepted:\n{output}"
    missing = [wanted for wanted in scene["says"] if not re.search(wanted, output, re.IGNORECASE)]
    assert not missing, f"the error does not say {missing}:\n{output}"
    # An unforeseen exception is no message, also with the right words in it.
    assert not re.search(r"MODULE FAILURE|An exception occurred|Unexpected failure|See stdout/stderr", output), output
    assert changes(before, sh(FINGERPRINT).splitlines(), scene.get("leaves")) == []
    assert visit("hello.test").status == 200


def test_the_working_application_is_accepted_and_changes_nothing(host: Host) -> None:
    run = deploy(host, {})
    assert run.returncode == 0, run.stdout + run.stderr
    assert "changed=0" in run.stdout


def test_an_application_gets_another_name_with_its_data(host: Host, sh: Shell, visit: Visit) -> None:
    old = {"name": "former", "domains": ["renamed.test"], "shared": ["instance"]}
    new = {**old, "name": "renamed", "rename_from": "former"}
    assert deploy(host, {"apps": [{}, old]}).returncode == 0
    sh("touch /srv/former/shared/instance/kept")
    # A run with a changed name says what is left behind.
    run = deploy(host, {"apps": [{}]})
    assert "former: not in flask_apps" in run.stdout, run.stdout
    run = deploy(host, {"apps": [{}, new]})
    assert run.returncode == 0, run.stdout + run.stderr
    assert host.file("/srv/renamed/shared/instance/kept").exists
    assert not host.file("/srv/former").exists
    assert sh("systemctl list-units --all --no-legend --plain 'former@*'") == ""
    assert visit("renamed.test").status == 200
    run = deploy(host, {"apps": [{}, new]})
    assert (run.returncode, "changed=0" in run.stdout) == (0, True), run.stdout


def test_a_source_that_cannot_be_used_does_not_stop_the_others(host: Host, visit: Visit) -> None:
    failing: dict[str, dict[str, t.Any]] = {
        "down": {"source": "https://127.0.0.1:9/down.git"},
        "gone": {"source": "/no/such/directory"},
        "branch": {"source": "/var/lib/cases/repository", "version": "no-such-branch"},
        "archive": {"source": "apps/archive.tar.gz", "checksum": f"sha256:{'0' * 64}"},
        "interpreter": {"python": "3.7"},
        "group": {"gunicorn": {"socket_group": "no-such-group"}},
    }
    apps = [{"name": name, "domains": [f"{name}.test"], **app} for name, app in failing.items()]
    run = deploy(host, {"apps": [*apps, {"name": "beside", "domains": ["beside.test"]}]})
    output = run.stdout + run.stderr
    assert run.returncode != 0, output
    assert f"Not deployed: {', '.join(sorted(failing))}." in output
    assert all(f"app '{name}': " in output for name in failing), output
    assert visit("beside.test").status == 200


def test_a_damaged_manifest_of_an_old_release_stops_nobody(host: Host, sh: Shell) -> None:
    current = sh("basename $(readlink /srv/hello/current)").strip()
    damaged = f"/srv/hello/releases/{'7' * 7}-{'7' * 8}"
    sh(f"mkdir {damaged}; printf '{{' > {damaged}/release.json")
    run = deploy(host, {})
    status = playbook(host, "status", {"app": "hello"})
    output = run.stdout + run.stderr + status.stdout
    assert (run.returncode, status.returncode) == (0, 0), output
    assert f"release {'7' * 7}-{'7' * 8} counts as unfinished" in status.stdout
    assert "is not JSON" in status.stdout
    assert sh("basename $(readlink /srv/hello/current)").strip() == current
    sh(f"rm -r {damaged}")


def test_an_edited_unit_is_written_again_and_a_drop_in_is_told(host: Host, sh: Shell) -> None:
    unit = sh("echo hello@$(basename $(readlink /srv/hello/current)).service").strip()
    path = f"/etc/systemd/system/{unit}"
    before = sh(f"cat {path}; systemctl show --property MainPID {unit}")
    sh(f"sed -i s/Restart=always/Restart=no/ {path}")
    sh(f"mkdir {path}.d && printf '[Service]\\nMemoryMax=1G\\n' > {path}.d/memory.conf && systemctl daemon-reload")
    told = playbook(host, "status", {"app": "hello"}).stdout
    run = deploy(host, {})
    sh(f"rm -r {path}.d && systemctl daemon-reload")
    assert run.returncode == 0, run.stdout + run.stderr
    for output in (told, run.stdout + run.stderr):
        words = " ".join(output.split())
        assert f"{unit} was edited on the host" in words
        assert f"{path}.d/memory.conf changes units of this application" in words
    assert sh(f"cat {path}; systemctl show --property MainPID {unit}") == before


@pytest.mark.parametrize(
    ("header", "forged", "says"),
    [
        (
            "X-Forwarded-Prefix",
            "$http_x_forwarded_prefix",
            r"its path \(SCRIPT_NAME\) was '/forged' and should be '/below'",
        ),
        ("X-Forwarded-Host", "$http_x_forwarded_host", "the host was 'forged.invalid' and should be 'hello.test'"),
        ("X-Forwarded-For", "$http_x_forwarded_for", r"REMOTE_ADDR\) was '192.0.2.66'"),
    ],
)
def test_a_release_that_believes_visitors_is_reverted(
    host: Host, sh: Shell, visit: Visit, header: str, forged: str, says: str
) -> None:
    below = {"name": "below", "domains": None, "mount": {"site": "hello", "path": "/below"}}
    assert deploy(host, {"apps": [{}, below]}).returncode == 0
    before = sh("readlink /srv/below/current")
    assert visit("hello.test", "/below/whoami").json["external"] == "http://hello.test/below/"
    # The site is changed by hand, so that nginx passes on what visitors say.
    site = "/etc/nginx/sites-enabled/hello"
    sh(f"sed -i --follow-symlinks 's|{header} .*;|{header} {forged};|' {site} && systemctl reload nginx")
    # site.yml would mend it; deploy.yml deploys behind what is there.
    apps = [application({}), application({**below, "environment": {"ANOTHER": header}})]
    run = playbook(host, "deploy", {"flask_apps": apps})
    output = " ".join((run.stdout + run.stderr).split())
    assert run.returncode != 0, output
    assert re.search(rf"\bbelow: through nginx, with forged .*{says}", output), output
    assert f"{Path(before).name} serves again" in output
    assert sh("readlink /srv/below/current") == before
    # Behind the site as it should be, nothing is in the way of the same release.
    run = playbook(host, "site", {"flask_apps": apps})
    assert run.returncode == 0, run.stdout + run.stderr
    assert sh("readlink /srv/below/current") != before
    seen = visit("hello.test", "/below/whoami", headers={header: "/evil.test"}).json
    assert (seen["client"], seen["external"]) == ("127.0.0.1", "http://hello.test/below/")


def test_an_application_that_fails_does_not_keep_the_others(host: Host, visit: Visit) -> None:
    well = {"name": "other", "domains": ["other.test"]}
    unbuilt = {"name": "unbuilt", "domains": ["unbuilt.test"], "packages": ["no-such-package-zq4f1dqz"]}
    refused = {"name": "refused", "domains": ["refused.test"], "gunicorn": {"health": {"status": [299], "timeout": 3}}}
    # One that served, and its site, stay as they were.
    worse = {"domains": ["hello.test", "more.test"], "gunicorn": {"health": {"status": [299], "timeout": 3}}}
    run = deploy(host, {"apps": [unbuilt, worse, refused, well]})
    output = run.stdout + run.stderr
    assert run.returncode != 0, output
    assert "Not deployed: hello, refused, unbuilt." in output
    assert (visit("hello.test").status, visit("other.test").status) == (200, 200)
    assert not host.file("/etc/nginx/sites-enabled/unbuilt").exists
    assert not host.file("/etc/nginx/sites-enabled/refused").exists
    assert "more.test" not in host.file("/etc/nginx/sites-enabled/hello").content_string
