#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Publish nginx sites in one validated and proved transaction."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: nginx_site
short_description: Publish nginx sites in one validated and proved transaction
version_added: 1.0.0
author:
  - flaskops maintainers (@flaskops)
description:
  - Enables, changes, disables, renames and removes any number of nginx sites in one transaction.
  - The complete configuration that nginx would read afterwards is validated in isolation B(before) anything is
    changed. Nothing that nginx or another program could load ever contains an untested line, and the test does not
    touch logs, caches, sockets or the pid file of the running server. Check mode validates just as fully.
  - A site's content is kept as C(<directory_available>/<name>@<12 hex digits of its SHA-256>), and the symbolic link
    C(<directory_enabled>/<name><suffix>) goes from one version to the next by one C(rename(2)).
  - nginx is reloaded, and the reload is proved by new worker processes that replace the old ones. When nginx could not
    load the new configuration (a port is taken, a certificate cannot be read, a limit), the previous links and files
    come back and the task fails with nginx's own words.
  - A run that was killed between the swap and the reload is completed by the next one, although nothing on disk
    differs any more. In the same way a certificate that was renewed under its old name, or an included file that was
    changed, is loaded by the next run unless somebody has reloaded nginx in the meantime.
  - Only links whose target has the form above are the module's own; everything else is left alone unless O(foreign)
    says otherwise.
requirements:
  - nginx 1.18 or newer on the host
  - C(unshare) and C(mount) of util-linux, for the better of the two ways to validate
attributes:
  check_mode:
    support: full
    description:
      - Validates as a real run does and changes nothing. A host without nginx gives a warning instead of a
        validation.
  diff_mode:
    support: full
    description: Shows the content that nginx reads before and after, and the targets of links.
