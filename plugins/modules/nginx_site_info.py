#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell which sites nginx has and what it was built with."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: nginx_site_info
short_description: List the sites of nginx and how nginx was built
version_added: 1.0.0
author:
  - flaskops maintainers (@flaskops)
description:
  - Lists the entries of nginx's directory of enabled sites, and the kept versions of those that
    M(flaskops.stack.nginx_site) has made.
  - Tells whether a change is on disk that nginx has not loaded yet.
  - Changes nothing.
attributes:
  check_mode:
    support: full
    description: Reads only.
  diff_mode:
    support: none
    description: Changes nothing.
# begin options: written by `make specs` from tools/specs/schema/
options:
  directory_available:
    description: Directory in which the versions of sites are kept. nginx must not include it.
    type: path
    default: /etc/nginx/sites-available
  directory_enabled:
    description:
      - Directory of the links to enabled sites.
      - By default the one that M(flaskops.stack.nginx_site) uses on this host.
    type: path
  suffix:
    description:
      - Suffix of the names of links.
      - By default the one that M(flaskops.stack.nginx_site) uses on this host; empty when O(directory_enabled) is
        set.
    type: str
  binary:
    description: Program of nginx, as a name in C(PATH) or an absolute path.
    type: str
    default: nginx
  config:
    description: Main configuration file of nginx. It also identifies one of several nginx servers on a host.
    type: path
    default: /etc/nginx/nginx.conf
  prefix:
    description: >-
      Directory to which nginx's relative paths refer, when nginx is started with the option C(-p), as in the
      documentation of OpenResty. By default the compiled-in one.
    type: path
    version_added: 2.0.0
  service:
    description:
      - systemd unit of nginx. It is used to find the process and the log of nginx when the pid file and the error log
        do not help.
      - nginx need not run under systemd.
    type: str
    default: nginx
# end options
seealso:
  - module: flaskops.stack.nginx_site
"""

EXAMPLES = r"""
- name: List the sites of nginx
  flaskops.stack.nginx_site_info:
  register: nginx

- name: Fail when a link of a site leads nowhere
  ansible.builtin.assert:
    that: nginx.sites | selectattr('state', 'eq', 'dangling') | list | length == 0
    fail_msg: "{{ nginx.sites | selectattr('state', 'eq', 'dangling') | map(attribute='path') | join(', ') }}"
"""

RETURN = r"""
sites:
  description: Entries of the directory of enabled sites, and sites with kept versions that are not linked.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the site, or of the entry.
      type: str
      sample: shop
    state:
      description:
        - V(enabled) or V(disabled) for sites of M(flaskops.stack.nginx_site), V(foreign) for sites of others,
          V(dangling) for a link that leads nowhere.
      type: str
      sample: enabled
    path:
      description: Path of the entry; null when the site is not linked.
      type: str
      sample: /etc/nginx/sites-enabled/shop
    target:
      description: Target of the link; null when there is none.
      type: str
      sample: /etc/nginx/sites-available/shop@3f2a91c01b9e
    version:
      description: Version that is linked; null when there is none.
      type: str
      sample: 3f2a91c01b9e
    versions:
      description: Kept versions, the one that was linked last first.
      type: list
      elements: str
      sample: [3f2a91c01b9e, 8d0c2f4a6b1e]
pending:
  description: >-
    Paths that were changed and that nginx has not loaded. The next run of M(flaskops.stack.nginx_site) loads them.
  returned: always
  type: list
  elements: str
  sample: []
unloaded:
  description:
    - Files that the sites of M(flaskops.stack.nginx_site) make nginx load (their own, included ones, certificates,
      keys) and that were changed since, in the order in which nginx reads them. Its next run loads them.
  returned: always
  type: list
  elements: str
  sample: [/etc/letsencrypt/live/shop/fullchain.pem]
nginx:
  description: The installed nginx.
  returned: always
  type: dict
  contains:
    installed:
      description: Whether nginx is installed.
      type: bool
      sample: true
    version:
      description: Version of nginx, V('') when it is not installed.
      type: str
      sample: 1.26.3
    options:
      description: Options with which nginx was built.
      type: list
      elements: str
      sample: [--with-http_v2_module]
running:
  description: The running nginx.
  returned: always
  type: dict
  contains:
    master:
      description: Process id of the master, 0 when it does not run.
      type: int
      sample: 810
    workers:
      description: Process ids of the workers that take new connections.
      type: list
      elements: int
      sample: [951, 952]
    leaving:
      description: Process ids of the workers that only finish old connections.
      type: list
      elements: int
      sample: []
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host_code import find_system_programs, with_remedy
from ..module_utils._input.printable import printable
from ..module_utils._input.values import with_defaults
from ..module_utils._nginx.binary import Nginx
from ..module_utils._nginx.inventory import describe_nginx
from ..module_utils._nginx.layout import read_site_paths
from ..module_utils._nginx.model import NginxLayout, NginxSiteError
from ..module_utils._system.command import CommandError

# begin argument spec: written by `make specs` from tools/specs/schema/
OPTIONS: dict[str, t.Any] = {
    "directory_available": {"type": "path", "default": "/etc/nginx/sites-available"},
    "directory_enabled": {"type": "path"},
    "suffix": {"type": "str"},
    "binary": {"type": "str", "default": "nginx"},
    "config": {"type": "path", "default": "/etc/nginx/nginx.conf"},
    "prefix": {"type": "path"},
    "service": {"type": "str", "default": "nginx"},
}
# end argument spec


def main() -> None:
    """Run the module."""
    find_system_programs()
    module = AnsibleModule(OPTIONS, supports_check_mode=True)
    params = with_defaults(module.params, OPTIONS)
    config = os.path.normpath(params["config"])
    try:
        sites = read_site_paths(config).chosen(params["directory_enabled"], params["suffix"])
        layout = NginxLayout(os.path.normpath(params["directory_available"]), *sites)
        nginx = Nginx(params["binary"], config, params["prefix"] or "")
        result = describe_nginx(layout, nginx, params["service"])
    except (NginxSiteError, CommandError, OSError) as exc:
        module.fail_json(msg=printable(with_remedy(f"Cannot read nginx's sites: {exc}")))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
