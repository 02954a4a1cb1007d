#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the releases of Flask applications."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flask_release_info
short_description: List the releases of Flask applications
version_added: 1.0.0
description:
  - Lists the complete releases that M(flaskops.stack.flask_release) has built, oldest first.
author:
  - flaskops maintainers (@flaskops)
# begin options: written by `make specs` from tools/specs/schema/
options:
  names:
    description: Applications to report on. When not set, all that are found below O(root).
    type: list
    elements: str
  root:
    description: Directory that contains one directory per application.
    type: path
    default: /srv
  size:
    description: Whether to measure the size of each release on disk, which takes a moment.
    type: bool
    default: false
# end options
attributes:
  check_mode:
    description: Only reads.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
seealso:
  - module: flaskops.stack.flask_release
"""

EXAMPLES = r"""
- name: List the releases of all applications
  flaskops.stack.flask_release_info:
  register: found

- name: Measure the releases of the shop
  flaskops.stack.flask_release_info:
    names: [shop]
    size: true
  register: shop
"""

RETURN = r"""
apps:
  description: The applications, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the application.
      type: str
      sample: shop
    current:
      description: Id of the release that C(current) points to; empty when there is none.
      type: str
      sample: 3f2a91c-1b9e02d4
    unfinished:
      description: Ids of releases whose build was interrupted; the next build removes them.
      type: list
      elements: str
    releases:
      description: The complete releases, oldest first.
      type: list
      elements: dict
      contains:
        id:
          description: Name of the release.
          type: str
          sample: 3f2a91c-1b9e02d4
        path:
          description: Directory of the release.
          type: str
          sample: /srv/shop/releases/3f2a91c-1b9e02d4
        current:
          description: Whether it is the current one.
          type: bool
        built_at:
          description: When it was built.
          type: str
          sample: "2026-01-02T03:04:05.000000Z"
        source:
          description: Type, location, version and revision of its code.
          type: dict
        python:
          description: Version of Python.
          type: str
          sample: 3.13.5
        app:
          description: The WSGI application.
          type: str
          sample: shop:create_app()
        size:
          description: >-
            Bytes on disk, with O(size=true). Files that releases share are counted in each of them.
          type: int
          sample: 31457280
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host_code import find_system_programs, with_remedy
from ..module_utils._input.printable import printable, printable_result
from ..module_utils._input.values import UnsafeNameError, with_defaults
from ..module_utils._release.model import ReleaseError
from ..module_utils._release.releases import list_applications

# begin argument spec: written by `make specs` from tools/specs/schema/
OPTIONS: dict[str, t.Any] = {
    "names": {"type": "list", "elements": "str"},
    "root": {"type": "path", "default": "/srv"},
    "size": {"type": "bool", "default": False},
}
# end argument spec


def main() -> None:
    """Run the module."""
    find_system_programs()
    module = AnsibleModule(OPTIONS, supports_check_mode=True)
    params = with_defaults(module.params, OPTIONS)
    try:
        apps = list_applications(params["root"], params["names"], params["size"])
    except (ReleaseError, UnsafeNameError, OSError) as exc:
        module.fail_json(msg=printable(with_remedy(f"Cannot list the releases: {exc}")))
    module.exit_json(changed=False, apps=printable_result(apps))


if __name__ == "__main__":
    main()
