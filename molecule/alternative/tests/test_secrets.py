# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret reaches its application alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from testinfra.host import Host

from tools.molecule.protocols import Shell, Visit

CA = "/etc/ssl/own/ca.crt"
PLAYBOOK = Path(__file__).parents[3] / "playbooks" / "site.yml"
# As in molecule.yml; the second part alone is unlike anything else on a host.
SECRET = "marker-$HOME-'zq4f1dqz'-\"9a\"-\\n-ü"
PART = "zq4f1dqz"
# The command that searches is in the process list too, and must not find itself.
PATTERN = "zq4f1d[q]z"
COLOR = "deep blue, 'light' \"blue\" $HOME \\n %i #ü"


def test_the_application_gets_its_environment_unchanged(visit: Visit) -> None:
    seen = visit("shop.test", "/environment", ca_file=CA).json
    assert seen == {"color": COLOR, "secret": hashlib.sha256(SECRET.encode()).hexdigest()}


def test_the_secret_is_in_no_process_list(sh: Shell) -> None:
    assert sh(f"cat /proc/[0-9]*/cmdline | grep --count --text '{PATTERN}' || :") == "0"


def test_the_secret_is_not_in_the_journal(sh: Shell) -> None:
    assert sh(f"journalctl --no-pager | grep --count '{PATTERN}' || :") == "0"


def test_a_secret_file_is_the_applications_alone(host: Host, sh: Shell) -> None:
    config = host.file(f"{sh('readlink --canonicalize /srv/shop/current')}/app/config/probe.cfg")
    assert (config.user, config.group, config.mode) == ("root", "shop-web", 0o640)
    assert config.content_string == f"KEY = {SECRET}"


def test_the_environment_names_the_release_that_reads_it(sh: Shell) -> None:
    release = sh("readlink --canonicalize /srv/shop/current")
    assert f'PROBE_CONFIG="{release}/app/config/probe.cfg"' in sh(f"cat {release}/env").splitlines()


def test_files_are_rendered_or_copied(host: Host, sh: Shell) -> None:
    assert sh("cat /srv/shop/current/app/config/host.txt") == host.backend.get_hostname()
    assert sh("cat /srv/shop/current/app/config/plain.txt") == "{{ not rendered }}"


def test_the_secret_is_in_its_places_only(sh: Shell) -> None:
    places = "/srv /etc /var /run /tmp /root /home /opt /usr/local"
    found = sh(f"grep --recursive --files-with-matches --no-messages '{PATTERN}' {places} || :").split()
    assert found
    own = re.compile("/srv/shop/releases/[^/]+/(?:env|app/config/probe.cfg)")
    assert [path for path in found if not own.fullmatch(path)] == []


def test_the_user_of_another_application_reads_neither_environment_nor_data(host: Host, sh: Shell) -> None:
    release = sh("readlink --canonicalize /srv/shop/current")
    for path in (f"{release}/env", "/srv/shop/shared"):
        assert host.run("setpriv --reuid gev --regid gev --clear-groups -- cat %s", path).rc != 0
        assert host.run("setpriv --reuid gev --regid gev --clear-groups -- ls %s/.", path).rc != 0


@pytest.mark.parametrize("verbosity", ["", "-vvvv"])
def test_no_output_of_a_run_shows_a_secret(host: Host, verbosity: str, tmp_path: Path) -> None:
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps({"probe_secret": f"changed-{PART}"}), encoding="utf-8")
    words = ["ansible-playbook", "-i", inventory, str(PLAYBOOK), "--check", "--diff"]
    words += ["--limit", str(host.backend.get_hostname()), "--extra-vars", f"@{changed}"]
    words += [verbosity] if verbosity else []
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=0" not in done.stdout
    assert PART not in done.stdout + done.stderr