options:
  name:
    description:
      - Name of a single site; letters, digits, C(.), C(-) and C(_), at most 64, the first one not C(.).
      - For several sites in one transaction use O(sites).
    type: str
  state:
    description:
      - V(enabled) links the site, V(disabled) removes the link and keeps the versions, V(absent) removes both.
    type: str
    choices: [enabled, disabled, absent]
    default: enabled
  content:
    description:
      - Configuration of the site, usually an C(upstream) and a C(server) block.
      - A site that is enabled without O(content), O(src) or O(template) takes the version that was linked last.
    type: str
  src:
    description: Absolute path, on the host, of a file with the site's configuration.
    type: path
  template:
    description:
      - Path, on the controller, of a Jinja2 template; it is looked for and rendered as M(ansible.builtin.template)
        would do it.
    type: str
  version:
    description:
      - Go back to a kept version. The 12 hexadecimal digits in its name, or V(previous) for the one that was linked
        before the present one.
      - V(previous) names another version on each run.
    type: str
  foreign:
    description:
      - What to do when the site's place is taken by a link or file that this module did not make.
      - V(refuse) fails. V(unmodified) acts only when it is exactly what a Debian package has installed and otherwise
        leaves it alone, with a warning. V(replace) takes the place over; the target of a link is not touched, a
        regular file is kept as a version of the site.
    type: str
    choices: [refuse, unmodified, replace]
    default: refuse
  rename_from:
    description: Former name of the site; its link goes in the same transaction.
    type: str
  sites:
    description: Sites to publish in one transaction; all become visible, or none does.
    type: list
    elements: dict
    suboptions:
      name:
        description: See O(name).
        type: str
        required: true
      state:
        description: See O(state).
        type: str
        choices: [enabled, disabled, absent]
        default: enabled
      content:
        description: See O(content).
        type: str
      src:
        description: See O(src).
        type: path
      template:
        description: See O(template).
        type: str
      version:
        description: See O(version).
        type: str
      foreign:
        description: See O(foreign).
        type: str
        choices: [refuse, unmodified, replace]
        default: refuse
      rename_from:
        description: See O(rename_from).
        type: str
      chain:
        description:
          - How visitors reach an application of role P(flaskops.stack.gunicorn#role) by this site, in the form of
            O(flaskops.stack.gunicorn_service#module:services[].site).
          - With it, when something has changed, the application is asked through nginx, with forged C(X-Forwarded)
            headers, and the task fails if it believes them. The site stays published then.
        type: dict
  files:
    description:
      - Further files of nginx's tree, such as C(nginx.conf) or snippets, that take part in the same transaction.
      - Their earlier contents are kept below C(/var/lib/flaskops/nginx_site).
    type: list
    elements: dict
    suboptions:
      path:
        description:
          - Absolute path of the file.
          - A name without a directory is that of a shared file, which sites need. It is put where O(config) includes
            such files, which is C(/etc/nginx/conf.d) nearly everywhere.
        type: path
        required: true
      state:
        description: Whether there is to be such a file.
        type: str
        choices: [present, absent]
        default: present
      content:
        description: Content of the file.
        type: str
      src:
        description: Absolute path, on the host, of a file with the content.
        type: path
      template:
        description: Path, on the controller, of a Jinja2 template.
        type: str
      mode:
        description: Permissions as an octal string. A file that exists keeps its own unless this is set.
        type: str
  purge:
    description: Remove all sites that this module made and that are not listed; never anybody else's.
    type: bool
    default: false
  strict:
    description: Refuse a configuration of which nginx, or this module, warns.
    type: bool
    default: false
  tolerate:
    description:
      - Kinds of mistakes that are warned of instead of refused. Mistakes that were there before the change are only
        warned of in any case.
    type: list
    elements: str
    choices:
      - duplicate_server_name
      - duplicate_default_server
      - mixed_tls
      - certificate_expired
      - certificate_names
      - socket_clash
      - socket_in_use
    default: []
  directory_available:
    description: Directory of the versions; nginx must not read it.
    type: path
    default: /etc/nginx/sites-available
  directory_enabled:
    description:
      - Directory of the links; an C(include) of nginx's configuration must match it.
      - By default C(/etc/nginx/sites-enabled), where O(config) includes that, otherwise another one that it includes.
      - With a shared file (see O(files[].path)), and where O(config) includes no C(sites-enabled) after C(conf.d),
        C(/etc/nginx/flaskops-sites), which the shared file then includes.
    type: path
  suffix:
    description:
      - What the names of links end with, for example V(.conf) for C(include /etc/nginx/conf.d/*.conf).
      - By default what O(config) includes; empty when O(directory_enabled) is given.
    type: str
  binary:
    description: nginx's binary, a name in C(PATH) or an absolute path.
    type: str
    default: nginx
  config:
    description: nginx's main configuration file. It also tells one nginx on a host from another.
    type: path
    default: /etc/nginx/nginx.conf
  prefix:
    description:
      - Directory from which nginx takes relative paths, when it is started with the option C(-p), as OpenResty's
        documentation does it. By default the compiled-in one.
    type: path
    version_added: 1.1.0
  service:
    description:
      - systemd unit of nginx, used to find its process and log when pid file and error log do not help.
      - nginx need not be under systemd.
    type: str
    default: nginx
  owner:
    description: Owner of the files that are written.
    type: str
    default: root
  group:
    description: Group of the files that are written.
    type: str
    default: root
  mode:
    description: Permissions of versions, as an octal string.
    type: str
    default: '0644'
  keep:
    description: How many versions of a site, and earlier contents of a file, are kept.
    type: int
    default: 5
  lock_timeout:
    description: Seconds to wait for another run that changes the same nginx.
    type: int
    default: 60
  reload_timeout:
    description:
      - Seconds within which new workers must have replaced the old ones.
      - Before that, a load that somebody else has asked for is waited for, as long.
    type: int
    default: 30
  start:
    description:
      - Whether an nginx that does not run is started, with systemd, when something changes. When it does not start, the
        previous links and files come back and the task fails with nginx's own words.
    type: bool
    default: false
    version_added: 1.1.0
notes:
  - A stopped nginx is started only with O(start); the result says so.
  - Where mounts are not allowed (an unprivileged container) the configuration is validated in a shadow tree;
    RV(validation.method) says which way was taken.
seealso:
  - module: flaskops.stack.nginx_site_info
"""

EXAMPLES = r"""
- name: Publish a site
  flaskops.stack.nginx_site:
    name: shop
    content: |
      server {
        listen 80;
        server_name shop.example.com;
        location / { proxy_pass http://unix:/srv/shop/current/run/0.sock; }
      }

- name: Publish two sites from templates and remove those of ours that are not listed, in one transaction
  flaskops.stack.nginx_site:
    sites:
      - name: shop
        template: shop.conf.j2
      - name: blog
        template: blog.conf.j2
    purge: true

- name: Go back to the version that was linked before
  flaskops.stack.nginx_site:
    name: shop
    version: previous

- name: Rename a site
  flaskops.stack.nginx_site:
    name: store
    rename_from: shop

- name: Switch off Debian's default page, unless somebody has changed it
  flaskops.stack.nginx_site:
    name: default
    state: disabled
    foreign: unmodified

- name: Change nginx.conf and a site together on a host with the packages of nginx.org
  flaskops.stack.nginx_site:
    directory_available: /etc/nginx/sites-available
    directory_enabled: /etc/nginx/conf.d
    suffix: .conf
    files:
      - path: /etc/nginx/nginx.conf
        template: nginx.conf.j2
    sites:
      - name: shop
        template: shop.conf.j2
"""

RETURN = r"""
sites:
  description: The sites that were asked for, those purged, and former names.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the site.
      type: str
      sample: shop
    state:
      description: V(enabled), V(disabled), V(absent), or V(foreign) for one that was left alone.
      type: str
      sample: enabled
    previous:
      description: Target of the link before the change; null when there was none.
      type: str
      sample: /etc/nginx/sites-available/shop@3f2a91c01b9e
    current:
      description: Target of the link after the change; null when there is none.
      type: str
      sample: /etc/nginx/sites-available/shop@8d0c2f4a6b1e
files:
  description: The further files that were asked for.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path of the file.
      type: str
      sample: /etc/nginx/nginx.conf
    changed:
      description: Whether it was, or would be, changed.
      type: bool
      sample: false
validation:
  description: How the future configuration was validated.
  returned: success
  type: dict
  contains:
    method:
      description:
        - V(namespace) means that the real paths were used, with the candidates mounted over them. V(shadow) means
          that a rewritten copy was used. V(none) means that nothing changes, or that nginx is absent in check mode.
      type: str
      sample: namespace
    seconds:
      description: How long it took.
      type: float
      sample: 0.031
    output:
      description: What nginx said.
      type: str
      sample: ''
    reason:
      description: Why not in the better way.
      type: str
      sample: ''
reload:
  description: Proof of the reload.
  returned: success
  type: dict
  contains:
    performed:
      description: Whether nginx was told to reload, or was started (O(start)).
      type: bool
      sample: true
    proved:
      description: Whether workers of the new configuration have replaced the old ones.
      type: bool
      sample: true
    reason:
      description: Why there was no reload.
      type: str
      sample: ''
    old_workers:
      description: Process ids of the workers before.
      type: list
      elements: int
      sample: [811, 812]
    new_workers:
      description: Process ids of the workers of the new configuration.
      type: list
      elements: int
      sample: [951, 952]
in_place:
  description: Whether everything already was as wanted. Unlike C(changed), C(changed_when) leaves it alone.
  returned: success
  type: bool
  sample: true
pending:
  description:
    - Whether a reload was still owed, because an earlier run had died or because of files in RV(unloaded).
  returned: success
  type: bool
  sample: false
unloaded:
  description:
    - Files that our sites make nginx load (their own, included ones, certificates, keys), or that are in O(files), and
      that somebody has changed since nginx loaded them. They are loaded now.
    - Empty when nginx is told to load for another reason.
  returned: success
  type: list
  elements: str
  sample: [/etc/letsencrypt/live/shop/fullchain.pem]
diff:
  description: What changes for nginx, one entry for each path; empty outside of diff mode.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import grp
import os
import pwd
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._input.printable import printable, printable_result
from ..module_utils._nginx.layout import Places
from ..module_utils._nginx.model import Layout, SiteError
from ..module_utils._nginx.policy import KINDS, Policy, ReloadError
from ..module_utils._nginx.request import Request, find_places_of, wanted_files, wanted_sites
from ..module_utils._nginx.transaction import manage
from ..module_utils._release.proxy_probe import probe_sites
from ..module_utils._system.command import CommandError

_SITE: dict[str, t.Any] = {
    "name": {"type": "str"},
    "state": {"type": "str", "choices": ["enabled", "disabled", "absent"], "default": "enabled"},
    "content": {"type": "str"},
    "src": {"type": "path"},
    "template": {"type": "str"},
    "version": {"type": "str"},
    "foreign": {"type": "str", "choices": ["refuse", "unmodified", "replace"], "default": "refuse"},
    "rename_from": {"type": "str"},
}
_FILE: dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "content": {"type": "str"},
    "src": {"type": "path"},
    "template": {"type": "str"},
    "mode": {"type": "str"},
}
_SOURCES = [
    ("content", "src"),
    ("src", "template"),
    ("version", "content"),
    ("version", "src"),
    ("version", "template"),
]
SPEC: dict[str, t.Any] = {
    **_SITE,
    "sites": {
        "type": "list",
        "elements": "dict",
        "options": {**_SITE, "name": {"type": "str", "required": True}, "chain": {"type": "dict"}},
        "mutually_exclusive": _SOURCES,
    },
    "files": {"type": "list", "elements": "dict", "options": _FILE, "mutually_exclusive": _SOURCES[:2]},
    "purge": {"type": "bool", "default": False},
    "strict": {"type": "bool", "default": False},
    "tolerate": {"type": "list", "elements": "str", "choices": list(KINDS), "default": []},
    "directory_available": {"type": "path", "default": "/etc/nginx/sites-available"},
    "directory_enabled": {"type": "path"},
    "suffix": {"type": "str"},
    "binary": {"type": "str", "default": "nginx"},
    "config": {"type": "path", "default": "/etc/nginx/nginx.conf"},
    "prefix": {"type": "path"},
    "service": {"type": "str", "default": "nginx"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "default": "0644"},
    "keep": {"type": "int", "default": 5},
    "lock_timeout": {"type": "int", "default": 60},
    "reload_timeout": {"type": "int", "default": 30},
    "start": {"type": "bool", "default": False},
}


def layout_of(params: t.Mapping[str, t.Any], places: Places) -> Layout:
    """Return the layout; raise SiteError for an owner, group or mode that is none."""
    try:
        uid, gid = pwd.getpwnam(params["owner"]).pw_uid, grp.getgrnam(params["group"]).gr_gid
        mode = int(params["mode"], 8)
    except (KeyError, ValueError) as exc:
        raise SiteError(f"owner, group and mode must be known and octal: {exc}") from exc
    if params["keep"] < 1:
        raise SiteError(f"keep {params['keep']} must be 1 or more: the version that nginx reads is one of them")
    sites = places.chosen(params["directory_enabled"], params["suffix"])
    available = os.path.normpath(params["directory_available"])
    return Layout(available, sites.directory, sites.suffix, params["keep"], mode, uid, gid)


def request_of(params: t.Mapping[str, t.Any], check: bool, diff: bool) -> Request:
    """Return what a call of the module asks for."""
    places = find_places_of(params)
    layout = layout_of(params, places)
    sites, origins = wanted_sites(params, layout)
    policy = Policy(frozenset(params["tolerate"]), params["strict"], origins)
    return Request(
        layout,
        params["binary"],
        os.path.normpath(params["config"]),
        params["prefix"] or "",
        sites,
        wanted_files(params, places),
        params["purge"],
        params["service"],
        policy,
        params["lock_timeout"],
        params["reload_timeout"],
        check,
        diff,
        params["start"],
    )


def main() -> None:
    """Run the module."""
    # What is made here has to be open to the application or to nginx, also on hosts where root's own files are not.
    os.umask(0o022)
    module = AnsibleModule(
        SPEC,
        mutually_exclusive=[("name", "sites"), *_SOURCES],
        required_one_of=[("name", "sites", "files")],
        supports_check_mode=True,
    )
    try:
        result = manage(request_of(module.params, module.check_mode, module._diff))
    except (SiteError, ReloadError, CommandError, OSError) as exc:
        remedy = "; the play needs 'become: true'" if isinstance(exc, PermissionError) and os.geteuid() != 0 else ""
        module.fail_json(msg=printable(f"Cannot manage nginx's sites: {exc}{remedy}"))
    probed = result["changed"] and not module.check_mode
    wrong, unknown = probe_sites(module.params["sites"] or [] if probed else [])
    result = printable_result(result)
    for warning in [*result.pop("warnings"), *map(printable, unknown)]:
        module.warn(warning)
    if wrong:
        module.fail_json(msg=printable("\n".join(wrong)), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
