# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the other files that a configuration refers to: logs that nginx writes, certificates that it loads.

Private to flaskops.stack.
"""

from __future__ import annotations

import os
import typing as t
from glob import has_magic

from .._site.syntax import Directive, descend
from .checks import find_servers
from .conf import Configuration

LOGS = ("access_log", "error_log")
# The end of a directive's name; proxy_ssl_certificate and its like are meant, too. Password
# files are read at each request.
_LOADED = (
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_client_certificate",
    "ssl_trusted_certificate",
    "ssl_crl",
    "ssl_dhparam",
    "ssl_ech_file",
    "ssl_password_file",
    "ssl_session_ticket_key",
    "ssl_stapling_file",
    "geoip_city",
    "geoip_country",
    "geoip_org",
)
_NO_FILE = ("data:", "engine:", "store:")


def log_paths(config: Configuration, prefix: str) -> set[str]:
    """Return the log files that a configuration opens."""
    found = set()
    for file in config.files:
        if "_log" in config.texts[file]:
            found |= {path for item in descend(config.files[file]) if (path := log_path(item, prefix))}
    return found


def log_path(directive: Directive, prefix: str) -> str:
    """Return the file of a log directive; '' when it opens none or a device."""
    if directive.name not in LOGS or not directive.args:
        return ""
    value = directive.args[0]
    if value in ("off", "stderr") or value.startswith(("syslog:", "memory:", "/dev/", "/proc/")) or "$" in value:
        return ""
    return os.path.normpath(os.path.join(prefix, value))


class Loaded(t.NamedTuple):
    """What nginx loads because of some files: files, themselves among them, and patterns of includes."""

    files: tuple[str, ...]
    patterns: tuple[str, ...]


def loaded_with(config: Configuration, roots: t.Iterable[str]) -> Loaded:
    """Return what nginx reads when it loads some files of a configuration, and not again before the next load."""
    texts = dict.fromkeys(roots)
    others: dict[str, None] = {}
    patterns: dict[str, None] = {}
    queue = list(texts)
    while queue:
        for item in descend(config.files.get(queue.pop(), ())):
            if item.name == "include" and len(item.args) == 1:
                new = [path for path in config.includes.get(item.args[0], ()) if path not in texts]
                texts.update(dict.fromkeys(new))
                queue += new
                if has_magic(item.args[0]):
                    patterns[config.absolute(item.args[0])] = None
            elif item.name.endswith(_LOADED):
                others.update(dict.fromkeys(_file_names(config, item.args[:1])))
    for server in find_servers(config):
        if server.file in texts:  # it may inherit its certificates
            others.update(dict.fromkeys(path for pair in server.certificates for path in _file_names(config, pair)))
    return Loaded((*texts, *others), tuple(patterns))


def _file_names(config: Configuration, values: t.Iterable[str]) -> list[str]:
    """Return the files that values name: neither what is looked up at each request nor what is no file."""
    return [config.absolute(value) for value in values if "$" not in value and not value.startswith(_NO_FILE)]
