# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret reaches its application and nobody else."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
from testinfra.host import Host
from visitor.protocols import Shell, Visit

CA = "/etc/ssl/own/ca.crt"
PLAYBOOK = Path(__file__).parents[3] / "playbooks" / "site.yml"
# As in molecule.yml; the second part alone is unlike anything else on a host.
SECRET = "marker-$HOME-'4f1d'-\"9a\"-\\n-ü"
PART = "4f1d"
COLOR = "deep blue, 'light' \"blue\" $HOME \\n %i #ü"


def test_the_application_gets_its_environment_unchanged(visit: Visit) -> None:
    seen = visit("shop.test", "/environment", ca_file=CA).json
    assert seen == {"color": COLOR, "secret": hashlib.sha256(SECRET.encode()).hexdigest()}


def test_the_secret_is_in_no_process_list(sh: Shell) -> None:
    assert sh("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c -e \"'4f1d'\" || :") == "0"


def test_the_secret_is_not_in_the_journal(sh: Shell) -> None:
    assert sh("journalctl --no-pager | grep -c -e \"'4f1d'\" -e 'marker-' || :") == "0"


def test_the_secret_is_in_no_file_that_others_read(sh: Shell) -> None:
    places = "/srv /etc /var /run /tmp /root /home /opt /usr/local"
    readable = sh(f"find {places} -xdev -type f -perm -004 -print0 | xargs -0 grep -l -s -e marker- || :")
    assert readable == ""


def test_the_secret_is_in_one_place_only(sh: Shell) -> None:
    places = "/srv /etc /var /run /tmp /root /home /opt"
    found = sh(
        f"grep -r -l -s -I -e 4f1d -e marker- {places} --include='*' | grep -v '^/srv/shop/releases/[^/]*/env$' || :"
    )
    assert found == ""


def test_the_user_of_another_application_reads_neither_environment_nor_data(host: Host, sh: Shell) -> None:
    release = sh("readlink --canonicalize /srv/shop/current")
    for path in (f"{release}/env", "/srv/shop/shared"):
        assert host.run("setpriv --reuid gev --regid gev --clear-groups -- cat %s", path).rc != 0
        assert host.run("setpriv --reuid gev --regid gev --clear-groups -- ls %s/.", path).rc != 0


@pytest.mark.parametrize("verbosity", ["", "-vvvv"])
def test_no_output_of_a_run_shows_a_secret(host: Host, verbosity: str) -> None:
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    changed = json.dumps({"probe_secret": "marker-changed-4f1d"})
    words = ["ansible-playbook", "-i", inventory, str(PLAYBOOK), "--check", "--diff"]
    words += ["--limit", str(host.backend.get_hostname()), "--extra-vars", changed]
    words += [verbosity] if verbosity else []
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=0" not in done.stdout
    # Verbose output begins with the command's own options: they are the caller's.
    shown = [line for line in (done.stdout + done.stderr).splitlines() if "--extra-vars" not in line]
    assert not [line for line in shown if PART in line]
