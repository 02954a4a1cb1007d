# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that all applications of a host share: the collection's own, and systemd's. Private to flaskops.stack.

The code that is kept on hosts has its place in C(_host_code), which is sent alone.
"""

from __future__ import annotations

# Gone after a reboot. Names that begin with an underscore belong to no application.
RUN = "/run/flaskops"
# Not in /run/lock: there any user could have the directory first, and hold or remove a file.
LOCKS = f"{RUN}/_locks"
# Readable by root alone: the output of a command may be secret.
HOOK_LOGS = f"{RUN}/_hooks"
# The current step of a build, a file for each application; the user of the connection reads them without root's rights.
PROGRESS = f"{RUN}/_progress"
# A link for each application to the release whose files stay reachable after a deploy.
PREVIOUS = f"{RUN}/previous"

# History of the applications, locks of timers, journal and record of nginx_site.
STATE = "/var/lib/flaskops"
NGINX_STATE = f"{STATE}/nginx_site"

# The administrator's unit directory, and in it, by the kind of a unit, that of the links of units that start at boot.
UNITS = "/etc/systemd/system"
WANTS = {"socket": "sockets.target.wants", "service": "multi-user.target.wants", "timer": "timers.target.wants"}

# Counters of requests and deploys, and how far logs were read.
METRICS_STATE = f"{STATE}/_metrics"
METRICS_UNIT = f"{UNITS}/flaskops-metrics.service"

# What a CA asks for to see that a name leads to this host; served on the port of plain HTTP.
CHALLENGES = f"{STATE}/_acme"

# A directory for each site whose certificate the collection provides. Its link C(current) leads to the certificate that
# nginx loads: that of the CA, or the self-signed one in C(stand-in).
TLS = "/etc/flaskops/tls"
# Failed attempts to get or renew one; names that begin with an underscore belong to no application.
CERTIFICATES = f"{STATE}/_certificates"
# What certbot runs after a renewal, with the code that it needs: runs of Ansible may be months apart.
RENEWAL = "/usr/local/lib/flaskops/renewal"

# Passwords of the sites of nginx, a file for each; its workers read them with each request.
NGINX_PASSWORDS = "/etc/nginx/flaskops-passwords"

# The rules of nginx_firewall for nftables, what of it is on the host, and what is needed to revert a change until it is
# confirmed.
FIREWALL_RULES = "/etc/flaskops/firewall.nft"
FIREWALL_STATE = f"{STATE}/firewall.json"
FIREWALL_PENDING = f"{RUN}/_firewall"

# Makes the next build quick, and may be removed at any time.
CACHE = "/var/cache/flaskops"

# Answers of applications that nginx keeps, a directory for each site: nginx makes it, but not the one that it is in.
ANSWERS = "/var/cache/flaskops-answers"

# uv, where it is installed by the collection.
UV = "/usr/local/lib/flaskops/uv"

# Versions of Python that hosts lack, got by uv. Virtualenvs of releases lead to them.
PYTHONS = "/usr/local/lib/flaskops/python"

# What a deploy makes or writes into, whichever application it is of.
DIRECTORIES = (LOCKS, HOOK_LOGS, PREVIOUS, UNITS, *(f"{UNITS}/{name}" for name in WANTS.values()))
