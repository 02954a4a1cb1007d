# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.preflight import package_names, run
from ansible_collections.flaskops.stack.plugins.module_utils._host_code import CODE_SPEC
from ansible_collections.flaskops.stack.plugins.module_utils._system.distribution import HostError
from ansible_collections.flaskops.stack.plugins.modules.preflight import ARGUMENTS


def test_an_entry_may_be_several_packages_and_each_is_asked_for_once() -> None:
    assert package_names(["nginx, logrotate", "nginx=1.26.*", "libc6:amd64", "nginx"]) == [
        "nginx",
        "logrotate",
        "nginx=1.26.*",
        "libc6:amd64",
    ]


@pytest.mark.parametrize("name", ["{'nginx': 1}", "-y", "a b"])
def test_what_is_no_name_of_a_package_is_refused(name: str) -> None:
    with pytest.raises(HostError, match="cannot be a name: list names of packages"):
        package_names([name])


def test_errors_of_the_caller_are_the_result() -> None:
    params = {"packages": [], "services": [], "refuse": ["one", "two"], "nginx": "nginx", "install": True}
    assert run(params, False) == {"failed": True, "msg": "one\ntwo"}


def test_the_module_takes_what_its_entry_point_reads() -> None:
    assert set(ARGUMENTS["argument_spec"]) == {
        "packages",
        "install",
        "services",
        "refuse",
        "certificates",
        "firewall",
        "nginx",
        *CODE_SPEC,
    }
