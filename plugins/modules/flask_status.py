#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say how the Flask applications of a host are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flask_status
short_description: Report the state of the Flask applications of a host
version_added: 2.0.0
description:
  - Reports, for each application, which release serves and since when, whether it is healthy now, its versions,
    memory and disk usage, all releases and their results, who holds its lock, and the last failure.
  - Each instance is asked once, over its own socket, as in the health check of a deploy.
author:
  - flaskops maintainers (@flaskops)
options:
  names:
    description: Applications to report on. When not set, all that are found below O(root).
    type: list
    elements: str
  root:
    description: Directory that contains one directory per application.
    type: path
    default: /srv
  timeout:
    description: Seconds that an instance has to answer the health check.
    type: int
    default: 5
  probe:
    description: >-
      Whether to run the health check and to measure disk usage. When V(false), RV(apps[].healthy) is V(false) and
      RV(apps[].answers) is empty.
    type: bool
    default: true
    version_added: 2.0.0
attributes:
  check_mode:
    description: Only reads.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
seealso:
  - module: flaskops.stack.flask_release_info
  - module: flaskops.stack.report
"""

EXAMPLES = r"""
- name: Look at all applications
  flaskops.stack.flask_status:
  register: found

- name: Go on only when the shop is healthy
  flaskops.stack.flask_status:
    names: [shop]
  register: shop
  failed_when: not shop.apps[0].healthy
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
      description: Id of the release that serves; empty when there is none.
      type: str
      sample: 3f2a91c-1b9e02d4
    healthy:
      description: Whether every instance gave a good answer just now, and none keeps ending.
      type: bool
    answers:
      description: >-
        The answer of each instance, with its HTTP status (V(0) for none), seconds, and what was wrong with it.
      type: list
      elements: dict
    version:
      description: What the source of the release says of its version, such as a tag.
      type: str
    revision:
      description: Commit, or hash of the code.
      type: str
    python:
      description: Version of Python.
      type: str
    gunicorn:
      description: Version of gunicorn.
      type: str
    instances:
      description: How many gunicorns the release has.
      type: int
    running:
      description: How many of them run.
      type: int
    memory:
      description: Memory that they use, in bytes.
      type: int
    tasks:
      description: Their processes and threads.
      type: int
    restarts:
      description: How often systemd had to start one of them again.
      type: int
    ill:
      description: Which instance keeps ending, and why; empty when none does.
      type: str
    uptime:
      description: Seconds since the last of them was started.
      type: int
    beside:
      description: Workers and timers, by unit, with their state.
      type: list
      elements: dict
    activated:
      description: The line of the history by which the release came to serve; V(null) when there is none.
      type: dict
    failed:
      description: >-
        The line of the history of the last deploy, build or rollback, when that failed; V(null) when it did not.
      type: dict
    unfinished:
      description: >-
        The hand-over that was begun and has not ended; it goes on when the lock is held, and was killed when not.
      type: dict
    lock:
      description: >-
        Who holds the application's lock, with C(pid), C(who), C(since) and C(what); V(null) when nobody does.
      type: dict
    maintenance:
      description: Whether visitors get the page for maintenance.
      type: bool
    assets_of:
      description: Id of the release whose static files are reachable beside those of the current one; empty for none.
      type: str
    published:
      description: >-
        Whether a site of nginx leads to it; empty when that says nothing, because no release serves, the host has no
        nginx, or the application has addresses of its own (C(bind)).
      type: bool
    edited:
      description: >-
        Which units of the release that serves were edited on the host, or have drop-ins; empty when none was.
      type: str
    damaged:
      description: >-
        Releases whose C(release.json) is damaged, with C(id) and C(reason). They count as unfinished, and are removed
        with the next build unless something runs from them.
      type: list
      elements: dict
    releases:
      description: >-
        The complete releases, newest first, with C(id), C(version), C(revision), C(built), C(activated), C(state) in
        words, whether a C(rollback) without a name goes there, and whether it is C(usable) for one that names it.
      type: list
      elements: dict
    targets:
      description: >-
        Ids of the releases that were healthy and can run, newest first: the current one and those deployed before it.
      type: list
      elements: str
    runs:
      description: >-
        Which run of Ansible deployed a release last, by its id. Hosts with different variables have different ids.
      type: dict
    rollback_interrupted:
      description: Whether the last rollback was killed after its switch, so that the next one completes it.
      type: bool
    disk:
      description: Bytes that the application's directory takes on disk, with releases and data.
      type: int
    disk_free:
      description: Bytes that are free there.
      type: int
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._entrypoints.flask_status import application_states
from ..module_utils._input.printable import printable, printable_result
from ..module_utils._input.values import UnsafeNameError
from ..module_utils._release.model import ReleaseError
from ..module_utils._system.command import CommandError


def main() -> None:
    """Run the module."""
    spec: dict[str, t.Any] = {
        "names": {"type": "list", "elements": "str"},
        "root": {"type": "path", "default": "/srv"},
        "timeout": {"type": "int", "default": 5},
        "probe": {"type": "bool", "default": True},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    params = module.params
    try:
        apps = application_states(params["root"], params["names"], params["timeout"], params["probe"])
    except (CommandError, ReleaseError, UnsafeNameError, OSError) as exc:
        module.fail_json(msg=printable(f"Cannot look at the applications: {exc}"))
    module.exit_json(changed=False, apps=printable_result(apps))


if __name__ == "__main__":
    main()
