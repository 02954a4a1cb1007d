#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build releases of Flask applications."""

from __future__ import annotations

DOCUMENTATION = r"""
module: flask_release
short_description: Build releases of Flask applications
version_added: 1.0.0
description:
  - Builds a release of each application in O(apps). A release is everything that the process is - code,
    virtualenv, environment and settings of gunicorn - in one directory C(<root>/<name>/releases/<id>), which never
    changes again.
  - The id comes from the content, so it is equal on every host and in every run; an equal release is never built
    twice. What differs in its environment or settings only is built from hard links, without a download.
  - The input of all applications is checked before anything changes. A build that fails leaves no release behind,
    and does not keep the other applications from theirs; the task fails in the end. One that was killed is built again.
  - What is whole of a build that failed makes the next try quick - the user, what was downloaded and, for a day, the
    virtualenv. O(state=absent) removes it.
  - As its last step the application is loaded in its new virtualenv, as its own user with its own environment; if that
    fails, the end of Python's traceback is in the error. One with O(apps[].hooks.migrate) is loaded by its start, after
    the hooks have run.
  - Whatever is run of an application, its packages and its build hooks runs in a transient unit of systemd with the
    sandbox of the service, and leaves no process behind.
  - Nothing is started or switched to, unless O(activate) or O(serve) says so; that is what
    M(flaskops.stack.gunicorn_service) does.
  - Sources on the controller (directories, archives, git repositories) are sent only when the host lacks the release.
  - The values of O(apps[].secrets), O(apps[].environment), O(apps[].build_secrets), O(apps[].build_environment) and
    O(apps[].deploy_key), and credentials in addresses, appear neither in the result nor in the log of the host, so the
    task needs no C(no_log), which would hide its errors, too.
author:
  - flaskops maintainers (@flaskops)
extends_documentation_fragment:
  - flaskops.stack._host_code
options:
  apps:
    description: The applications.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the application, of its directory and, without O(apps[].user), of its system user.
        type: str
        required: true
      source:
        description:
          - Where the code comes from. O(apps[].source_type) says what it is, if this does not tell.
          - A git repository - V(https://git.example.com/shop.git), V(git@git.example.com:shop.git), or the path of
            one on the controller or on the host. The path of a work tree is a git source when O(apps[].version) is
            set.
          - A directory on the controller; of a git work tree what C(git add) would take, else all but caches.
          - Virtualenvs in a source are left out.
          - An archive (tar, also packed, or zip) on the controller, or to download with O(apps[].checksum). The one
            directory at its top that archives usually have is taken away.
          - A requirement for the package index, as V(httpbin==0.10.2).
          - Relative paths begin at the playbook, or else at the inventory, and contain a C(/), as V(./shop).
          - Required with O(state=present).
        type: str
      source_type:
        description: What O(apps[].source) is; V(auto) tells by its form.
        type: str
        choices: [auto, git, directory, archive, pypi]
        default: auto
      version:
        description:
          - Of a git repository, the branch, tag or whole commit id; without it, the default branch.
          - Of a requirement without a version, the version.
        type: str
        default: ""
      subdirectory:
        description: The part of the source that is the application.
        type: str
        default: ""
      checksum:
        description: SHA-256 of an archive, as V(sha256:...). Required for one that the host downloads.
        type: str
        default: ""
      deploy_key:
        description:
          - Private key for git over SSH (its content). It is on the host, readable by root, as long as git runs.
          - Without it SSH uses what root has on the host.
        type: str
      known_hosts:
        description:
          - Lines for SSH's known_hosts that name the keys of the git server.
          - Without it, the first key seen is believed and remembered.
        type: str
        default: ""
      app:
        description: The WSGI application, V(module:object) or V(module:factory(\)). Required with O(state=present).
        type: str
      user:
        description:
          - System user that builds and runs the application; made when missing. Default is O(apps[].name).
          - A user of this name that exists and was not made for an application is refused, unless it is named here.
            root, the user of the web server and the accounts of the system (ids below 100) are always refused.
          - While the application runs, its data belongs to this user, and another one is refused. When the application
            was removed (its data stays), the data is handed over to the new user with the next build.
        type: str
      group:
        description:
          - Its group; made when missing. Default is O(apps[].user).
          - Groups of the system, and those whose members become root (C(docker), C(sudo)), are refused.
        type: str
      python:
        description: Python to use; see O(python).
        type: str
      installer:
        description: What installs packages; see O(installer).
        type: str
        choices: [uv, pip]
      requirements:
        description:
          - Files in the source that say what to install - requirements files (with hashes, all of theirs are checked),
            V(uv.lock), or V(pyproject.toml); the last two with extras, as V(pyproject.toml[web]).
          - Without it, the first that exists of V(uv.lock), V(requirements.txt), V(pyproject.toml), V(setup.py).
          - A V(pyproject.toml) that only configures tools does not count. Lock files of others than uv are not read.
          - An empty list installs nothing but O(apps[].packages).
        type: list
        elements: str
      packages:
        description: Further requirements to install.
        type: list
        elements: str
        default: []
      index_url:
        description: Package index; see O(index_url).
        type: str
      ca_bundle:
        description: Certificates to trust; see O(ca_bundle).
        type: path
      wheel_dir:
        description: Directory of wheels; see O(wheel_dir).
        type: path
      gunicorn_requirement:
        description: Requirement for gunicorn; see O(gunicorn_requirement).
        type: str
      build_timeout:
        description: Seconds that one command of a build may take; see O(build_timeout).
        type: int
      source_max_mib:
        description: MiB that the source may have when it is unpacked; see O(source_max_mib).
        type: int
        version_added: 1.1.0
      build_environment:
        description:
          - Environment variables of the build - installers, the build scripts of packages and C(hooks.build) see them.
          - They are part of the release's id, so another value builds another release.
          - A build sees nothing else of the task's environment but proxies, certificates and the locale.
        type: dict
        default: {}
        version_added: 1.1.0
      build_secrets:
        description:
          - The same for values that are secret, as a token; requirements may name it as V(${TOKEN}).
          - They are not part of the release's id. They are in no output, and in no file after the build, which has
            directories and caches of its own for that. A build that writes one into the release is refused.
        type: dict
        default: {}
        version_added: 1.1.0
      build_with_deploy_key:
        description:
          - Whether git uses O(apps[].deploy_key) for private dependencies (C(git+ssh://)), too. Build scripts of
            packages can read it then, as long as they run.
        type: bool
        default: false
        version_added: 1.1.0
      environment:
        description:
          - Environment variables of the application.
          - Variables that overrule the release, such as C(GUNICORN_CMD_ARGS), are refused.
        type: dict
        default: {}
      secrets:
        description:
          - Environment variables whose values are secret. They are in the same file as the others, which only root
            and the application's group can read; in errors their values are masked.
        type: dict
        default: {}
      shared:
        description:
          - Directories, relative to the application, that outlive releases - uploads, a SQLite file, or V(instance),
            which is Flask's instance folder and the default. They are in C(<root>/<name>/shared) and belong to the
            user.
          - What the source has in such a directory is copied there once, when the shared directory is empty.
        type: list
        elements: str
      trusted_hops:
        description: Number of proxies in front whose C(X-Forwarded-*) headers are believed; 1 is nginx on this host.
        type: int
        default: 1
      host_header:
        description: Header that holds the host name that the visitor asked for, if it is not C(Host).
        type: str
        default: ""
      keep:
        description: How many releases to keep; see O(keep).
        type: int
      rename_from:
        description:
          - The name that the application had before. Its data moves to the new name, while the old name serves.
          - The user stays that of the former name, unless C(user) says otherwise, so leave this set afterwards.
          - The playbook C(site) publishes the new name and then removes the old one.
        type: str
        version_added: 1.1.0
      domains:
        description: Host names of the application. The first is what the health gate asks for.
        type: list
        elements: str
        default: []
      gunicorn:
        description: Settings of the application server; see role P(flaskops.stack.gunicorn#role).
        type: dict
        default: {}
      hooks:
        description:
          - Commands that belong to the release, each one text, split into words as a shell would do it, or a list of
            words. No shell is involved. They run in the release's C(app) directory as O(apps[].user), with the
            application's environment, the programs of the virtualenv first in C(PATH), and C(FLASK_APP),
            C(FLASKOPS_RELEASE) and C(FLASKOPS_PREVIOUS) set.
          - That the program of each exists is seen before the release is complete.
        type: dict
        default: {}
        suboptions:
          build:
            description:
              - Run while the release is built, may write into C(app), for example to make assets. When one fails there
                is no release. A change of the environment runs them again.
              - A link that one of them leaves and that leads out of the release is refused.
            type: list
            elements: raw
            default: []
          migrate:
            description:
              - Change the database. Run by M(flaskops.stack.gunicorn_service) once per run of Ansible and release, on
                the first host that is about to start it, while all others wait; when it fails no host starts it.
              - A host that knows that its release was migrated does not repeat that, one that is new does. So it has
                to be repeatable, as the migrations of Alembic are, and the release that still serves has to get along
                with its result.
            type: list
            elements: raw
            default: []
          migrate_each_host:
            description: Whether each host has a database of its own, and has to migrate it.
            type: bool
            default: false
          before_switch:
            description: >-
              Run when the release has proved its health and gets no traffic yet. When one fails it is refused.
            type: list
            elements: raw
            default: []
          after_switch:
            description:
              - Run when it serves and the old release has ended. When one fails the task fails, too, but the release
                goes on serving.
            type: list
            elements: raw
            default: []
          rollback:
            description:
              - >-
                Lists of commands by name, such as C({migrate_down: [flask db downgrade 3f2a]}). None of them runs
                unless a rollback from this release asks for it by its name
                (O(flaskops.stack.gunicorn_service#module:services[].hook)).
              - It runs in this release, which has the code for it, once the release before serves and this one has
                ended, on the last host of the run that has gone back, or on each with
                O(apps[].hooks.migrate_each_host). When it fails the release before goes on serving, and the task fails.
              - The next deploy migrates again.
            type: dict
            default: {}
          timeout:
            description: Seconds that one command may take.
            type: int
            default: 900
      workers:
        description:
          - Processes that work beside the web, such as those of Celery or RQ. They belong to the release - they
            have its code, environment, user and sandbox, start after the switch to it, and the old ones get
            SIGTERM, take nothing new and finish what they have begun. One that ends is started again.
          - When one of them does not stay up, the release is switched back from.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Name, part of the unit's name C(<app>@<release>.worker-<name>.<n>.service).
            type: str
            required: true
          command:
            description: >-
              What runs, a text that is split into words as a shell would do it, or a list of words. No shell is
              involved. The programs of the virtualenv come first. It is in a unit file that everybody can read, so
              no secret belongs here.
            type: raw
            required: true
          count:
            description: How many of it run.
            type: int
            default: 1
          stop_timeout:
            description: Seconds it has to finish what it has begun after it was told to end; it is killed then.
            type: int
            default: 60
          memory_max:
            description: Memory, such as V(512M), at which one is killed; empty for no limit.
            type: str
            default: ""
          cpu_quota:
            description: CPU time of one, V(150%) for one and a half CPUs; empty for no limit.
            type: str
            default: ""
      timers:
        description:
          - Commands that systemd starts at certain times, from the current release only. A job that runs when the
            release changes is finished by the old one, and the new one's waits for that.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Name, part of the units' names C(<app>@<release>.timer-<name>.timer) and C(.service).
            type: str
            required: true
          command:
            description: What runs, as for a worker.
            type: raw
            required: true
          schedule:
            description: >-
              When, as a calendar event of systemd.time(7), such as V(daily), V(Mon..Fri 06:30) or V(*:0/15), in the
              host's time zone. C(systemd-analyze calendar) explains one.
            type: str
            required: true
          persistent:
            description: Whether a run that was missed, because the host was off or the release changed, is made up for.
            type: bool
            default: true
          random_delay:
            description: At most so many seconds later, by chance, so that not all hosts begin at once.
            type: int
            default: 0
          timeout:
            description: Seconds that a run may take; it is ended then.
            type: int
            default: 3600
      nginx:
        description: Settings of the site. Nothing here depends on them.
        type: dict
        default: {}
  state:
    description:
      - V(present) builds what is missing.
      - V(absent) removes releases, V(current) and the cache of each application. Stop its services first.
    type: str
    choices: [present, absent]
    default: present
  purge_data:
    description: With O(state=absent), removes the shared directories and the user as well.
    type: bool
    default: false
  serve:
    description:
      - Whether the releases are handed over to in the same task, as M(flaskops.stack.gunicorn_service) does.
      - Half the time of a deploy without new dependencies is the start of tasks; this saves one.
      - The start of the release proves that the application can be loaded; why one cannot be is found out afterwards.
        That of one with O(apps[].hooks.migrate) proves it in any case, after the hooks have run.
    type: bool
    default: false
  overlap:
    description:
      - With O(serve), what to do when the host has too little memory to run the new release beside the one that serves,
        as O(flaskops.stack.gunicorn_service#module:overlap) says.
    type: str
    choices: [refuse, fallback, always, never]
    default: refuse
  site_defaults:
    description: >-
      With O(serve), defaults of the sites that publish the applications, as
      O(flaskops.stack.nginx#role:main:nginx_site_defaults). What a site leaves open decides how a new release is asked
      through nginx, as O(flaskops.stack.gunicorn_service#module:services[].site) says.
    type: dict
    default: {}
  probe_sites:
    description: With O(serve), whether new releases are asked through nginx.
    type: bool
    default: true
  activate:
    description: Points C(current) to the release at once, for use without M(flaskops.stack.gunicorn_service).
    type: bool
    default: false
  root:
    description: Directory in which each application has one of its own.
    type: path
    default: /srv
  python:
    description: >-
      Python of applications that name none - a version (V(3.12)), a program or its path. It must be on the host.
    type: str
    default: python3
  installer:
    description: Installer of applications that name none. V(pip) is the one that comes with their Python.
    type: str
    choices: [uv, pip]
    default: uv
  uv_requirement:
    description: Requirement by which C(uv) is installed, once per host, or the path of one that is there.
    type: str
    default: uv==0.13.8
  index_url:
    description:
      - Package index of applications that name none. Credentials in it are passed by the environment, never by
        argument.
      - The index of the host's configuration, or PyPI, without it.
    type: str
    default: ""
  ca_bundle:
    description: File of certificates to trust; without it, those that the host trusts.
    type: path
    default: ""
  wheel_dir:
    description: Directory of wheels on the host from which everything is installed, without any index.
    type: path
    default: ""
  gunicorn_requirement:
    description: Requirement by which gunicorn is installed when the application did not bring it.
    type: str
    default: gunicorn>=21.2,<28
  build_timeout:
    description: Seconds that one command of a build may take, for applications that do not say.
    type: int
    default: 1800
  source_max_mib:
    description:
      - MiB that a source may have when it is unpacked, for applications that do not say. Each file counts for 4 KiB at
        least. An archive that unpacks to more is refused before the disk is full.
    type: int
    default: 4096
    version_added: 1.1.0
  keep:
    description: How many releases to keep, for applications that do not say.
    type: int
    default: 5
  lock_timeout:
    description: Seconds to wait for another run that works on the same application.
    type: float
    default: 60
  by:
    description: Set by the action plugin; who asks for it, for those who find the application locked.
    type: str
    default: ""
  sealed:
    description: Set by the action plugin; what must not be shown.
    type: str
  sent:
    description: Set by the action plugin; what it found on the controller.
    type: dict
    default: {}
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
    description: Checks all input, asks git for the revision and computes the ids; builds and sends nothing.
    support: full
  diff_mode:
    description: Shows what the new release's manifest says against that of the current release.
    support: full
seealso:
  - module: flaskops.stack.flask_release_info
  - module: flaskops.stack.gunicorn_service
"""

