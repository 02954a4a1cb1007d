# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check applications on the controller and say what their builds need."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ..module_utils._app.application import AppError, needed_packages
from ..module_utils._input.values import InputError, settle_apps, to_plain

DOCUMENTATION = r"""
name: flask_packages
author: flaskops maintainers (@flaskops)
version_added: 1.0.0
short_description: Packages that builds of applications need
description:
  - Returns the packages that a host needs to build the applications, with C(git) only when a source needs it.
  - Fails when an application cannot be built as it is described, before anything changes on the host.
positional: packages, root
options:
  _input:
    description: >-
      Applications as role P(flaskops.stack.flask#role) takes them in O(flaskops.stack.flask#role:main:flask_apps).
    type: list
    elements: dict
    required: true
  packages:
    description:
      - Packages that builds need. C(python3-venv) and C(ca-certificates), which every build needs, are added.
      - An empty list adds none of these.
    type: list
    elements: str
    default: []
  root:
    description: The directory with the applications.
    type: path
    default: /srv
"""

EXAMPLES = r"""
packages: "{{ flask_apps | flaskops.stack.flask_packages(['libpq-dev']) }}"
"""

RETURN = r"""
_value:
  description: The packages.
  type: list
  elements: str
  sample: [python3-venv, ca-certificates, libpq-dev, git]
"""


def flask_packages(
    apps: t.Sequence[t.Mapping[str, t.Any]], packages: t.Sequence[str] | str = (), root: str = "/srv"
) -> list[str]:
    """Return C(packages), those that every build needs, and those that the sources need."""
    try:
        return needed_packages(settle_apps(to_plain(apps)), packages, root)
    except (AppError, InputError) as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Return it."""
        return {"flask_packages": flask_packages}
