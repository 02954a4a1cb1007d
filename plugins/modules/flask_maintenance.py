#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Close a Flask application to visitors, and open it again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flask_maintenance
short_description: Close a Flask application to visitors, and open it again
version_added: 2.0.0
description:
  - While an application is closed, nginx answers each request with a page, status 503 and C(Retry-After). nginx
    checks for a file with each request, so it is not reloaded and no request is lost.
  - Renewal of certificates (C(/.well-known/acme-challenge/)) and the path of the health check still work, unless the
    latter is C(/).
  - The application itself keeps running. It can be deployed, rolled back and probed meanwhile. The state survives a
    restart of the host.
author:
  - flaskops maintainers (@flaskops)
# begin options: written by `make specs` from tools/specs/schema/
options:
  name:
    description: Name of the application.
    type: str
    required: true
  closed:
    description: Whether the application is closed, so that visitors get the maintenance page.
    type: bool
    required: true
  page:
    description:
      - HTML text of the maintenance page. It cannot refer to static files of the application, which are closed as
        well.
      - When not set, the last page is used again, or a plain one when there was none. That one is in English, or
        where the site has texts for maintenance (C(error_pages)), in the language of the visitor.
    type: str
  pause:
    description:
      - Whether to stop the application's workers and timers as well. Each finishes what it has begun. They are
        started again when the application is opened.
      - While it is closed in this way, neither a deploy nor a reboot starts those of the release that serves then.
    type: bool
    default: false
  root:
    description: Directory that contains one directory per application.
    type: path
    default: /srv
  directory_enabled:
    description:
      - Directory of the links to enabled sites of nginx. The application's site there must check for the maintenance
        file.
      - By default the one that M(flaskops.stack.nginx_site) uses on this host.
    type: path
  suffix:
    description:
      - Suffix of the name of the site's link.
      - By default the one that M(flaskops.stack.nginx_site) uses on this host; empty when O(directory_enabled) is
        set.
    type: str
    version_added: 2.0.0
# end options
attributes:
  check_mode:
    description: Checks everything, changes nothing.
    support: full
  diff_mode:
    description: Shows no difference.
    support: none
seealso:
  - module: flaskops.stack.nginx_site
  - module: flaskops.stack.gunicorn_service
"""

EXAMPLES = r"""
- name: Close the shop
  flaskops.stack.flask_maintenance:
    name: shop
    closed: true

- name: Close it with a page of its own, and let nothing change the database
  flaskops.stack.flask_maintenance:
    name: shop
    closed: true
    page: "{{ lookup('ansible.builtin.file', 'maintenance.html') }}"
    pause: true

- name: Open it again
  flaskops.stack.flask_maintenance:
    name: shop
    closed: false
"""

RETURN = r"""
closed:
  description: Whether the application is closed now.
  returned: success
  type: bool
page:
  description: Path of the file with the page, which does not exist where the page is in the visitor's language.
  returned: success
  type: str
  sample: /srv/shop/maintenance/page.html
units:
  description: Workers and timers that were stopped, or started again.
  returned: success
  type: list
  elements: str
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._entrypoints.flask_maintenance import MaintenanceError, MaintenanceRequest, maintain
from ..module_utils._host_code import find_system_programs, with_remedy
from ..module_utils._input.printable import printable, printable_result
from ..module_utils._input.values import UnsafeNameError, with_defaults
from ..module_utils._nginx.layout import read_site_paths
from ..module_utils._release.model import Layout
from ..module_utils._system.command import CommandError
from ..module_utils._system.host import Host

# begin argument spec: written by `make specs` from tools/specs/schema/
OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "closed": {"type": "bool", "required": True},
    "page": {"type": "str"},
    "pause": {"type": "bool", "default": False},
    "root": {"type": "path", "default": "/srv"},
    "directory_enabled": {"type": "path"},
    "suffix": {"type": "str"},
}
# end argument spec


def main() -> None:
    """Run the module."""
    # nginx has to be able to see the flag and to read the page.
    os.umask(0o022)
    find_system_programs()
    module = AnsibleModule(OPTIONS, supports_check_mode=True)
    params = with_defaults(module.params, OPTIONS)
    sites = read_site_paths("/etc/nginx/nginx.conf").chosen(params["directory_enabled"], params["suffix"])
    site = os.path.join(sites.directory, params["name"] + sites.suffix)
    wish = MaintenanceRequest(
        Layout(params["root"], params["name"]), params["closed"], params["page"], params["pause"], site
    )
    try:
        result = maintain(Host(), wish, module.check_mode)
    except (CommandError, MaintenanceError, OSError, UnsafeNameError) as exc:
        error = f"Cannot {'close' if params['closed'] else 'open'} the application: {exc}"
        module.fail_json(msg=printable(with_remedy(error)))
    module.exit_json(**printable_result(result))


if __name__ == "__main__":
    main()
