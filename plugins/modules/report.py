#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say something on the controller's screen."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Show text on the screen, and write data to a file of the controller
version_added: 2.0.0
description:
  - Shows a text as it is, where M(ansible.builtin.debug) would show it as JSON or YAML.
  - Writes data as JSON to a file of the controller, by one rename.
  - Nothing is done on the host.
author:
  - flaskops maintainers (@flaskops)
# begin options: written by `make specs` from tools/specs/schema/
options:
  text:
    description: Text to show.
    type: str
    required: true
  data:
    description: Data to write to O(path) as JSON.
    type: raw
  path:
    description: >-
      File on the controller to write O(data) to, relative to the working directory. When not set, nothing is written.
    type: path
  fail:
    description:
      - Fail with O(text) as the error instead of showing it. Nothing is written.
      - In a playbook of this collection the failure is in the notices of C(flask_notify), too.
    type: bool
    default: false
# end options
attributes:
  check_mode:
    description: Shows the text, writes nothing.
    support: full
  diff_mode:
    description: Does not show what changes in the file.
    support: none
  action:
    description: Runs on the controller alone.
    support: full
seealso:
  - module: ansible.builtin.debug
  - module: flaskops.stack.flask_status
"""

EXAMPLES = r"""
- name: Show the address of the application
  flaskops.stack.report:
    text: |-
      The shop is at
        https://shop.example.com/

- name: Show a result and write it to a file
  flaskops.stack.report:
    text: "{{ found.apps | length }} applications"
    data: "{{ found.apps }}"
    path: apps.json
"""

RETURN = r"""
path:
  description: Path of the file on the controller; empty when none was written.
  returned: success
  type: str
  sample: /home/anna/apps.json
"""
