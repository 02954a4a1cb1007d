#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse a host that the stack cannot manage, before anything changes on it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check that a host can be managed by flaskops.stack
version_added: 1.0.0
description:
  - Fails, before anything has changed, when the task runs without root's rights, when the distribution is not
    supported, or when systemd is not the init of the host.
  - Says which packages are missing, and installs them with O(install=true). Where nothing is missing, the package
    manager is not asked, which takes several times as long.
author:
  - flaskops maintainers (@flaskops)
options:
  packages:
    description: Debian packages that must be installed.
    type: list
    elements: str
    default: []
  install:
    description:
      - Whether to install missing packages with M(ansible.builtin.apt), without the packages that they only
        recommend.
      - Package lists that are older than an hour are updated first.
    type: bool
    default: false
  services:
    description: Units of systemd that must be running and enabled at boot.
    type: list
    elements: str
    default: []
  refuse:
    description: >-
      Errors that the caller has found in its input, for example with P(flaskops.stack.nginx_site_problems#filter).
      When there are any, the module fails with exactly this text and does nothing.
    type: list
    elements: str
    default: []
    version_added: 2.0.0
  nginx:
    description: Program of nginx whose version is returned, as a path or a name in E(PATH).
    type: str
    default: nginx
attributes:
  action:
    description: The installation is a second module, which runs only when something is missing.
    support: full
  check_mode:
    description: >-
      Checks the host just the same. The package manager is not asked, because its own check mode needs a Python
      library that a fresh host lacks.
    support: full
  diff_mode:
    description: Lists the missing packages in check mode.
    support: full
seealso:
  - module: ansible.builtin.apt
"""

EXAMPLES = r"""
- name: Fail on a host that cannot be managed
  flaskops.stack.preflight:

- name: Install missing packages
  flaskops.stack.preflight:
    packages: [nginx, logrotate]
    install: true

- name: Fail on invalid sites before anything changes
  flaskops.stack.preflight:
    refuse: "{{ nginx_sites | flaskops.stack.nginx_site_problems }}"

- name: Read the version of nginx on a host
  flaskops.stack.preflight:
    nginx: /usr/local/nginx/sbin/nginx
  register: host
"""

RETURN = r"""
distribution:
  description: The identifier in C(/etc/os-release).
  returned: success
  type: str
  sample: debian
distribution_version:
  description: The version in C(/etc/os-release); empty on a rolling release.
  returned: success
  type: str
  sample: "13"
missing_packages:
  description: Those of O(packages) that were not installed, in the order given.
  returned: success
  type: list
  elements: str
  sample: [nginx]
idle_services:
  description: >-
    Those of O(services) that do not run or are not enabled at boot, so that M(ansible.builtin.systemd_service) is
    needed for these only.
  returned: success
  type: list
  elements: str
  sample: [nginx.service]
nginx_version:
  description: Version of O(nginx); empty when it is not installed.
  returned: success
  type: str
  sample: 1.26.3
nginx_user:
  description: The user that C(/etc/nginx/nginx.conf) names; empty when it names none, or is not there.
  returned: success
  type: str
  sample: www-data
  version_added: 2.0.0
"""

import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._nginx.layout import account_of
from ..module_utils._system.command import CommandError, Commands, run
from ..module_utils._system.distribution import (
    HostError,
    check_host,
    idle_services,
    missing_packages,
    parse_nginx_version,
    parse_os_release,
    refuse_masked,
)
from ..module_utils._system.files import read_file
from ..module_utils._system.systemd import Systemd, is_running

# As apt takes one, also with a version, a release or an architecture, or as the path of a file.
_PACKAGE = re.compile(r"[A-Za-z0-9/.][A-Za-z0-9+.:=~_/*-]*")


def inspect(packages: list[str], services: list[str], nginx: str) -> dict[str, t.Any]:
    """Check the host and return the facts that RETURN describes; raise HostError when it cannot be managed."""
    with open("/etc/os-release", encoding="utf-8") as stream:
        distribution = parse_os_release(stream.read())
    check_host(os.geteuid() == 0, is_running(), distribution)
    states = Systemd(Commands()).show(services, ["ActiveState", "UnitFileState"])
    refuse_masked(states)
    return {
        "distribution": distribution.identifier,
        "distribution_version": distribution.version,
        "missing_packages": missing_packages(packages, dpkg_states(packages)),
        "idle_services": idle_services(states),
        "nginx_version": nginx_version(nginx),
        "nginx_user": nginx_user(),
    }


def package_names(wanted: list[str]) -> list[str]:
    """Return each name once, also of entries that are several between commas; raise HostError for what is no name."""
    names = [name.strip() for entry in wanted for name in entry.split(",") if name.strip()]
    for name in names:
        if not _PACKAGE.fullmatch(name):
            raise HostError(f"package '{name}' cannot be a name: list names of packages, such as [nginx, logrotate]")
    return list(dict.fromkeys(names))


def dpkg_states(packages: list[str]) -> str:
    """Return a line 'name<TAB>state' for each package that dpkg knows."""
    # dpkg-query exits 1 when it does not know one of the names, and lists the others.
    query = ["dpkg-query", "--show", "--showformat=${Package}\\t${db:Status-Status}\\n", *packages]
    return run(query).out if packages else ""


def nginx_version(program: str) -> str:
    """Return the version of an nginx program, or an empty string when it is not installed."""
    try:
        answer = run([program, "-v"], env={"PATH": "/usr/local/sbin:/usr/sbin:/sbin:" + os.environ.get("PATH", "")})
    except CommandError:
        return ""
    return parse_nginx_version(answer.err)


def nginx_user() -> str:
    """Return the user that nginx's main configuration file names, or an empty string."""
    account = account_of((read_file("/etc/nginx/nginx.conf") or b"").decode("utf-8", "replace"))
    return account[0] if account else ""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "default": []},
            "install": {"type": "bool", "default": False},
            "services": {"type": "list", "elements": "str", "default": []},
            "refuse": {"type": "list", "elements": "str", "default": []},
            "nginx": {"type": "str", "default": "nginx"},
        },
        supports_check_mode=True,
    )
    if module.params["refuse"]:
        module.fail_json(msg="\n".join(module.params["refuse"]))
    try:
        facts = inspect(package_names(module.params["packages"]), module.params["services"], module.params["nginx"])
    except (HostError, CommandError, OSError) as exc:
        module.fail_json(msg=f"flaskops.stack cannot manage this host: {exc}")
    # The action plugin installs them, or would.
    missing = facts["missing_packages"] if module.params["install"] else []
    after = "".join(f"install {name}\n" for name in missing)
    module.exit_json(changed=bool(missing), diff={"before": "", "after": after}, **facts)


if __name__ == "__main__":
    main()
