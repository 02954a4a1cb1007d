#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Obtain certificates of an ACME CA and let nginx serve them."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: nginx_certificate
short_description: Obtain certificates of an ACME CA and let nginx serve them
version_added: 2.0.0
author:
  - flaskops maintainers (@flaskops)
description:
  - Obtains all certificates that are missing or due with the distribution's certbot, and lets nginx serve them with one
    reload. When nothing is due, certbot is not called.
  - Before the CA is asked, each name is looked up, and each of its addresses asked for a file of this host. A name that
    leads elsewhere is an error that names the address; the site keeps what it has, and the others go on.
  - What certbot brings is looked at (names, dates, key) and copied. The whole configuration of nginx is tested with it
    before the link C(/etc/flaskops/tls/<name>/current) is switched by one C(rename(2)). nginx is reloaded, the reload
    is proved, and all is reverted when nginx does not accept it.
  - certbot's timer renews the certificates. Its deploy hook, which this module puts in place, does the same as the
    module. When nginx does not accept a renewed certificate it goes on with the earlier one, also after a restart, and
    C(certbot.service) fails with the reason in the journal.
  - When the CA does not answer or refuses, a certificate that is still valid stays, and the task warns. It fails when a
    site has no valid certificate of a CA. When the CA has said until when it wants no request, it gets none before.
requirements:
  - certbot 1.12 or newer on the host
  - a server of nginx on port 80 that serves C(/.well-known/acme-challenge/) from C(/var/lib/flaskops/_acme)
attributes:
  check_mode:
    support: full
    description: Says what is missing or due. Neither the CA nor the names are asked.
  diff_mode:
    support: full
    description: Shows names and end of the certificate before, and why there will be another one.
extends_documentation_fragment:
  - flaskops.stack._host_code
# begin options: written by `make specs` from tools/specs/schema/
options:
  certificates:
    description: The certificates, one for each site of nginx.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: >-
          Name of the site. certbot keeps the certificate under the same name, and nginx finds it as
          C(/etc/flaskops/tls/<name>/current/fullchain.pem), with its key in C(privkey.pem).
        type: str
        required: true
      names:
        description: >-
          Host names that the certificate is for. Needed with O(state=present). A wildcard such as V(*.example.com)
          needs O(challenge=dns).
        type: list
        elements: str
  state:
    description:
      - V(present) obtains what is missing or due, and lets nginx serve it.
      - V(absent) takes the certificates away from nginx, which serves the stand-in of a site that is still there, and
        makes certbot forget them.
    type: str
    choices: [present, absent]
    default: present
  revoke:
    description: With O(state=absent), whether the CA is told that the certificates are not to be trusted any more.
    type: bool
    default: false
  directory_url:
    description:
      - URL of the CA's directory (RFC 8555). By default that of Let's Encrypt.
      - V(staging) stands for the staging environment of Let's Encrypt, which browsers do not trust and whose limits
        are high. A certificate of another CA than this one is replaced.
    type: str
    default: ""
  email:
    description: Address that the CA may write to. When empty, the account has none.
    type: str
    default: ""
  ca_bundle:
    description: >-
      Path, on the host, of the certificates that a CA of your own is trusted by, beside those of the distribution.
    type: path
  eab_file:
    description:
      - Path, on the host, of the external account that some CAs want, as JSON with C(kid) and C(hmac_key), or as
        lines C(kid = ...) and C(hmac_key = ...).
      - It must be a file that belongs to root and that only root can read (V(0600)). It is read when certbot makes
        its account, and never an argument of a program.
    type: path
  challenge:
    description: >-
      How the CA sees that a name is yours. V(http) asks this host, on port 80, for a file below
      C(/var/lib/flaskops/_acme). V(dns) asks for a record that O(dns_hook) sets.
    type: str
    choices: [http, dns]
    default: http
  dns_hook:
    description:
      - Path, on the host, of a program that sets and removes the record of O(challenge=dns).
      - certbot calls it with V(auth) or V(cleanup) as its argument, and C(CERTBOT_DOMAIN) and C(CERTBOT_VALIDATION)
        in its environment. It returns when the record can be seen.
    type: path
  profile:
    description: >-
      Profile of the CA, such as V(shortlived). It needs certbot 4.0 (Debian 13), and a CA that has it. By default the
      CA decides.
    type: str
    default: ""
  renew_before:
    description:
      - How long before its end a certificate is renewed, by this module and by certbot's timer - days (V(30d)), hours
        (V(48h)) or a share of the lifetime (V(33%)).
      - By default a third of the lifetime, and half of one that is shorter than ten days. More than two thirds are
        taken for two thirds.
    type: str
    default: ""
  check_names:
    description: >-
      Whether to see, with O(challenge=http), that each name leads to this host before the CA is asked, by a file that
      is requested through each of its addresses. Set it to V(false) where a host cannot reach its own public address.
    type: bool
    default: true
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
# end options
seealso:
  - module: flaskops.stack.nginx_site
