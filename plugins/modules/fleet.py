#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reach a host, and see which releases it serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet
short_description: Reach every host of a fleet before anything changes on any
version_added: 2.0.0
description:
  - Runs one command on the host, with the privileges of the task, and returns which release each application serves.
  - Fails when the host cannot be reached. In a play with C(any_errors_fatal) and without C(serial) no later play runs
    then.
  - Later tasks of the same run know the result. They do not replace a release that another run has deployed
    meanwhile.
author:
  - flaskops maintainers (@flaskops)
# begin options: written by `make specs` from tools/specs/schema/
options:
  root:
    description: Directory that contains one directory per application.
    type: path
    default: /srv
  without_lost:
    description: Whether to continue without a host that cannot be reached, as Ansible does with unreachable hosts.
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
  action:
    description: Runs a command and no module on the host.
    support: full
seealso:
  - module: flaskops.stack.flask_status
"""

EXAMPLES = r"""
- name: Every host
  hosts: all
  gather_facts: false
  become: true
  any_errors_fatal: true
  tasks:
    - name: Reach every host before anything changes
      flaskops.stack.fleet:
"""

RETURN = r"""
serving:
  description: Id of the release that serves, by application.
  returned: success
  type: dict
  sample: {shop: 3f2a91c-1b9e02d4}
"""
