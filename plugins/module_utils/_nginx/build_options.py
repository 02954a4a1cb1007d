# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parse the build options of an nginx binary from C(nginx -V). Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import shlex
import typing as t

_VERSION = re.compile(r"^nginx version: \S+?/(\d+(?:\.\d+)+)", re.MULTILINE)
_ARGUMENTS = re.compile(r"^configure arguments:(.*)$", re.MULTILINE)
# Name of the configure option without its prefix, and the directive that overrides it.
TEMPORARY = {
    "client-body": "client_body_temp_path",
    "proxy": "proxy_temp_path",
    "fastcgi": "fastcgi_temp_path",
    "uwsgi": "uwsgi_temp_path",
    "scgi": "scgi_temp_path",
}

# What nginx's configure takes for what it is not given.
_DEFAULTS = {
    "prefix": "/usr/local/nginx",
    "conf-path": "conf/nginx.conf",
    "pid-path": "logs/nginx.pid",
    "error-log-path": "logs/error.log",
    "user": "nobody",
}


class Build(t.NamedTuple):
    """Version and places of an nginx; C(compiled) are prefix and configuration file as it was built."""

    version: str
    options: tuple[str, ...]
    prefix: str
    config: str
    pid: str
    error_log: str
    user: str
    temporary: tuple[tuple[str, str], ...]
    compiled: tuple[str, str] = ("", "")

    def at_least(self, *wanted: int) -> bool:
        """Tell whether the version is the wanted one or newer."""
        return tuple(int(part) for part in self.version.split(".")) >= wanted


def parse_build(text: str, prefix: str = "") -> Build:
    """Return what C(nginx -V) has said; an option that was not given has the value that nginx's configure takes.

    Relative places are below C(prefix), as for nginx's option C(-p).
    """
    version = _VERSION.search(text)
    arguments = _ARGUMENTS.search(text)
    options = tuple(shlex.split(arguments.group(1))) if arguments else ()
    given = {**_DEFAULTS, **dict(option.lstrip("-").split("=", 1) for option in options if "=" in option)}
    compiled = given["prefix"].rstrip("/")
    prefix = prefix or compiled
    # Debian 13 has "stderr" here, which is no path.
    error_log = given["error-log-path"]
    return Build(
        version=version.group(1) if version else "0",
        options=options,
        prefix=prefix,
        config=os.path.join(prefix, given["conf-path"]),
        pid=os.path.join(prefix, given["pid-path"]),
        error_log=error_log if error_log == "stderr" else os.path.join(prefix, error_log),
        user=given["user"],
        temporary=_temporary(options, given, prefix),
        compiled=(compiled, given["conf-path"]),
    )


def _temporary(options: t.Sequence[str], given: t.Mapping[str, str], prefix: str) -> tuple[tuple[str, str], ...]:
    """Return the directives of temporary files, of the modules that are there, with their directories."""
    return tuple(
        (directive, os.path.join(prefix, given.get(f"http-{name}-temp-path", f"{name.replace('-', '_')}_temp")))
        for name, directive in TEMPORARY.items()
        if f"--without-http_{name}_module" not in options
    )
