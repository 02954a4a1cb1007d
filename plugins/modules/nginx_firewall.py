#!/usr/bin/python
# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open a host for SSH and for nginx, and nothing else."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_firewall
short_description: Let in SSH and visitors of nginx, and nothing else
version_added: 2.0.0
description:
  - Lets in new connections to SSH, to ports 80 and 443, to every port on which nginx listens, and to what O(allow)
    lists. Other new TCP connections and UDP packets from outside are dropped.
  - With nftables, connections that exist, those that the host makes itself, and its own ones (loopback) stay as they
    are; so do other protocols, such as ICMP, neighbour discovery, VRRP and IPsec, and packets that the host only
    forwards, such as those to containers. With ufw, its own rules decide about these.
  - The ports of SSH are those that C(sshd -T) and sockets of systemd name, those on which it listens at the moment, and
    the one by which Ansible is connected.
  - A change is loaded first, and kept when the controller has connected to the host anew. Otherwise a timer of systemd
    on the host brings the old rules back. nftables keeps the old rules for the next boot until then, too.
  - A firewall that would close a port which others reach today is refused, unless O(allow) or O(close) names the port.
  - Rules of others stay. Where a table of others drops something, it stays dropped; where one lets something in, it is
    dropped all the same unless it is opened here.
author:
  - flaskops maintainers (@flaskops)
extends_documentation_fragment:
  - flaskops.stack._host_code
# begin options: written by `make specs` from tools/specs/schema/
options:
  backend:
    description:
      - The firewall that gets the rules.
      - V(nftables) makes a table of its own, C(inet flaskops), and a unit that loads it at boot,
        C(flaskops-firewall.service).
      - V(ufw) adds rules with the comment C(flaskops), and enables ufw. Its default for incoming connections stays as
        it is where ufw is active already.
      - V(none) removes what this module has made, and disables ufw when this module has enabled it and it has no
        other rules.
    type: str
    choices: [none, nftables, ufw]
    required: true
  ports:
    description: >-
      Ports of sites, such as V(8443/tcp) or V(443/udp). Those on which nginx listens at the moment, and 80 and 443,
      need not be listed.
    type: list
    elements: str
    default: []
  allow:
    description: >-
      What is let in beside SSH and the ports of nginx. An entry without C(port) lets in everything from the networks
      in C(from).
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: Port, or a range of ports such as V(6000-6010).
        type: str
      protocol:
        description: Protocol of the port.
        type: str
        choices: [tcp, udp]
        default: tcp
      from:
        description: Addresses and networks that may connect; all when empty.
        type: list
        elements: str
        default: []
  close:
    description: >-
      Ports that may be closed although others reach them today, such as V(5432) or V(5353/udp); V(all) for all that
      is not opened. Without this, a firewall that would close one is refused with the port and its program.
    type: list
    elements: str
    default: []
  revert_after:
    description: Seconds after which a change is reverted that the controller has not confirmed over a new connection.
    type: int
    default: 60
  confirm:
    description: Set by the action plugin; the change to confirm, and nothing else.
    type: str
    default: ""
# end options
attributes:
  action:
    description: Its part on the controller connects to the host anew to confirm a change.
    support: full
  check_mode:
    description: >-
      Looks at the host, refuses what it would refuse, and shows the rules. Before nftables is installed they are not
      checked by C(nft).
    support: full
  diff_mode:
    description: Shows the file for nftables, or the rules of ufw.
    support: full
seealso:
  - module: flaskops.stack.nginx_site
"""

EXAMPLES = r"""
- name: Let in SSH and visitors
  flaskops.stack.nginx_firewall:
    backend: nftables

- name: Let in the database clients of a network as well, and close the name service
  flaskops.stack.nginx_firewall:
    backend: ufw
    allow:
      - port: 5432
        from: [10.0.0.0/8]
    close: [53]

- name: Remove what the two above have made
  flaskops.stack.nginx_firewall:
    backend: none
"""

RETURN = r"""
backend:
  description: The firewall that has rules of this module now.
  returned: success
  type: str
  sample: nftables
ssh_ports:
  description: The ports that are open for SSH.
  returned: success
  type: list
  elements: int
  sample: [22]
closed:
  description: Ports on which programs listen, and which cannot be reached from outside.
  returned: success
  type: list
  elements: str
  sample: [5432/tcp]
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host_code import CODE_SPEC, work

# begin argument spec: written by `make specs` from tools/specs/schema/
OPTIONS: dict[str, t.Any] = {
    "backend": {"type": "str", "required": True, "choices": ["none", "nftables", "ufw"]},
    "ports": {"type": "list", "elements": "str", "default": []},
    "allow": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "port": {"type": "str"},
            "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
            "from": {"type": "list", "elements": "str", "default": []},
        },
    },
    "close": {"type": "list", "elements": "str", "default": []},
    "revert_after": {"type": "int", "default": 60},
    "confirm": {"type": "str", "default": ""},
}
# end argument spec

SPEC: dict[str, t.Any] = {**OPTIONS, **CODE_SPEC}

# What Ansible checks the arguments by, here or on the controller.
ARGUMENTS: dict[str, t.Any] = {"argument_spec": SPEC}


def main() -> None:
    """Run the module."""
    # systemd warns of unit files that others than root cannot read.
    os.umask(0o022)
    module = AnsibleModule(**ARGUMENTS, supports_check_mode=True)
    work(module, "_entrypoints.nginx_firewall")


if __name__ == "__main__":
    main()
