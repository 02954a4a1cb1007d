#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run releases under systemd, and deploy new ones without losing a request."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gunicorn_service
short_description: Run WSGI applications with gunicorn under systemd
version_added: 1.0.0
description:
  - Deploys releases. A new release is started beside the one that serves, on sockets of its own, and each of its
    instances must pass the health check. Then the link C(current) is switched to it by one rename, the old release
    finishes its connections (drain), and is stopped.
  - A release that fails its health check is stopped and refused, and the error has the end of its log. The old
    release keeps serving.
  - Each release has its own unit files, C(<name>@<release>.socket) and C(.service); instances from the second on have
    their number appended. They are removed with the release.
  - All services of a task take each step together. One that fails does not affect the others; the task fails at the
    end and names what happened to each.
  - When a run is killed, at any moment, the old or the new release serves, also after a reboot. The next run
    completes or cleans up what is left.
# begin options: written by `make specs` from tools/specs/schema/
options:
  services:
    description: Services to run.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the application. Its units, and its directory below O(root), have the same name.
          - 1 to 31 lower-case letters, digits or C(-), beginning with a letter.
        type: str
        required: true
      state:
        description:
          - V(present) runs the application. V(absent) stops it and removes its units and the link C(current).
          - V(rolled_back) rolls back to the release whose id begins with O(services[].release), or else to the one
            that was deployed before the current one and was healthy. It must pass the same health check as a new
            release.
          - A release that failed, or that was rolled back from, is refused until it has been deployed again and was
            healthy.
          - V(rolled_back) rolls back again in each run, so use it in a single task and not in an inventory.
        type: str
        choices: [present, absent, rolled_back]
        default: present
      release:
        description:
          - Directory of a release that M(flaskops.stack.flask_release) has built. It holds code, virtualenv,
            environment and all settings, so the options below are not used.
          - In check mode it need not exist.
        type: path
      hook:
        description:
          - With O(services[].state=rolled_back), the name of a rollback hook of the release that is left, for example
            one that migrates the database back; see O(flaskops.stack.flask_release#module:apps[].hooks.rollback). An
            unknown name is refused before anything changes.
          - It runs when the earlier release serves and the one that is left has ended, on the last host of the play
            that has rolled back. It does not run when a host could not roll back. When it failed or did not run,
            request it again together with O(services[].release); nothing is switched then.
        type: str
        default: ""
      app:
        description: >-
          WSGI application in code that exists on the host, as V(module:app), V(module:factory(\)) or
          V(module:factory("argument", key=1\)). Required when O(services[].release) is not set, together with
          O(services[].directory) and O(services[].virtualenv).
        type: str
      directory:
        description: Directory with the code. It is the working directory of the application.
        type: path
      virtualenv:
        description: Directory of a virtualenv with gunicorn and everything else that the application needs.
        type: path
      version:
        description:
          - Any text that changes when the code in O(services[].directory) changes, for example a commit id. A new
            value makes a new release, which is deployed; with the same value nothing is restarted.
          - Old and new code must be in different directories to run side by side.
        type: str
        default: ""
      user:
        description:
          - System user of the application, created when missing. Defaults to the name of the application.
          - An existing user that was not created for an application is refused, unless it is named here. root, the
            user of the web server and system accounts (ids below 100) are always refused.
        type: str
      group:
        description:
          - Group of the application. Defaults to the name of the user.
          - System groups, and groups whose members can become root (C(docker), C(sudo)), are refused.
        type: str
      environment:
        description:
          - Environment variables of the application.
          - Variables that would override the release, such as C(GUNICORN_CMD_ARGS), are refused.
          - A value that Ansible Vault has encrypted (C(!vault)) is refused here, as it is no secret. Put it into
            O(services[].secrets).
        type: dict
        default: {}
      secrets:
        description: Environment variables whose values are secret. They are never shown.
        type: dict
        default: {}
      trusted_hops:
        description: >-
          Number of trusted reverse proxies in front of gunicorn, whose C(X-Forwarded-For), C(X-Forwarded-Proto) and
          C(X-Forwarded-Host) headers are used (Werkzeug's C(ProxyFix)). With V(0) no such header is used.
        type: int
        default: 1
      host_header:
        description: Request header from which the host name is taken instead of C(X-Forwarded-Host).
        type: str
        default: ""
      keep:
        description: >-
          Number of releases to keep on the host. The current one, the one before it and those that a process runs
          from are always kept.
        type: int
        default: 5
      site:
        description: >-
          How visitors reach the application through nginx on this host; P(flaskops.stack.gunicorn_services#filter)
          derives it. When set, a request with forged C(X-Forwarded-*) headers is sent through nginx after the switch,
          and the deploy is reverted when the application trusts them.
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
            description: Port on which nginx listens for the site.
            type: int
            default: 80
          tls:
            description: Whether nginx speaks TLS on this port.
            type: bool
            default: false
          behind_proxy:
            description: Whether another proxy stands in front of nginx.
            type: bool
            default: false
          chosen_proxies:
            description: Whether nginx trusts only some proxies in front of it.
            type: bool
            default: false
          proxy_protocol:
            description: Whether nginx expects the PROXY protocol on this port.
            type: bool
            default: false
            version_added: 2.0.0
          path:
            description: URL path of that request, on a site that asks for a password on all other paths.
            type: str
            default: ""
            version_added: 2.0.0
          prefix:
            description: URL path of the site below which visitors find the application.
            type: str
            default: ""
            version_added: 2.0.0
      worker_class:
        description: >-
          Worker class of gunicorn, which decides how a worker handles requests. C(gevent) and C(tornado) must be
          installed in the virtualenv.
        type: str
        choices: [sync, gthread, gevent, tornado]
        default: gthread
      workers:
        description:
          - Number of worker processes per instance. V(0) means one per available CPU plus one with
            O(services[].worker_class=gthread) and O(services[].threads=0), otherwise two per available CPU plus one;
            at most 8, computed when the service starts. C(WEB_CONCURRENCY) in the environment overrides that number.
          - With V(0) there are no more than the memory of the host has room for. Half of it is for the workers of all
            applications, in equal parts, and the other half for what else runs and for deploys, in which two releases
            run side by side; O(services[].memory_max) is the limit of an instance. A worker is taken to use what one
            of the release before used when it had passed its health check, 32 MiB with the first release. The run
            says so when memory decides.
        type: int
        default: 0
      threads:
        description: >-
          Threads per worker. Used with O(services[].worker_class=gthread) only. V(0) means 8, and 4 where the number
          of workers is chosen.
        type: int
        default: 0
      timeout:
        description:
          - Seconds without a sign of life after which gunicorn kills a worker; V(0) means never.
          - A worker with threads shows one while requests hang, also when all of its threads do.
        type: int
        default: 30
      graceful_timeout:
        description: Seconds that a worker has to finish its requests after it was told to stop.
        type: int
        default: 30
      keepalive:
        description: Seconds that a worker waits for the next request on a kept-alive connection.
        type: int
        default: 2
      max_requests:
        description:
          - Number of requests after which a worker is replaced; V(0) means never.
          - Ignored for O(services[].worker_class=gthread) before gunicorn 24, which loses requests when it replaces
            such a worker.
        type: int
        default: 10000
      max_requests_jitter:
        description:
          - Upper bound of a random number that is added to O(services[].max_requests) for each worker.
          - With a small value all workers of a busy application are replaced at once, and no request is answered
            until the new ones have imported it.
        type: int
        default: 5000
      preload:
        description: >-
          Whether gunicorn imports the application once, before it forks the workers, which then share its memory.
          With C(gthread) and C(sync) they share that of Flask anyway. It is safe for an application that opens no
          connection, and starts no thread, while it is imported; workers would share the first and lack the second.
        type: bool
        default: false
      extra:
        description: >-
          Further settings of gunicorn by name. A setting that the installed gunicorn does not know makes the start of
          the release fail.
        type: dict
        default: {}
      config_file:
        description:
          - Path of the application's own gunicorn configuration, relative to its code, such as V(gunicorn.conf.py).
          - Its hooks, its logging and all other settings that do not contradict the release are used. Settings that
            do, such as C(workers) and C(bind), are refused by name. O(services[].extra) overrides the file.
          - When empty, a C(gunicorn.conf.py) in the source is not read, and each deploy warns about what it sets.
        type: str
        default: ""
        version_added: 2.0.0
      instances:
        description: >-
          Number of independent gunicorn servers (instances), each with its own workers and its own socket
          C(current/run/<number>.sock).
        type: int
        default: 1
      bind:
        description:
          - TCP addresses to listen on in addition to the sockets, such as V(127.0.0.1:8000) or V([::1]:8000).
          - systemd forwards each connection to the current release, so a deploy loses no request here either. The
            addresses are assigned to the instances in turn.
          - The application cannot tell such a client from nginx, so put a proxy in front that sets the
            C(X-Forwarded-*) headers.
        type: list
        elements: str
        default: []
      allow_public_bind:
        description: Whether O(services[].bind) may contain an address that other hosts can reach.
        type: bool
        default: false
      socket_group:
        description:
          - Group that may connect to the sockets. It must be the group that nginx runs as.
          - The default V(www-data) stands for the group of the user in C(/etc/nginx/nginx.conf), where that is
            another one, as with nginx.org's packages (user and group V(nginx)).
        type: str
        default: www-data
      memory_max:
        description: >-
          Memory limit of an instance, such as V(512M); processes of an instance that exceeds it are killed (systemd
          C(MemoryMax)). Empty means no limit.
        type: str
        default: ""
      memory_high:
        description: Memory above which an instance is slowed down (systemd C(MemoryHigh)). Empty means no limit.
        type: str
        default: ""
      cpu_quota:
        description: >-
          CPU time that an instance may use (systemd C(CPUQuota)); V(150%) is one and a half CPUs. Empty means no
          limit.
        type: str
        default: ""
      tasks_max:
        description: >-
          Maximum number of processes and threads of an instance (systemd C(TasksMax)). V(0) means systemd's default.
        type: int
        default: 0
      open_files:
        description: Maximum number of files and connections that a process may have open (systemd C(LimitNOFILE)).
        type: int
        default: 65536
      after:
        description: Units of systemd that are started before the application, such as V(postgresql.service).
        type: list
        elements: str
        default: []
      sandbox:
        description:
          - The sandbox of systemd in which the application runs.
          - >-
            V(true) enables all of it, V(false) disables it. A dictionary overrides single directives of
            systemd.exec(5), such as C({MemoryDenyWriteExecute: false}).
        type: raw
        default: true
      sandbox_paths:
        description: Paths outside of the application's C(shared) directory that it may write to. They must exist.
        type: list
        elements: str
        default: []
      log_level:
        description: Log level of gunicorn. Its log goes to the journal of systemd.
        type: str
        choices: [debug, info, warning, error, critical]
        default: info
      access_log:
        description: Whether gunicorn logs each request to the journal. nginx usually does that in its own access log.
        type: bool
        default: false
      health:
        description: The health check that each instance of a new release must pass before the release gets traffic.
        type: dict
        suboptions:
          path:
            description: >-
              URL path that the health check requests. All workers are asked for it before the switch, up to 24 times
              at once.
            type: str
            default: /
          status:
            description: HTTP status codes that count as healthy. When empty, all of 2xx and 3xx, and 401.
            type: list
            elements: int
            default: []
          host:
            description: Host name that the health check requests; C(localhost) when empty.
            type: str
            default: ""
          timeout:
            description: >-
              Seconds within which all workers must have loaded the application and each instance must have answered
              the health check.
            type: int
            default: 60
          successes:
            description: Number of consecutive healthy answers that an instance must give.
            type: int
            default: 1
          watch:
            description: >-
              Minimum number of seconds for which the old release stays ready after the switch. It stays for at least
              half as long as the new one needed to load, up to one second, except after a rollback. When a process of
              the new release ends meanwhile, or its workers die, the deploy is reverted.
            type: int
            default: 0
      prefix:
        description:
          - URL path below which visitors find the application, such as V(/blog). The proxy takes it off and sends it
            as C(X-Forwarded-Prefix), which C(ProxyFix) makes the application's C(SCRIPT_NAME). The health check sends
            it, too.
          - An application with C(mount) has that path. When empty, the header is not believed.
        type: str
        default: ""
        version_added: 2.0.0
      overlap:
        description:
          - Whether two releases of the application may run side by side, as they do in each deploy for as long as the
            new one takes to load and the old one to answer its last requests.
          - V(never) stops the current release before the new one starts. It is for applications that must not run
            twice, such as those with a scheduler in their process, or with data that one process alone may write.
            Visitors get 502 for as long as the new release takes to start; the result and the summary say how long
            that was. The current release is started again when the new one fails its health check. C(hooks.migrate)
            runs before it is stopped.
          - What either of the two releases says counts, also in a rollback.
          - The summary names an application whose only worker has threads of its own, until this is set to either
            value.
        type: str
        choices: [allow, never]
        default: allow
        version_added: 2.0.0
      drain_timeout:
        description: >-
          Maximum number of seconds to wait after the switch until the open connections to the old release have ended
          by themselves. Then it is stopped.
        type: int
        default: 30
      asset_grace:
        description: >-
          Seconds after a deploy for which static files that only the previous release has are still served, so that
          pages that are open in browsers keep working. V(0) disables it. A restart of the host ends it early.
        type: int
        default: 3600
      idle:
        description:
          - Time without a request after which the processes of an application end, such as V(15m), V(2h) or V(90s);
            at least ten seconds. Empty means that they never do.
          - systemd keeps the socket. The next request has gunicorn started, and waits until the application is
            imported; no request is lost. The health check of a monitor, and each other request, counts. V(status.yml)
            calls such an application asleep, and does not wake it. It is started at boot, and by each deploy.
          - Workers and timers of the application run on. Needs gunicorn 24 or newer for
            O(services[].worker_class=gthread), and cannot be used with V(tornado).
        type: str
        default: ""
        version_added: 2.0.0
  root:
    description: Directory that contains one directory per application.
    type: path
    default: /srv
  unit_directory:
    description: Directory to which unit files are written.
    type: path
    default: /etc/systemd/system
  lock_timeout:
    description: Seconds to wait for another run that works on the same application.
    type: float
    default: 60
  overlap:
    description:
      - What to do when a host has too little memory to run the new release beside the current one. The new release is
        expected to need as much as each instance of the current one uses, and less in proportion when it will have
        fewer workers.
      - V(refuse) fails before anything is stopped or migrated. V(fallback) stops the current release first. V(never)
        does that also when there is enough memory. V(always) does not check the memory.
      - When the current release is stopped first, visitors get 502 until the new one has started. It is started again
        when the new one fails.
    type: str
    choices: [refuse, fallback, always, never]
    default: refuse
  probe_sites:
    description: >-
      Whether O(services[].site) is used. Turn it off when nginx is about to change together with the release.
    type: bool
    default: true
  fleet:
    description: Set by the action plugin; whether it makes sure that one host migrates for all.
    type: bool
    default: false
  migrate:
    description: >-
      Set by the action plugin; the services whose migrations to run, and nothing else, by name with the key of the
      migrations that were the last ones when these were found due. None run after others that came meanwhile.
    type: dict
    default: {}
  migrated:
    description: Set by the action plugin; the services whose migrations another host of the fleet has run.
    type: list
    elements: str
    default: []
  left:
    description: Set by the action plugin; by service, the release whose rollback hook to run, and nothing else.
    type: dict
    default: {}
  by:
    description: Set by the action plugin; who started this run. Others see it when they find the application locked.
    type: str
    default: ""
  expected:
    description: >-
      Set by the action plugin; by application, the release that served when the run began. Another release, which
      another run has deployed meanwhile, is not replaced.
    type: dict
    default: {}
    version_added: 2.0.0
  run:
    description: Set by the action plugin; id of this run of Ansible, for the history.
    type: str
    default: ""
    version_added: 2.0.0
# end options
attributes:
  check_mode:
    description: Checks all input and reports what would be done, without starting anything.
    support: full
  diff_mode:
    description: Shows the target of C(current), and the units that are added and removed.
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

- name: Allow an application to compile code at run time, which the sandbox forbids
  flaskops.stack.gunicorn_service:
    services:
      - name: charts
        app: charts:app
        directory: /opt/charts
        virtualenv: /opt/charts/.venv
        sandbox:
          MemoryDenyWriteExecute: false
        sandbox_paths: [/var/lib/charts]

- name: Roll back to the release before
  flaskops.stack.gunicorn_service:
    services:
      - name: shop
        state: rolled_back

- name: Roll back, and migrate the database back with a hook of the release that is left
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
      description: Id of the wanted release; empty with O(services[].state=absent).
      type: str
      sample: 3f2a91c-1b9e02d4
    version:
      description: Version of the release's source, such as a tag; empty when it has none.
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
      description: Reason why the release was refused, with the end of its log; empty when it was not.
      type: str
    units:
      description: Units of the release, and those that listen on TCP addresses.
      type: list
      elements: str
      sample: [shop@3f2a91c-1b9e02d4.socket, shop@3f2a91c-1b9e02d4.service, shop@3f2a91c-1b9e02d4.worker-mail.0.service]
    finishing:
      description:
        - Workers and jobs of other releases that finish what they have begun. They take no new work, end by themselves,
          and need no further run.
      type: list
      elements: str
      sample: [shop@90b1c7e-77aa01f2.worker-mail.0.service]
    probes:
      description: Answer of each instance to the health check; empty when there was no check.
      type: list
      elements: dict
      contains:
        instance:
          description: Number of the instance.
          type: int
        status:
          description: HTTP status of the last answer, V(0) when there was none.
          type: int
        seconds:
          description: Seconds from the start of the service to the healthy answer.
          type: float
    hooks:
      description: The hooks that have run and succeeded.
      type: list
      elements: dict
      contains:
        hook:
          description: Stage of the hook.
          type: str
          sample: before_switch
        command:
          description: Command that ran.
          type: str
          sample: flask warm-up
        seconds:
          description: Duration of the command.
          type: float
        output:
          description: The last lines of its output, without secrets.
          type: list
          elements: str
    believed:
      description: Whether a request through nginx has shown that the application trusts only the right proxy headers.
      type: bool
    warning:
      description: Error after the switch that does not keep the release from serving; the task fails.
      type: str
    drained:
      description: Whether all connections to the old release had ended before it was stopped.
      type: bool
    pruned:
      description: Releases that were removed.
      type: list
      elements: str
    room:
      description: Why the release has no more workers, where the memory of the host decided that.
      type: str
      sample: "2 workers an instance, as many as there is memory for: one uses 38 MiB, on a host of 481 MiB"
    seconds:
      description: Duration of the deploy.
      type: float
      sample: 1.2
    gap:
      description: Seconds in which no release has served, as the old one was stopped before the new one started.
      type: float
      sample: 0
    threads:
      description: >-
        Whether the release is one worker in which the application has started threads, and runs beside another
        release during a deploy, so that there are two of each thread for that time.
      type: bool
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host_code import CODE_SPEC, MaskedLog, work

# begin argument spec: written by `make specs` from tools/specs/schema/
OPTIONS: dict[str, t.Any] = {
    "services": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
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
            "site": {
                "type": "dict",
                "options": {
                    "current": {"type": "path", "required": True},
                    "host": {"type": "str", "required": True},
                    "port": {"type": "int", "default": 80},
                    "tls": {"type": "bool", "default": False},
                    "behind_proxy": {"type": "bool", "default": False},
                    "chosen_proxies": {"type": "bool", "default": False},
                    "proxy_protocol": {"type": "bool", "default": False},
                    "path": {"type": "str", "default": ""},
                    "prefix": {"type": "str", "default": ""},
                },
            },
            "worker_class": {"type": "str", "choices": ["sync", "gthread", "gevent", "tornado"], "default": "gthread"},
            "workers": {"type": "int", "default": 0},
            "threads": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 30},
            "graceful_timeout": {"type": "int", "default": 30},
            "keepalive": {"type": "int", "default": 2},
            "max_requests": {"type": "int", "default": 10000},
            "max_requests_jitter": {"type": "int", "default": 5000},
            "preload": {"type": "bool", "default": False},
            "extra": {"type": "dict", "default": {}},
            "config_file": {"type": "str", "default": ""},
            "instances": {"type": "int", "default": 1},
            "bind": {"type": "list", "elements": "str", "default": []},
            "allow_public_bind": {"type": "bool", "default": False},
            "socket_group": {"type": "str", "default": "www-data"},
            "memory_max": {"type": "str", "default": ""},
            "memory_high": {"type": "str", "default": ""},
            "cpu_quota": {"type": "str", "default": ""},
            "tasks_max": {"type": "int", "default": 0},
            "open_files": {"type": "int", "default": 65536},
            "after": {"type": "list", "elements": "str", "default": []},
            "sandbox": {"type": "raw", "default": True},
            "sandbox_paths": {"type": "list", "elements": "str", "default": []},
            "log_level": {
                "type": "str",
                "choices": ["debug", "info", "warning", "error", "critical"],
                "default": "info",
            },
            "access_log": {"type": "bool", "default": False},
            "health": {
                "type": "dict",
                "options": {
                    "path": {"type": "str", "default": "/"},
                    "status": {"type": "list", "elements": "int", "default": []},
                    "host": {"type": "str", "default": ""},
                    "timeout": {"type": "int", "default": 60},
                    "successes": {"type": "int", "default": 1},
                    "watch": {"type": "int", "default": 0},
                },
            },
            "prefix": {"type": "str", "default": ""},
            "overlap": {"type": "str", "choices": ["allow", "never"], "default": "allow"},
            "drain_timeout": {"type": "int", "default": 30},
            "asset_grace": {"type": "int", "default": 3600},
            "idle": {"type": "str", "default": ""},
        },
    },
    "root": {"type": "path", "default": "/srv"},
    "unit_directory": {"type": "path", "default": "/etc/systemd/system"},
    "lock_timeout": {"type": "float", "default": 60},
    "overlap": {"type": "str", "choices": ["refuse", "fallback", "always", "never"], "default": "refuse"},
    "probe_sites": {"type": "bool", "default": True},
    "fleet": {"type": "bool", "default": False},
    "migrate": {"type": "dict", "default": {}},
    "migrated": {"type": "list", "elements": "str", "default": []},
    "left": {"type": "dict", "default": {}},
    "by": {"type": "str", "default": ""},
    "expected": {"type": "dict", "default": {}},
    "run": {"type": "str", "default": ""},
}
# end argument spec
SPEC: dict[str, t.Any] = {**OPTIONS, **CODE_SPEC}

# What Ansible checks the arguments by, here or on the controller.
ARGUMENTS: dict[str, t.Any] = {"argument_spec": SPEC}


# mypy does not see the types of AnsibleModule and takes it for Any.
class Module(MaskedLog, AnsibleModule):  # type: ignore[misc]
    """Ansible's module, which keeps all secrets out of the log of the host."""


def main() -> None:
    """Read the parameters, run the services, say what happened."""
    # What is made here has to be open to the application or to nginx, also on hosts where root's own files are not.
    os.umask(0o022)
    module = Module(**ARGUMENTS, supports_check_mode=True)
    work(module, "_entrypoints.gunicorn_service")


if __name__ == "__main__":
    main()
