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
  - The complete future configuration of nginx is validated in isolation B(before) anything is changed. No program
    ever finds an untested line where nginx reads it, and the test does not touch the logs, caches, sockets and the
    pid file of the running server. Check mode validates just as fully.
  - The content of a site is kept as C(<directory_available>/<name>@<12 hex digits of its SHA-256>). The symbolic link
    C(<directory_enabled>/<name><suffix>) is switched from one version to the next by one C(rename(2)).
  - nginx is reloaded, and the reload is proved by new worker processes that replace the old ones. When nginx cannot
    load the new configuration (a port is taken, a certificate cannot be read, a limit), the previous links and files
    are restored and the task fails with the error of nginx.
  - When a run was killed between the switch and the reload, the next run completes it, although nothing on disk
    differs. In the same way, a certificate that was renewed under its old name, or an included file that was changed,
    is loaded by the next run, unless nginx was reloaded in the meantime.
  - Only links whose target has the form above belong to this module. Everything else is left alone, unless O(foreign)
    allows it.
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
extends_documentation_fragment:
  - flaskops.stack._host_code
# begin options: written by `make specs` from tools/specs/schema/
options:
  name:
    description:
      - Name of a single site - letters, digits, C(.), C(-) and C(_), at most 64, not beginning with C(.).
      - To publish several sites in one transaction use O(sites).
    type: str
  state:
    description: >-
      V(enabled) publishes the site. V(disabled) removes its link and keeps its versions. V(absent) removes both.
    type: str
    choices: [enabled, disabled, absent]
    default: enabled
  content:
    description:
      - Configuration of the site, usually an C(upstream) and a C(server) block.
      - An enabled site without O(content), O(src) and O(template) gets the version that was linked last.
    type: str
  src:
    description: Absolute path, on the host, of a file with the site's configuration.
    type: path
  template:
    description: >-
      Path, on the controller, of a Jinja2 template. It is found and rendered as M(ansible.builtin.template) does it.
    type: str
  version:
    description:
      - Kept version to return to - the 12 hexadecimal digits in its name, or V(previous) for the version that was
        linked before the current one.
      - V(previous) means another version in each run.
    type: str
  foreign:
    description:
      - What to do when a link or file that this module did not make has the name of the site.
      - V(refuse) fails. V(unmodified) takes its place only when it is exactly what a Debian package has installed,
        and otherwise leaves it alone with a warning. V(replace) takes its place; the target of a link is not touched,
        a regular file is kept as a version of the site.
    type: str
    choices: [refuse, unmodified, replace]
    default: refuse
  rename_from:
    description: Former name of the site. Its link is removed in the same transaction.
    type: str
  sites:
    description: Sites to publish in one transaction. All of them become visible, or none.
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
      passwords:
        description:
          - Password file of the site, with a line C(NAME:HASH) for each user. The hash is one of crypt(3).
          - It becomes C(/etc/nginx/flaskops-passwords/NAME), readable by root and by the group of nginx's workers, in
            the same transaction as the site. It is removed with the site, and when a site with O(sites[].content) has
            none.
        type: str
        version_added: 2.0.0
      further_passwords:
        description: Password files of applications below paths of the site, as O(sites[].passwords).
        type: list
        elements: dict
        version_added: 2.0.0
        suboptions:
          place:
            description: What the name of the file has behind that of the site, such as V(@blog).
            type: str
            required: true
          passwords:
            description: The lines of the file.
            type: str
            required: true
      chain:
        description:
          - How visitors reach an application of role P(flaskops.stack.gunicorn#role) through this site, in the form
            of O(flaskops.stack.gunicorn_service#module:services[].site).
          - When set, and something has changed, a request with forged C(X-Forwarded-*) headers is sent through nginx,
            and the task fails when the application trusts them. The site stays published then.
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
      chains:
        description: As O(sites[].chain), for the applications below paths of the site.
        type: list
        elements: dict
        version_added: 2.0.0
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
      self_signed:
        description:
          - Certificate that the host makes for the site, when there is none yet, when its names have changed or 90
            days before its end. It is signed by itself, for ten years, with a key on the curve P-256.
          - The configuration of the site names C(/etc/flaskops/tls/NAME/current/fullchain.pem) and C(privkey.pem).
            Both are removed with the site, or when neither it nor a kept version of it names them any more. What
            certbot renews for nginx stays. A site is not removed while another one names them. Needs C(openssl).
        type: dict
        version_added: 2.0.0
        suboptions:
          names:
            description: Host names and addresses of the certificate.
            type: list
            elements: str
            required: true
          until_issued:
            description: >-
              Whether a certificate of a CA may take its place. C(current) is left alone when it leads to one for any
              of the names. A site that names other files now, with a valid certificate that is not self-signed, goes
              on with a copy of them.
            type: bool
            default: false
  files:
    description:
      - Further files of nginx, such as C(nginx.conf) or snippets, that are changed in the same transaction.
      - Their former contents are kept below C(/var/lib/flaskops/nginx_site).
    type: list
    elements: dict
    suboptions:
      path:
        description:
          - Absolute path of the file.
          - A name without a directory is that of a shared file, which the sites need. It is written to the directory
            from which O(config) includes such files, usually C(/etc/nginx/conf.d).
        type: path
        required: true
      state:
        description: Whether the file must exist.
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
        description: Permissions as an octal string. When not set, an existing file keeps its own.
        type: str
  metrics:
    description:
      - Whether metrics of all sites of this module and of the applications are collected on the host, for Prometheus.
      - V(textfile) installs a timer that writes a file for Prometheus' node exporter twice a minute. V(none) removes
        it, with what was counted.
      - When not set, it stays as it is.
    type: str
    choices: [none, textfile]
    version_added: 2.0.0
  metrics_directory:
    description: Directory from which the node exporter reads files, for O(metrics). It is created if needed.
    type: path
    default: /var/lib/prometheus/node-exporter
    version_added: 2.0.0
  metrics_root:
    description: Directory that contains one directory per application, for O(metrics).
    type: path
    default: /srv
    version_added: 2.0.0
  acme:
    description: >-
      Options of M(flaskops.stack.nginx_certificate), which obtains certificates of a CA in the same task when the
      sites are published, because another task would cost those who need none a quarter of a second. Its result is in
      RV(certificates), and when it fails the sites stay published. None when empty.
    type: dict
    version_added: 2.0.0
  purge:
    description: >-
      Whether to remove all sites that this module has made and that are not listed. Sites of others are never
      removed.
    type: bool
    default: false
  strict:
    description: Whether to refuse a configuration about which nginx or this module warns.
    type: bool
    default: false
  tolerate:
    description: >-
      Validation errors to report as warnings, by the names that the errors print. Errors that were there before the
      change are always reported as warnings.
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
      - mixed_proxy_protocol
      - certificate_chain
      - certificate_pair
      - key_permissions
      - https_lost
    default: []
  directory_available:
    description: Directory in which the versions of sites are kept. nginx must not include it.
    type: path
    default: /etc/nginx/sites-available
  directory_enabled:
    description:
      - Directory of the links to enabled sites. An C(include) of nginx's configuration must match it.
      - By default C(/etc/nginx/sites-enabled) when nginx's configuration includes it, otherwise another directory
        that it includes.
      - With a shared file (see O(flaskops.stack.nginx_site#module:files[].path)), and when the configuration does not
        include C(sites-enabled) after C(conf.d), C(/etc/nginx/flaskops-sites), which the shared file then includes.
    type: path
  suffix:
    description:
      - Suffix of the names of links, for example V(.conf) for C(include /etc/nginx/conf.d/*.conf).
      - By default the one that nginx's configuration includes; empty when O(directory_enabled) is set.
    type: str
  binary:
    description: Program of nginx, as a name in C(PATH) or an absolute path.
    type: str
    default: nginx
  config:
    description: Main configuration file of nginx. It also identifies one of several nginx servers on a host.
    type: path
    default: /etc/nginx/nginx.conf
  prefix:
    description: >-
      Directory to which nginx's relative paths refer, when nginx is started with the option C(-p), as in the
      documentation of OpenResty. By default the compiled-in one.
    type: path
    version_added: 2.0.0
  service:
    description:
      - systemd unit of nginx. It is used to find the process and the log of nginx when the pid file and the error log
        do not help.
      - nginx need not run under systemd.
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
    description: Permissions of versions, as an octal string in quotes. They give nobody more than the owner.
    type: str
    default: "0644"
  keep:
    description: Number of versions of a site, and of former contents of a file, to keep.
    type: int
    default: 5
  lock_timeout:
    description: Seconds to wait for another run that changes the same nginx.
    type: int
    default: 60
  reload_timeout:
    description:
      - Seconds within which new worker processes must have replaced the old ones after a reload.
      - Before that, a reload that another program has started is waited for, for the same time. When a change is
        reverted, nginx has this time once more.
    type: int
    default: 30
  start:
    description: >-
      Whether to start an nginx that does not run, with systemd, when something changes. When it does not start, the
      previous links and files are restored and the task fails with the error of nginx.
    type: bool
    default: false
    version_added: 2.0.0
# end options
notes:
  - A stopped nginx is started only with O(start); the result says so.
  - When mounts are not allowed (an unprivileged container) the configuration is validated in a shadow tree;
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

- name: Switch off Debian's default page, unless it was changed on the host
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
  description: The wanted sites, those that were purged, and former names.
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
  description: The wanted further files.
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
certificates:
  description: The certificates of sites with O(sites[].self_signed).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the site.
      type: str
      sample: shop
    path:
      description: Link to the directory with C(fullchain.pem) and C(privkey.pem).
      type: str
      sample: /etc/flaskops/tls/shop/current
    state:
      description: >-
        V(self_signed), or V(issued) for one of a CA, also where it is that of other files, which the site had before.
        With O(acme) the state that M(flaskops.stack.nginx_certificate) returns, with its C(not_after) and C(error).
      type: str
      sample: self_signed
    changed:
      description: Whether this module has made or copied it, or would do so.
      type: bool
      sample: true
    reason:
      description: Why it was made or copied.
      type: str
      sample: the names of the site have changed
    until_issued:
      description: Whether a certificate of a CA may take its place.
      type: bool
      sample: false
left_certificates:
  description: Sites that are gone, and whose certificates of a CA stay with certbot, which goes on renewing them.
  returned: success
  type: list
  elements: str
  sample: [shop]
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
      description: Output of nginx.
      type: str
      sample: ''
    reason:
      description: Reason why V(namespace) was not used.
      type: str
      sample: ''
reload:
  description: Proof of the reload.
  returned: success
  type: dict
  contains:
    performed:
      description: Whether nginx was reloaded, or started (O(start)).
      type: bool
      sample: true
    proved:
      description: Whether workers of the new configuration have replaced the old ones.
      type: bool
      sample: true
    reason:
      description: Reason why there was no reload.
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
  description: Whether nothing had to be changed. Unlike C(changed), it is not affected by C(changed_when).
  returned: success
  type: bool
  sample: true
pending:
  description:
    - Whether a reload was pending, because an earlier run was killed or because of files in RV(unloaded).
  returned: success
  type: bool
  sample: false
unloaded:
  description:
    - Files that the sites of this module make nginx load (their own, included ones, certificates, keys), or that are in
      O(files), and that were changed since nginx loaded them. They are loaded now.
    - Empty when nginx is reloaded for another reason.
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

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host_code import CODE_SPEC, MaskedLog, work

# begin argument spec: written by `make specs` from tools/specs/schema/
OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str"},
    "state": {"type": "str", "choices": ["enabled", "disabled", "absent"], "default": "enabled"},
    "content": {"type": "str"},
    "src": {"type": "path"},
    "template": {"type": "str"},
    "version": {"type": "str"},
    "foreign": {"type": "str", "choices": ["refuse", "unmodified", "replace"], "default": "refuse"},
    "rename_from": {"type": "str"},
    "sites": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["enabled", "disabled", "absent"], "default": "enabled"},
            "content": {"type": "str"},
            "src": {"type": "path"},
            "template": {"type": "str"},
            "version": {"type": "str"},
            "foreign": {"type": "str", "choices": ["refuse", "unmodified", "replace"], "default": "refuse"},
            "rename_from": {"type": "str"},
            "passwords": {"type": "str", "no_log": True},
            "further_passwords": {
                "type": "list",
                "elements": "dict",
                "no_log": False,
                "options": {
                    "place": {"type": "str", "required": True},
                    "passwords": {"type": "str", "required": True, "no_log": True},
                },
            },
            "chain": {
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
            "chains": {
                "type": "list",
                "elements": "dict",
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
            "self_signed": {
                "type": "dict",
                "options": {
                    "names": {"type": "list", "elements": "str", "required": True},
                    "until_issued": {"type": "bool", "default": False},
                },
            },
        },
        "mutually_exclusive": [
            ("content", "src"),
            ("src", "template"),
            ("version", "content"),
            ("version", "src"),
            ("version", "template"),
        ],
    },
    "files": {
        "type": "list",
        "elements": "dict",
        "options": {
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "content": {"type": "str"},
            "src": {"type": "path"},
            "template": {"type": "str"},
            "mode": {"type": "str"},
        },
        "mutually_exclusive": [("content", "src"), ("src", "template")],
    },
    "metrics": {"type": "str", "choices": ["none", "textfile"]},
    "metrics_directory": {"type": "path", "default": "/var/lib/prometheus/node-exporter"},
    "metrics_root": {"type": "path", "default": "/srv"},
    "acme": {"type": "dict"},
    "purge": {"type": "bool", "default": False},
    "strict": {"type": "bool", "default": False},
    "tolerate": {
        "type": "list",
        "elements": "str",
        "choices": [
            "duplicate_server_name",
            "duplicate_default_server",
            "mixed_tls",
            "certificate_expired",
            "certificate_names",
            "socket_clash",
            "socket_in_use",
            "mixed_proxy_protocol",
            "certificate_chain",
            "certificate_pair",
            "key_permissions",
            "https_lost",
        ],
        "default": [],
    },
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
# end argument spec


# What Ansible checks the arguments by, here or on the controller.
ARGUMENTS: dict[str, t.Any] = {
    "argument_spec": {**OPTIONS, **CODE_SPEC},
    "mutually_exclusive": [("name", "sites"), *OPTIONS["sites"]["mutually_exclusive"]],
    "required_one_of": [("name", "sites", "files")],
}


# mypy does not see the types of AnsibleModule and takes it for Any.
class Module(MaskedLog, AnsibleModule):  # type: ignore[misc]
    """Ansible's module, which keeps all secrets out of the log of the host."""


def main() -> None:
    """Run the module."""
    # What is made here has to be open to the application or to nginx, also on hosts where root's own files are not.
    os.umask(0o022)
    module = Module(**ARGUMENTS, supports_check_mode=True)
    work(module, "_entrypoints.nginx_site")


if __name__ == "__main__":
    main()