"""

EXAMPLES = r"""
- name: Obtain the certificates of two sites
  flaskops.stack.nginx_certificate:
    email: ops@example.com
    certificates:
      - name: shop
        names: [shop.example.com, www.shop.example.com]
      - name: blog
        names: [blog.example.com]

- name: Try it with the staging environment of Let's Encrypt
  flaskops.stack.nginx_certificate:
    directory_url: staging
    certificates:
      - name: shop
        names: [shop.example.com]

- name: Obtain a wildcard certificate
  flaskops.stack.nginx_certificate:
    challenge: dns
    dns_hook: /usr/local/sbin/dns-record
    certificates:
      - name: shop
        names: [example.com, "*.example.com"]

- name: Revoke a certificate of which the key is lost
  flaskops.stack.nginx_certificate:
    state: absent
    revoke: true
    certificates:
      - name: shop
"""

RETURN = r"""
certificates:
  description: The certificates.
  returned: always, unless an argument is refused
  type: list
  elements: dict
  contains:
    name:
      description: Name of the site.
      type: str
      sample: shop
    state:
      description:
        - V(issued) when nginx serves a new one since this run, V(kept) when it serves one that is valid.
        - V(stand_in) when it serves none of a CA, in check mode, and V(failed) when it should serve one.
        - V(absent) for one that was removed.
      type: str
      sample: issued
    not_after:
      description: End of the certificate that nginx serves; empty when there is none of a CA.
      type: str
      sample: 2027-02-26 21:54 UTC
    error:
      description: Why there is no new one; empty when all is well.
      type: str
      sample: ''
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host_code import CODE_SPEC, work

# begin argument spec: written by `make specs` from tools/specs/schema/
OPTIONS: dict[str, t.Any] = {
    "certificates": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {"name": {"type": "str", "required": True}, "names": {"type": "list", "elements": "str"}},
    },
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "revoke": {"type": "bool", "default": False},
    "directory_url": {"type": "str", "default": ""},
    "email": {"type": "str", "default": ""},
    "ca_bundle": {"type": "path"},
    "eab_file": {"type": "path"},
    "challenge": {"type": "str", "choices": ["http", "dns"], "default": "http"},
    "dns_hook": {"type": "path"},
    "profile": {"type": "str", "default": ""},
    "renew_before": {"type": "str", "default": ""},
    "check_names": {"type": "bool", "default": True},
    "directory_enabled": {"type": "path"},
    "suffix": {"type": "str"},
}
# end argument spec


# What Ansible checks the arguments by, here or on the controller.
ARGUMENTS: dict[str, t.Any] = {"argument_spec": {**OPTIONS, **CODE_SPEC}}


def main() -> None:
    """Run the module."""
    # What is made here has to be open to nginx, also on hosts where root's own files are not.
    os.umask(0o022)
    module = AnsibleModule(**ARGUMENTS, supports_check_mode=True)
    work(module, "_entrypoints.nginx_certificate")


if __name__ == "__main__":
    main()
