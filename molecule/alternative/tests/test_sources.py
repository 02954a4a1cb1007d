# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code comes over ssh with a deploy key, packages from a directory or from a company's own index."""

from __future__ import annotations

import json

import pytest

from tools.molecule.protocols import ReleaseOf, Shell, Visit

PLACES = "/srv /etc /var /run /tmp /home /opt /usr/local"


def test_code_comes_over_ssh_with_a_deploy_key(visit: Visit, sh: Shell, release_of: ReleaseOf) -> None:
    assert visit("key.test", "/healthz").text == "ok\n"
    source = json.loads(sh(f"cat /srv/key/releases/{release_of('key')}/release.json"))["source"]
    assert (source["location"], source["version"]) == ("ssh://git@127.0.0.1:2022/home/git/probe.git", "v1.0")
    assert "Accepted publickey for git" in sh("journalctl --no-pager --unit ssh")


def test_the_deploy_key_is_gone_when_it_has_been_used(sh: Shell) -> None:
    # A line of the key is in the file that the scenario has made, and nowhere else.
    line = sh("sed -n 3p /root/deploy_key")
    assert line
    assert sh(f"grep --recursive --files-with-matches --no-messages --fixed-strings '{line}' {PLACES} || :") == ""


@pytest.mark.parametrize("app", ["key", "tor"])
def test_packages_come_from_where_they_are_to_come_from(visit: Visit, app: str) -> None:
    assert "only-here" in visit(f"{app}.test", "/worker").json["packages"]


def test_an_index_with_an_authority_of_its_own_is_asked_with_its_token(sh: Shell) -> None:
    log = sh("journalctl --no-pager --output cat --unit own-index")
    assert '"GET /simple/only-here/ HTTP/1.1" 200' in log
    # What a lock file lists comes from there, too.
    assert "/files/flask_sock-" in log
    assert log.count("flask-sock") == log.count("GET /simple/flask-sock/")


def test_the_token_of_the_index_is_nowhere_on_the_host(sh: Shell) -> None:
    assert sh(f"grep --recursive --files-with-matches --no-messages 'zq7inde[x]3zq' {PLACES} || :") == ""
    assert sh("journalctl --no-pager | grep --count 'zq7inde[x]3zq' || :") == "0"


def test_what_the_finder_packs_and_a_virtualenv_are_left_out(visit: Visit, sh: Shell) -> None:
    assert visit("gev.test", "/healthz").text == "ok\n"
    found = sh("ls -A /srv/gev/current/app").split()
    assert "probe.py" in found
    assert not {"myprojectenv", ".DS_Store", "__MACOSX", "packed"} & set(found)
