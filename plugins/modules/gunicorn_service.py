#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run releases under systemd and hand over to new ones without losing a request."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gunicorn_service
short_description: Run WSGI applications with gunicorn under systemd
version_added: 1.0.0
description:
  - Starts a release beside the one that serves, on sockets of its own, asks each of its instances for an answer,
    switches the link C(current) to it by one rename, waits until the old release has no connection any more, and
    stops that.
  - A release that does not answer as it should is stopped and refused with the end of its log; the old one goes on
    serving.
  - Each release has its own unit files, C(<name>@<release>.socket) and C(.service); instance 1 and higher has its
    number behind the release. They are removed with the release.
  - All services of a task go through each step together. One that fails does not keep the others from their new
    release; the task fails in the end and says what happened to each.
  - A run that was killed, at any moment, leaves the old or the new release serving, also after a reboot; the next run
    finishes or clears up what it left.
options:
  services:
    description: The applications.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the application, which is also the name of its units and of its directory below O(root).
          - 1 to 31 lower-case letters, digits or C(-), beginning with a letter.
        type: str
        required: true
      state:
        description:
          - V(absent) stops the application and removes its units and the link C(current).
          - V(rolled_back) goes back to the release whose id, or the beginning of it, is O(services[].release), or to
            the one that was deployed before the current one and was healthy. It has to pass the same gate as a new one.
          - A release that failed, or that was rolled back from, is refused until it has been deployed again and was
            healthy then.
        type: str
        choices: [present, absent, rolled_back]
        default: present
      release:
        description:
          - Directory of the release, as M(flaskops.stack.flask_release) builds it. It holds code, virtualenv,
            environment and all settings, so that none of the options below is used.
          - In check mode it need not exist.
        type: path
      hook:
        description:
          - With O(services[].state=rolled_back), the name of a hook of the release that is left, such as one that takes
            the database back; see O(flaskops.stack.flask_release#module:apps[].hooks.rollback). A name that it does not
            have is refused before anything changes.
          - It runs when the release before serves and the one that is left has ended, on the last host of the play that
            has gone back, and not at all when one of them has not. If it fails, or could not be run, it can be asked
            for again together with O(services[].release), to which nothing has to be switched then.
        type: str
        default: ""
      app:
        description:
          - The WSGI application in code that exists already, as V(module:app), V(module:factory(\)) or
            V(module:factory("argument", key=1\)). Required without O(services[].release), and so are
            O(services[].directory) and O(services[].virtualenv).
        type: str
      directory:
        description: Directory with the code; it becomes the working directory.
        type: path
      virtualenv:
        description: Virtual environment with gunicorn and all that the application needs.
        type: path
      version:
        description:
          - Anything that tells one state of O(services[].directory) from another, for example a commit. Another value
            makes a new release and hence a hand-over; with an equal one nothing is restarted.
          - For old and new code to run side by side they have to be in different directories.
        type: str
        default: ""
      user:
        description:
          - System user of the application, made when there is none; the application's name by default.
          - A user of this name that exists and was not made for an application is refused, unless it is named here.
            root, the user of the web server and the accounts of the system (ids below 100) are always refused.
        type: str
      group:
        description:
          - Its group; named like the user by default.
          - Groups of the system, and those whose members become root (C(docker), C(sudo)), are refused.
        type: str
      environment:
        description:
          - Environment variables.
          - Variables that overrule the release, such as C(GUNICORN_CMD_ARGS), are refused.
        type: dict
        default: {}
      secrets:
        description: Environment variables that are never shown.
        type: dict
        default: {}
      trusted_hops:
        description:
          - How many proxies in front of gunicorn are to be believed what they say about the client in
            C(X-Forwarded-For), C(X-Forwarded-Proto) and C(X-Forwarded-Host). With V(0) no such header is believed.
        type: int
        default: 1
      host_header:
        description: A header from which the host name is taken instead of C(X-Forwarded-Host).
        type: str
        default: ""
      keep:
        description: How many releases stay on the host; the current one, the one before it and those in use always do.
        type: int
        default: 5
      site:
        description:
          - How visitors reach the application through nginx on this host; P(flaskops.stack.gunicorn_services#filter)
            derives it. When it is given the release is asked through nginx after the switch, with forged
            C(X-Forwarded) headers, and if it believes them the old release serves again.
        type: dict
        suboptions:
          current:
            description: The link C(current) of the application.
            type: path
            required: true
          host:
            description: A host name of the site.
            type: str
            required: true
          port:
            description: Port at which nginx listens for it.
            type: int
            default: 80
          tls:
            description: Whether it speaks TLS there.
            type: bool
            default: false
          behind_proxy:
            description: Whether another proxy stands before nginx.
            type: bool
            default: false
          chosen_proxies:
            description: Whether nginx believes only some of these proxies.
            type: bool
            default: false
      worker_class:
        description: How a worker handles requests. C(gevent) and C(tornado) have to be in the virtualenv.
        type: str
        choices: [sync, gthread, gevent, tornado]
        default: gthread
      workers:
        description:
          - Number of worker processes per instance. V(0) is twice the available CPUs plus one, at most 8, found out at
            the start of the service; C(WEB_CONCURRENCY) in the environment overrides that.
        type: int
        default: 0
      threads:
        description: Threads per worker, for O(services[].worker_class=gthread).
        type: int
        default: 4
      timeout:
        description: Seconds after which a worker that gives no sign of life is killed; V(0) for never.
        type: int
        default: 30
      graceful_timeout:
        description: Seconds that requests have to finish after a worker was told to end.
        type: int
        default: 30
      keepalive:
        description: Seconds to wait for another request on a connection.
        type: int
        default: 2
      max_requests:
        description:
          - Requests after which a worker is replaced; V(0) for never.
          - Not done for O(services[].worker_class=gthread) before gunicorn 24, which loses requests by it.
        type: int
        default: 10000
      max_requests_jitter:
        description:
          - At most so many requests more, by chance. With little of it, all workers of a busy application are replaced
            at once, and nobody answers until the new ones have imported it.
        type: int
        default: 5000
      preload:
        description: Whether the application is imported once, before the workers are made.
        type: bool
        default: false
      extra:
        description:
          - Further settings of gunicorn by name; one that the installed gunicorn does not know is refused at the start.
        type: dict
        default: {}
      config_file:
        description:
          - The application's own configuration of gunicorn, a path below its code such as V(gunicorn.conf.py).
          - Its hooks, its logging and all other settings that do not contradict the release are honoured. Those that
            do, such as C(workers) and C(bind), are refused by name. C(extra) overrules the file.
          - Without it, a C(gunicorn.conf.py) in the source is not read, and each deploy warns of what it sets.
        type: str
        default: ""
        version_added: "1.1.0"
      instances:
        description: How many independent gunicorns, each with its own socket C(current/run/<number>.sock).
        type: int
        default: 1
      bind:
        description:
          - TCP addresses, such as V(127.0.0.1:8000) or V([::1]:8000), beside the sockets. What comes in is forwarded to
            the current release, address by address to the instances in turn, so a hand-over loses nothing here either.
          - The application sees such a client as it sees nginx, so put a proxy in front that sets the
            C(X-Forwarded) headers.
        type: list
        elements: str
        default: []
      allow_public_bind:
        description: Whether O(services[].bind) may name an address that other hosts can reach.
        type: bool
        default: false
      socket_group:
        description:
          - Group that may connect to the sockets, the one that nginx runs as.
          - The default stands for the group of the user in C(/etc/nginx/nginx.conf), where that is another one, as with
            nginx.org's packages (user and group V(nginx)).
        type: str
        default: www-data
      memory_max:
        description: Memory, such as V(512M), at which an instance's process is killed; empty for no limit.
        type: str
        default: ""
      memory_high:
        description: Memory at which an instance is slowed down; empty for no limit.
        type: str
        default: ""
      cpu_quota:
        description: CPU time of an instance, V(150%) for one and a half CPUs; empty for no limit.
        type: str
        default: ""
      tasks_max:
        description: Processes and threads of an instance; V(0) for systemd's default.
        type: int
        default: 0
      open_files:
        description: Files and connections that a process may have open.
        type: int
        default: 65536
      after:
        description: Units that are started before the application, such as V(postgresql.service).
        type: list
        elements: str
        default: []
      sandbox:
        description:
          - >-
            V(true) for the whole sandbox, V(false) for none, or a dictionary with directives of systemd.exec(5) that
            replace single ones, such as C({MemoryDenyWriteExecute: false}).
        type: raw
        default: true
      sandbox_paths:
        description: Paths that the application may write to, beside its directory C(shared); they have to exist.
        type: list
        elements: str
        default: []
      log_level:
        description: What gunicorn writes to the journal.
        type: str
        choices: [debug, info, warning, error, critical]
        default: info
      access_log:
        description: Whether gunicorn writes each request to the journal; nginx usually does that.
        type: bool
        default: false
      health:
        description: What proves that the application is healthy, on each of its instances.
        type: dict
        suboptions:
          path:
            description: What is asked for.
            type: str
            default: /
          status:
            description: Accepted status codes; all of 2xx and 3xx, and 401, when empty.
            type: list
            elements: int
            default: []
          host:
            description: Host name that is asked for; C(localhost) when empty.
            type: str
            default: ""
          timeout:
            description: >-
              Seconds until all workers must have loaded the application, and each instance must have answered.
            type: int
            default: 60
          successes:
            description: How many good answers in a row.
            type: int
            default: 1
          watch:
            description:
              - Seconds for which the old release stays ready after the switch, at least. In any case it stays for half
                as long as the new one needed to load, up to one second, but for a rollback. A new one whose process
                ends meanwhile, or whose workers die, is switched back from.
            type: int
            default: 0
      drain_timeout:
        description: Seconds that open connections to the old release have to end by themselves before it is stopped.
        type: int
        default: 30
      asset_grace:
        description: >-
          Seconds for which static files of the previous release that the new one does not have stay reachable after a
          hand-over, so that open pages go on working; V(0) for not at all. A restart of the host ends it early.
        type: int
        default: 3600
  root:
    description: Directory with a directory for each application.
    type: path
    default: /srv
  unit_directory:
    description: Where unit files are written.
    type: path
    default: /etc/systemd/system
  lock_timeout:
    description: Seconds to wait for another run that works on the same application.
    type: float
    default: 60
  overlap:
    description:
      - What to do when the host has too little memory to run the new release beside the one that serves. The new one is
        expected to need what each instance of the old one uses.
      - V(refuse) refuses it before anything is stopped or migrated; V(fallback) stops the old release first; V(never)
        does that also where there is memory enough; V(always) does not look at the memory.
      - Where the old release is stopped first, visitors get 502 until the new one has started; if that is refused, the
        old one is started again.
    type: str
    choices: [refuse, fallback, always, never]
    default: refuse
  probe_sites:
    description: Whether O(services[].site) is used. Not while nginx is about to be changed together with the release.
    type: bool
    default: true
  fleet:
    description: Set by the action plugin; whether it sees to it that one host migrates for all.
    type: bool
    default: false
  migrate:
    description: Set by the action plugin; services whose migrations are to be run, and nothing else.
    type: list
    elements: str
    default: []
  migrated:
    description: Set by the action plugin; services whose migrations have been run by a host of the fleet.
    type: list
    elements: str
    default: []
  left:
    description: Set by the action plugin; releases whose hook is to be run, by service, and nothing else.
    type: dict
    default: {}
  by:
    description: Set by the action plugin; who asks for it, for those who find the application locked.
    type: str
    default: ""
  expected:
    description:
      - Set by the action plugin; the release of each application that served when the run began. Another one, which
        another run has deployed meanwhile, is not replaced.
    type: dict
    default: {}
    version_added: 1.1.0
  run:
    description: Set by the action plugin; which run of Ansible it is, for the history.
    type: str
    default: ""
    version_added: 1.1.0
attributes:
  check_mode:
    description: Checks all input and reports what would be done, without starting anything.
    support: full
  diff_mode:
    description: Shows where C(current) leads, and the units that come and go.
    support: full
seealso:
  - module: flaskops.stack.flask_release
  - module: flaskops.stack.nginx_site
author:
  - flaskops maintainers (@flaskops)
extends_documentation_fragment:
  - flaskops.stack._host_code
"""

EXAMPLES = r"""
- name: Run a release that flask_release has built
  flaskops.stack.gunicorn_service:
    services:
      - name: shop
        release: /srv/shop/releases/3f2a91c-1b9e02d4

- name: Run code and a virtualenv that exist already
  flaskops.stack.gunicorn_service:
    services:
      - name: wiki
        app: wiki:create_app()
        directory: /opt/wiki/2.4.1
        virtualenv: /opt/wiki/2.4.1/.venv
        version: 2.4.1
        instances: 2
        memory_max: 512M
        after: [postgresql.service]
        secrets:
          DATABASE_URL: "{{ wiki_database_url }}"
        health:
          path: /health
          status: [200]

- name: Let an application that compiles code at run time leave one wall of the sandbox
  flaskops.stack.gunicorn_service:
    services:
      - name: numbers
        app: numbers:app
        directory: /opt/numbers
        virtualenv: /opt/numbers/.venv
        sandbox:
          MemoryDenyWriteExecute: false
        sandbox_paths: [/var/lib/numbers]

- name: Go back to the release before
  flaskops.stack.gunicorn_service:
    services:
      - name: shop
        state: rolled_back

- name: Go back, and take the database back with the hook of the release that is left
  flaskops.stack.gunicorn_service:
    services:
      - name: shop
        state: rolled_back
        hook: migrate_down

- name: Stop an application and remove its units
  flaskops.stack.gunicorn_service:
    services:
      - name: wiki
        state: absent
"""

RETURN = r"""
services:
  description: One entry for each service, also when the task fails.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the application.
      type: str
      sample: shop
    release:
      description: Id of the release that was wanted; empty when it was to be absent.
      type: str
      sample: 3f2a91c-1b9e02d4
    version:
      description: What the release's source says of its version, such as a tag; empty when it says nothing.
      type: str
      sample: v2.3.1
    previous:
      description: Id of the release that was current before; empty when there was none.
      type: str
      sample: 90b1c7e-77aa01f2
    changed:
      description: Whether anything was done for this service.
      type: bool
    error:
      description: Why the release was refused, with the end of its log; empty when it was not.
      type: str
    units:
      description: Units of the release, and those that listen on TCP addresses.
      type: list
      elements: str
      sample: [shop@3f2a91c-1b9e02d4.socket, shop@3f2a91c-1b9e02d4.service, shop@3f2a91c-1b9e02d4.worker-mail.0.service]
    finishing:
      description:
        - Workers and jobs of other releases that finish what they have begun. They take nothing new, end by themselves,
          and need no further run.
      type: list
      elements: str
      sample: [shop@90b1c7e-77aa01f2.worker-mail.0.service]
    probes:
      description: The answer of each instance at the health gate; empty when there was none.
      type: list
      elements: dict
      contains:
        instance:
          description: Number of the instance.
          type: int
        status:
          description: HTTP status of the last answer, V(0) for none.
          type: int
        seconds:
          description: Time from the start of the service to the proof.
          type: float
    hooks:
      description: The hooks that have run and succeeded.
      type: list
      elements: dict
      contains:
        hook:
          description: When it ran.
          type: str
          sample: before_switch
        command:
          description: What ran.
          type: str
          sample: flask warm-up
        seconds:
          description: How long it took.
          type: float
        output:
          description: The last lines of its output, without secrets.
          type: list
          elements: str
    believed:
      description: Whether it was seen through nginx that the application believes what it should of its visitors.
      type: bool
    warning:
      description: What went wrong after the switch, while the release serves nevertheless; the task fails.
      type: str
    drained:
      description: Whether all connections to the old release had ended before it was stopped.
      type: bool
    pruned:
      description: Releases that were removed.
      type: list
      elements: str
    seconds:
      description: How long the hand-over took.
      type: float
      sample: 1.2
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host_code import CODE_SPEC, work
from ..module_utils._input.defaults import DEFAULTS, HEALTH_DEFAULTS, OVERLAPS, REFUSE

_CHOICES = {
    "worker_class": ["sync", "gthread", "gevent", "tornado"],
    "log_level": ["debug", "info", "warning", "error", "critical"],
}
_TYPES = {bool: "bool", int: "int", str: "str", list: "list", dict: "dict"}


def option(key: str, default: object) -> dict[str, t.Any]:
    """Return the argument spec of a setting from its default."""
    if key == "sandbox":
        return {"type": "raw", "default": default}
    spec: dict[str, t.Any] = {"type": _TYPES[type(default)], "default": default}
    if isinstance(default, list):
        spec["elements"] = "int" if key == "status" else "str"
    if key in _CHOICES:
        spec["choices"] = _CHOICES[key]
    return spec


SITE_SPEC: dict[str, t.Any] = {
    "current": {"type": "path", "required": True},
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 80},
    "tls": {"type": "bool", "default": False},
    "behind_proxy": {"type": "bool", "default": False},
    "chosen_proxies": {"type": "bool", "default": False},
}


def service_spec() -> dict[str, t.Any]:
    """Return the argument spec of one service."""
    health = {key: option(key, default) for key, default in HEALTH_DEFAULTS.items()}
    settings = {key: option(key, default) for key, default in DEFAULTS.items() if key != "health"}
    return {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent", "rolled_back"], "default": "present"},
        "release": {"type": "path"},
        "hook": {"type": "str", "default": ""},
        "app": {"type": "str"},
        "directory": {"type": "path"},
        "virtualenv": {"type": "path"},
        "version": {"type": "str", "default": ""},
        "user": {"type": "str"},
        "group": {"type": "str"},
        "environment": {"type": "dict", "default": {}},
        "secrets": {"type": "dict", "default": {}, "no_log": True},
        "trusted_hops": {"type": "int", "default": 1},
        "host_header": {"type": "str", "default": ""},
        "keep": {"type": "int", "default": 5},
        "site": {"type": "dict", "options": SITE_SPEC},
        **settings,
        "health": {"type": "dict", "options": health},
    }


SPEC: dict[str, t.Any] = {
    "services": {"type": "list", "elements": "dict", "required": True, "options": service_spec()},
    "root": {"type": "path", "default": "/srv"},
    "unit_directory": {"type": "path", "default": "/etc/systemd/system"},
    "lock_timeout": {"type": "float", "default": 60},
    "overlap": {"type": "str", "choices": list(OVERLAPS), "default": REFUSE},
    "probe_sites": {"type": "bool", "default": True},
    "by": {"type": "str", "default": ""},
    **CODE_SPEC,
    "fleet": {"type": "bool", "default": False},
    "migrate": {"type": "list", "elements": "str", "default": []},
    "migrated": {"type": "list", "elements": "str", "default": []},
    "left": {"type": "dict", "default": {}},
    "expected": {"type": "dict", "default": {}},
    "run": {"type": "str", "default": ""},
}


def main() -> None:
    """Read the parameters, run the services, say what happened."""
    # What is made here has to be open to the application or to nginx, also on hosts where root's own files are not.
    os.umask(0o022)
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    work(module, "_entrypoints.gunicorn_service")


if __name__ == "__main__":
    main()
