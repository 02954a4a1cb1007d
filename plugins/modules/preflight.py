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
extends_documentation_fragment:
  - flaskops.stack._host_code
# begin options: written by `make specs` from tools/specs/schema/
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
  certificates:
    description:
      - What role P(flaskops.stack.nginx#role) wants of a CA, as P(flaskops.stack.nginx_certificates#filter) returns
        it in C(host).
      - The module fails when a file on the host that it names cannot be used, before anything changes.
    type: dict
    default: {}
    version_added: 2.0.0
  firewall:
    description:
      - The arguments of M(flaskops.stack.nginx_firewall) in the same run. The module fails with what that one would
        refuse, before anything changes.
      - Nothing is looked at when it is empty.
    type: dict
    default: {}
    version_added: 2.0.0
  nginx:
    description: Program of nginx whose version is returned, as a path or a name in E(PATH).
    type: str
    default: nginx
# end options
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
nginx_modules:
  description: >-
    The directives for files that are compressed already (C(brotli_static), C(zstd_static)) that nginx knows, because
    C(/etc/nginx) has the lines that load their modules.
  returned: success
  type: list
  elements: str
  sample: [brotli_static]
  version_added: 2.0.0
plain_sites:
  description: >-
    Those of O(certificates) that visitors reach by plain HTTP, and that have no certificate of the CA yet. They go on
    being served like that until it has come.
  returned: success
  type: list
  elements: str
  sample: [shop]
  version_added: 2.0.0
firewall_pending:
  description: Whether the firewall of O(firewall) is to change.
  returned: success
  type: bool
  version_added: 2.0.0
firewall:
  description: Whether M(flaskops.stack.nginx_firewall) has made anything that is still there.
  returned: success
  type: bool
  version_added: 2.0.0
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host_code import CODE_SPEC, work

# begin argument spec: written by `make specs` from tools/specs/schema/
OPTIONS: dict[str, t.Any] = {
    "packages": {"type": "list", "elements": "str", "default": []},
    "install": {"type": "bool", "default": False},
    "services": {"type": "list", "elements": "str", "default": []},
    "refuse": {"type": "list", "elements": "str", "default": []},
    "certificates": {"type": "dict", "default": {}},
    "firewall": {"type": "dict", "default": {}},
    "nginx": {"type": "str", "default": "nginx"},
}
# end argument spec

# What Ansible checks the arguments by, here or on the controller.
ARGUMENTS: dict[str, t.Any] = {"argument_spec": {**OPTIONS, **CODE_SPEC}}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(**ARGUMENTS, supports_check_mode=True)
    work(module, "_entrypoints.preflight")


if __name__ == "__main__":
    main()
