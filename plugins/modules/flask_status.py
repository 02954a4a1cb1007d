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
# end options
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
- name: Read the state of all applications
  flaskops.stack.flask_status:
  register: found

- name: Continue only when the shop is healthy
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
      description: Whether every instance has passed the health check now, and none keeps crashing.
      type: bool
    answers:
      description: >-
        Answer of each instance, with its HTTP status (V(0) when there was none), its duration in seconds, and its
        error.
      type: list
      elements: dict
    version:
      description: Version of the source of the release, such as a tag.
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
      description: Number of instances of the release.
      type: int
    asleep:
      description:
        - Number of instances whose processes have ended for lack of requests (C(gunicorn.idle)). A request starts
          them; this module does not.
      type: int
    running:
      description: Number of instances that run.
      type: int
    memory:
      description: Memory that the instances use, in bytes.
      type: int
    tasks:
      description: Number of their processes and threads.
      type: int
    restarts:
      description: Number of times that systemd has restarted an instance.
      type: int
    ill:
      description: Instance that keeps crashing, and the reason; empty when none does.
      type: str
    uptime:
      description: Seconds since the last instance was started.
      type: int
    beside:
      description: Workers and timers, by unit, with their state.
      type: list
      elements: dict
    activated:
      description: Entry of the history in which the release was activated; V(null) when there is none.
      type: dict
    failed:
      description: >-
        Entry of the history of the last deploy, build or rollback, when that failed; otherwise V(null).
      type: dict
    unfinished:
      description: >-
        Deploy that has begun and not ended; V(null) when there is none. It is still running when the lock is held;
        otherwise it was killed.
      type: dict
    lock:
      description: >-
        Owner of the application's lock, with C(pid), C(who), C(since) and C(what); V(null) when it is not locked.
      type: dict
    maintenance:
      description: Whether visitors get the maintenance page.
      type: bool
    assets_of:
      description: Id of the previous release whose static files are still served; empty when there is none.
      type: str
    published:
      description: >-
        Whether a site of nginx leads to the application. V(null) when this does not matter, because no release serves,
        the host has no nginx, or the application has TCP addresses (C(bind)).
      type: bool
    edited:
      description: >-
        Units of the current release that were edited on the host or have drop-ins; empty when there are none.
      type: str
    damaged:
      description: >-
        Releases whose C(release.json) is damaged, with C(id) and C(reason). They count as unfinished, and are removed
        with the next build unless something runs from them.
      type: list
      elements: dict
    obstacle:
      description: >-
        Why a deploy or a removal would be refused, such as a directory in the place of the link C(current); empty when
        nothing is in the way.
      type: str
    releases:
      description: >-
        The complete releases, newest first, with C(id), C(version), C(revision), C(built), C(activated), C(state) as
        a text, C(rollback) when a rollback without a name goes there, and C(usable) when a rollback may name it.
      type: list
      elements: dict
    targets:
      description: >-
        Ids of the releases that were healthy and can run, newest first: the current one and those deployed before it.
      type: list
      elements: str
    runs:
      description: >-
        Id of the run of Ansible that deployed each release last, by the id of the release. Hosts with different
        variables have different ids.
      type: dict
    rollback_interrupted:
      description: Whether the last rollback was killed after its switch, so that the next one completes it.
      type: bool
    disk:
      description: Bytes on disk of the application's directory, with releases and data.
      type: int
    disk_free:
      description: Bytes that are free on that disk.
      type: int
unknown:
  description: Those of O(names) under which nothing was ever built or deployed.
  returned: success
  type: list
  elements: str
  version_added: 2.0.0
known:
  description: The names of all applications below O(root). Empty when RV(unknown) is.
  returned: success
  type: list
  elements: str
  version_added: 2.0.0
certificates:
  description: >-
    The certificates that the collection provides for sites of nginx, by the names of the sites; with O(names), those
    of sites with the name of one of the applications.
  returned: success
  type: list
  elements: dict
  version_added: 2.0.0
  contains:
    name:
      description: Name of the site.
      type: str
      sample: shop
    issued:
      description: Whether it is the certificate of a CA, and not a self-signed one.
      type: bool
    not_after:
      description: End of a CA's certificate.
      type: str
      sample: 2027-02-26 21:54 UTC
    days:
      description: Whole days until then.
      type: int
    failed:
      description: When it could not be obtained, renewed or loaded; empty when the last attempt has succeeded.
      type: str
    problem:
      description: Why, or that it is overdue.
      type: str
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._entrypoints.flask_status import application_states, certificates_of_sites, unknown_applications
from ..module_utils._host_code import find_system_programs, with_remedy
from ..module_utils._input.printable import printable, printable_result
from ..module_utils._input.values import UnsafeNameError, with_defaults
from ..module_utils._release.model import ReleaseError
from ..module_utils._system.command import CommandError
from ..module_utils._system.host import Host

# begin argument spec: written by `make specs` from tools/specs/schema/
OPTIONS: dict[str, t.Any] = {
    "names": {"type": "list", "elements": "str"},
    "root": {"type": "path", "default": "/srv"},
    "timeout": {"type": "int", "default": 5},
    "probe": {"type": "bool", "default": True},
}
# end argument spec


def main() -> None:
    """Run the module."""
    find_system_programs()
    module = AnsibleModule(OPTIONS, supports_check_mode=True)
    params = with_defaults(module.params, OPTIONS)
    try:
        apps = application_states(Host(), params["root"], params["names"], params["timeout"], params["probe"])
    except (CommandError, ReleaseError, UnsafeNameError, OSError) as exc:
        module.fail_json(msg=printable(with_remedy(f"Cannot look at the applications: {exc}")))
    certificates = certificates_of_sites(time.time(), params["names"])
    module.exit_json(
        changed=False,
        apps=printable_result(apps),
        certificates=printable_result(certificates),
        **unknown_applications(params["root"], params["names"]),
    )


if __name__ == "__main__":
    main()
