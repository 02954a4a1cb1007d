# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables that a build inherits from the environment of the task: proxies, certificates and the locale.

Private to flaskops.stack.
"""

from __future__ import annotations

import re
import typing as t

# What systemd gives to a service that asks for nothing (systemd.exec(5)).
_BARE = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_INHERITED = re.compile(
    # curl(1) and most libraries know proxies in both cases, of http the small one alone.
    r"(?i:http|https|ftp|all|no)_(?i:proxy)"
    r"|SSL_CERT_(?:FILE|DIR)|PIP_CERT|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO|NODE_EXTRA_CA_CERTS"
    r"|UV_SYSTEM_CERTS|UV_NATIVE_TLS"
    r"|LANG|LANGUAGE|LC_[A-Z]+"
)


def inherited_environment(environ: t.Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a build, without the tokens and keys of the user who runs Ansible."""
    kept = {name: value for name, value in environ.items() if _INHERITED.fullmatch(name)}
    # What installers say is understood in one language.
    return {**_BARE, **kept, "LC_ALL": "C.UTF-8"}
