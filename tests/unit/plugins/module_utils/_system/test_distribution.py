# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.distribution import (
    HostError,
    check_host,
    idle_services,
    missing_packages,
    parse_nginx_version,
    parse_os_release,
    refuse_masked,
)

TRIXIE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nID=debian\n'
SID = "PRETTY_NAME='Debian GNU/Linux forky/sid'\nID=debian\n"
JAMMY = 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nVERSION_ID="22.04"\nID=ubuntu\nID_LIKE=debian\n'
MINT = 'PRETTY_NAME="Linux Mint 22"\nVERSION_ID="22"\nID=linuxmint\nID_LIKE="ubuntu debian"\n'
FOCAL = 'PRETTY_NAME="Ubuntu 20.04.6 LTS"\nVERSION_ID="20.04"\nID=ubuntu\nID_LIKE=debian\n'
BUSTER = 'PRETTY_NAME="Debian GNU/Linux 10 (buster)"\nVERSION_ID="10"\nID=debian\n'
ALPINE = 'PRETTY_NAME="Alpine Linux v3.20"\nVERSION_ID=3.20.1\nID=alpine\n'


@pytest.mark.parametrize("text", [TRIXIE, SID, JAMMY, MINT])
def test_debian_ubuntu_and_their_derivatives_are_managed(text: str) -> None:
    check_host(root=True, systemd=True, distribution=parse_os_release(text))


@pytest.mark.parametrize(
    ("root", "systemd", "text", "words"),
    [
        (False, True, TRIXIE, "takes root's rights"),
        (True, False, TRIXIE, "/run/systemd/system"),
        (True, True, ALPINE, "Alpine Linux v3.20 is not supported"),
        (True, True, FOCAL, "Ubuntu 20.04.6 LTS is too old.*ubuntu 22.04"),
        (True, True, BUSTER, "buster.* is too old.*debian 11"),
    ],
)
def test_other_hosts_are_refused_with_the_way_out(root: bool, systemd: bool, text: str, words: str) -> None:
    with pytest.raises(HostError, match=words):
        check_host(root, systemd, parse_os_release(text))


def test_os_release_is_read_with_its_quotes() -> None:
    mint = parse_os_release(MINT)
    assert (mint.identifier, mint.version, mint.name) == ("linuxmint", "22", "Linux Mint 22")
    assert mint.families == ("linuxmint", "ubuntu", "debian")


def test_a_package_that_was_removed_but_not_purged_is_missing() -> None:
    answer = "nginx\tinstalled\ngit\tconfig-files\n"
    assert missing_packages(["git", "nginx", "uv"], answer) == ["git", "uv"]


def test_a_service_is_idle_when_it_does_not_run_or_not_at_boot() -> None:
    up = {"ActiveState": "active", "UnitFileState": "enabled"}
    states = {"a": up, "b": {**up, "ActiveState": "failed"}, "c": {**up, "UnitFileState": "disabled"}, "d": {}}
    assert idle_services(states) == ["b", "c", "d"]


@pytest.mark.parametrize("state", ["masked", "masked-runtime"])
def test_a_masked_service_is_refused_with_the_way_out(state: str) -> None:
    refuse_masked({"a": {"UnitFileState": "enabled"}, "b": {"UnitFileState": ""}, "c": {}})
    with pytest.raises(HostError, match=r"nginx\.service is masked.*/dev/null.*systemctl unmask nginx\.service"):
        refuse_masked({"nginx.service": {"UnitFileState": state}})


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("nginx version: nginx/1.26.3\n", "1.26.3"),
        ("nginx version: nginx/1.18.0 (Ubuntu)\n", "1.18.0"),
        ("nginx version: openresty/1.25.3.1\n", "1.25.3"),
        ("sh: not found", ""),
    ],
)
def test_nginx_version_is_read(answer: str, version: str) -> None:
    assert parse_nginx_version(answer) == version
