# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gunicorn.conf.py of an application, and the settings that a release takes from it. Private to flaskops.stack."""

from __future__ import annotations

import ast
import typing as t

from .._input.values import InputError, as_line

# Where gunicorn would look for it.
USUAL = "gunicorn.conf.py"

# Settings that the release or its unit decides, by gunicorn's names; what to use instead.
OWNED = {
    "bind": "'bind' of the service",
    "chdir": "nothing: it is the release's code",
    "config": "nothing: there is one configuration file",
    "wsgi_app": "'app'",
    "worker_class": "'worker_class' of the service",
    "workers": "'workers' of the service",
    "threads": "'threads' of the service",
    "timeout": "'timeout' of the service",
    "graceful_timeout": "'graceful_timeout' of the service",
    "keepalive": "'keepalive' of the service",
    "max_requests": "'max_requests' of the service",
    "max_requests_jitter": "'max_requests_jitter' of the service",
    "preload_app": "'preload' of the service",
    "loglevel": "'log_level' of the service",
    "daemon": "nothing: systemd keeps the process",
    "user": "'user'",
    "group": "'group'",
    "initgroups": "nothing: systemd sets the groups",
    "pidfile": "nothing: systemd knows the process",
    "reload": "a new release: nothing is edited in place",
    "reuse_port": "nothing: the sockets are systemd's",
    "check_config": "nothing: it would end the process",
    "print_config": "nothing: it would end the process",
}
# What 'extra' may set, and a file that was written for another place may not: forwarded headers and TLS are nginx's.
_OF_NGINX = (
    "ca_certs",
    "certfile",
    "forwarder_headers",
    "keyfile",
    "proxy_allow_ips",
    "proxy_protocol",
    "secure_scheme_headers",
)
REFUSED = {**OWNED, **dict.fromkeys(_OF_NGINX, "nothing: nginx speaks to the visitors")}

# What gunicorn calls: a file may import these, which sets them as an assignment does.
_HOOKS = frozenset(
    [
        *("on_starting", "on_reload", "when_ready", "on_exit", "pre_exec", "nworkers_changed", "ssl_context"),
        *("pre_fork", "post_fork", "post_worker_init", "worker_int", "worker_abort", "worker_exit", "child_exit"),
        *("pre_request", "post_request"),
    ]
)

# Rendered into gunicorn.conf.py before 'extra', which has the last word.
_TEMPLATE = '''

def _own_settings(path):
    """Return the settings of the application's own file, as gunicorn would read it."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("__config__", path)
    if spec is None or not _os.path.isfile(path):
        raise SystemExit("config_file: there is no " + path + " in the source")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return {{name: value for name, value in vars(module).items() if name in _known}}


_REFUSED = {refused}
_own = _own_settings(chdir + "/" + {path!r})
_refused = sorted(name for name in _own if name in _REFUSED and _own[name] != globals().get(name))
if _refused:
    _said = [name + " (use " + _REFUSED[name] + ")" for name in _refused]
    raise SystemExit("config_file: " + {path!r} + " sets what the release decides: " + ", ".join(_said))
globals().update(_own)
'''


def check_config_file(key: str, value: object) -> str:
    """Return the path of the application's own file, below its code; empty for none."""
    path = as_line(key, value)
    if path and (path.startswith("/") or ".." in path.split("/") or not path.endswith(".py")):
        raise InputError(f"{key} '{path}' must be a Python file below the source, such as {USUAL}")
    return path


def render_own(path: str) -> str:
    """Return the lines that take the settings of the application's own file; none without one."""
    if not path:
        return ""
    refused = "{" + ", ".join(f"{name!r}: {REFUSED[name]!r}" for name in sorted(REFUSED)) + "}"
    return _TEMPLATE.format(path=path, refused=refused)


def explain_unread(text: str) -> str:
    """Return the warning about a file in the source that the release does not read; empty when it sets nothing."""
    try:
        names = sorted(_set_by(ast.parse(text).body))
    except (SyntaxError, ValueError, RecursionError):
        return f"{USUAL} in the source is not read, and Python cannot read it either: correct or remove it"
    owned = [f"{name}: use {REFUSED[name]}" for name in names if name in REFUSED]
    others = [name for name in names if name not in REFUSED]
    if not owned and not others:
        return ""
    parts = [f"{USUAL} in the source is not read"]
    if others:
        parts.append(f"set gunicorn.config_file: {USUAL} to have what it says of {', '.join(others)}")
    if owned:
        parts.append(f"what the release decides has to leave the file ({'; '.join(owned)})")
    return "; ".join(parts)


def _set_by(body: t.Sequence[ast.stmt]) -> set[str]:
    """Return the public names that statements give a value, also inside of C(if), C(try) and C(with)."""
    names: set[str] = set()
    for statement in body:
        names |= _targets(statement)
        for field in ("body", "orelse", "finalbody"):
            if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names |= _set_by(getattr(statement, field, []))
        for handler in getattr(statement, "handlers", []):
            names |= _set_by(handler.body)
    return {name for name in names if not name.startswith("_")}


def _targets(statement: ast.stmt) -> set[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return {statement.name}
    if isinstance(statement, ast.ImportFrom):
        return set(filter(None, (_imported(statement, alias) for alias in statement.names)))
    targets: t.Sequence[ast.expr] = ()
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}


def _imported(statement: ast.ImportFrom, alias: ast.alias) -> str:
    """Return what an import sets; of C(*) nobody knows, but the one who wrote it."""
    name = alias.asname or alias.name
    if name == "*":
        return f"'from {'.' * statement.level}{statement.module or ''} import *'"
    return name if name in _HOOKS or name in REFUSED else ""