EXAMPLES = r"""
- name: Build a release from git
  flaskops.stack.flask_release:
    apps:
      - name: shop
        source: https://git.example.com/shop.git
        version: main
        app: shop:create_app()
        environment:
          SHOP_CURRENCY: EUR
        secrets:
          SECRET_KEY: "{{ vault_shop_secret_key }}"

- name: Build two at once, one from a directory beside the playbook, one from the package index
  flaskops.stack.flask_release:
    apps:
      - name: hello
        source: ./hello
        app: hello:create_app()
      - name: httpbin
        source: httpbin==0.10.2
        app: httpbin:app
        gunicorn:
          worker_class: gevent

- name: Install from a private index only, by pip
  flaskops.stack.flask_release:
    installer: pip
    index_url: https://{{ index_user }}:{{ index_token }}@pypi.example.com/simple
    ca_bundle: /usr/local/share/ca-certificates/example.crt
    apps: "{{ flask_apps }}"

- name: Remove an application but keep its data
  flaskops.stack.flask_release:
    state: absent
    apps:
      - name: shop
"""

RETURN = r"""
unlisted:
  description: Applications that serve on the host and are not in O(apps), but for those that role gunicorn alone runs.
  returned: when the input was right
  type: list
  elements: str
errors:
  description: Why applications could not be built, by name.
  returned: when one could not
  type: dict
releases:
  description:
    - The release of each application, in the order of O(apps), without those that could not be built. Empty with
      O(state=absent).
  returned: when the input was right
  type: list
  elements: dict
  contains:
    name:
      description: Name of the application.
      type: str
      sample: shop
    id:
      description: Name of the release.
      type: str
      sample: 3f2a91c-1b9e02d4
    path:
      description: Directory of the release.
      type: str
      sample: /srv/shop/releases/3f2a91c-1b9e02d4
    former:
      description: The name that the application had before, as long as something is on the host under it; else empty.
      type: str
    built:
      description: Whether it was built by this run; in check mode, whether it would be.
      type: bool
    source:
      description: Where the code came from, without credentials.
      type: str
      sample: https://git.example.com/shop.git
    revision:
      description: Commit, SHA-256 of a directory or archive, or the requirement.
      type: str
      sample: 3f2a91c5a1f1b0a9ddc3a6c1f4a2ab6c9d3e1b77
    seconds:
      description: How long it took.
      type: float
      sample: 4.2
removed:
  description: Names of the applications of which something was removed, with O(state=absent).
  returned: success
  type: list
  elements: str
services:
  description: What became of each service, as M(flaskops.stack.gunicorn_service) returns it.
  returned: with O(serve=true)
  type: list
  elements: dict
ansible_facts:
  description: The releases as a fact.
  returned: with O(state=present)
  type: dict
  contains:
    flask_releases:
      description: The same as RV(releases).
      type: list
      elements: dict
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host_code import CODE_SPEC, work
from ..module_utils._input.release_defaults import HOOK_TIMEOUT, STAGES, TIMER_DEFAULTS, WORKER_DEFAULTS

_TYPES = {bool: "bool", int: "int", str: "str"}


def process_spec(defaults: t.Mapping[str, object], *required: str) -> dict[str, t.Any]:
    """Return the argument spec of a worker or a timer."""
    return {
        "name": {"type": "str", "required": True},
        "command": {"type": "raw", "required": True},
        **{key: {"type": "str", "required": True} for key in required},
        **{key: {"type": _TYPES[type(default)], "default": default} for key, default in defaults.items()},
    }


APP_SPEC: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "source": {"type": "str"},
    "source_type": {"type": "str", "choices": ["auto", "git", "directory", "archive", "pypi"], "default": "auto"},
    "version": {"type": "str", "default": ""},
    "subdirectory": {"type": "str", "default": ""},
    "checksum": {"type": "str", "default": ""},
    # The action plugin hides the values of these: as no_log they would be cut out of every path that contains one.
    "deploy_key": {"type": "str", "no_log": False},
    "known_hosts": {"type": "str", "default": ""},
    "app": {"type": "str"},
    "user": {"type": "str"},
    "group": {"type": "str"},
    "python": {"type": "str"},
    "installer": {"type": "str", "choices": ["uv", "pip"]},
    "requirements": {"type": "list", "elements": "str"},
    "packages": {"type": "list", "elements": "str", "default": []},
    "index_url": {"type": "str"},
    "ca_bundle": {"type": "path"},
    "wheel_dir": {"type": "path"},
    "gunicorn_requirement": {"type": "str"},
    "build_timeout": {"type": "int"},
    "source_max_mib": {"type": "int"},
    "build_environment": {"type": "dict", "default": {}},
    "build_secrets": {"type": "dict", "default": {}, "no_log": False},
    "build_with_deploy_key": {"type": "bool", "default": False},
    "environment": {"type": "dict", "default": {}},
    "secrets": {"type": "dict", "default": {}, "no_log": False},
    "shared": {"type": "list", "elements": "str"},
    "trusted_hops": {"type": "int", "default": 1},
    "host_header": {"type": "str", "default": ""},
    "keep": {"type": "int"},
    "rename_from": {"type": "str"},
    "domains": {"type": "list", "elements": "str", "default": []},
    "gunicorn": {"type": "dict", "default": {}},
    "hooks": {
        "type": "dict",
        "default": {},
        "options": {
            **{stage: {"type": "list", "elements": "raw", "default": []} for stage in STAGES},
            "rollback": {"type": "dict", "default": {}},
            "migrate_each_host": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": HOOK_TIMEOUT},
        },
    },
    "workers": {"type": "list", "elements": "dict", "default": [], "options": process_spec(WORKER_DEFAULTS)},
    "timers": {"type": "list", "elements": "dict", "default": [], "options": process_spec(TIMER_DEFAULTS, "schedule")},
    "nginx": {"type": "dict", "default": {}},
}

SPEC: dict[str, t.Any] = {
    "apps": {"type": "list", "elements": "dict", "required": True, "options": APP_SPEC},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "purge_data": {"type": "bool", "default": False},
    "activate": {"type": "bool", "default": False},
    "serve": {"type": "bool", "default": False},
    "overlap": {"type": "str", "choices": ["refuse", "fallback", "always", "never"], "default": "refuse"},
    "root": {"type": "path", "default": "/srv"},
    "python": {"type": "str", "default": "python3"},
    "installer": {"type": "str", "choices": ["uv", "pip"], "default": "uv"},
    "uv_requirement": {"type": "str", "default": "uv==0.13.8"},
    "index_url": {"type": "str", "default": ""},
    "ca_bundle": {"type": "path", "default": ""},
    "wheel_dir": {"type": "path", "default": ""},
    "gunicorn_requirement": {"type": "str", "default": "gunicorn>=21.2,<28"},
    "build_timeout": {"type": "int", "default": 1800},
    "source_max_mib": {"type": "int", "default": 4096},
    "keep": {"type": "int", "default": 5},
    "lock_timeout": {"type": "float", "default": 60},
    "by": {"type": "str", "default": ""},
    **CODE_SPEC,
    "sealed": {"type": "str", "no_log": True},
    "sent": {"type": "dict", "default": {}},
    "expected": {"type": "dict", "default": {}},
    "run": {"type": "str", "default": ""},
    "site_defaults": {"type": "dict", "default": {}},
    "probe_sites": {"type": "bool", "default": True},
}


def main() -> None:
    """Run the module."""
    # What is made here has to be open to the application or to nginx, also on hosts where root's own files are not.
    os.umask(0o022)
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    work(module, "_entrypoints.flask_release")


if __name__ == "__main__":
    main()
