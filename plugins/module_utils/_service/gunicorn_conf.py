# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of gunicorn.conf.py. Private to flaskops.stack."""

from __future__ import annotations

import posixpath
import re
import typing as t

from .._input.defaults import Settings
from .._input.values import InputError
from .own_conf import OWNED, render_own

# What no choice of threads meant up to version 1.0. Release ids have it still; with_worker_model() has the last word.
FORMER_THREADS = 4

_SETTING = re.compile(r"[a-z][a-z0-9_]*")

_LOG_FORMAT = """access_log_format = '%({x-forwarded-for}i)s "%(r)s" %(s)s %(B)s %(M)sms "%(f)s" "%(a)s"'"""

_SHARED_IMPORTS = """
# Workers share the memory of what the master imports. Flask and what it needs open no connection and start no thread;
# of the application that is not known, see preload. gevent and tornado want to be there first.
if worker_class in ("gthread", "sync"):
    try:
        import flask as _flask
    except Exception:
        # Another framework, or one that the workers will say more of.
        _flask = None
"""

_END_OF_CPUS = """[0]
    return cpus
"""
_WITH_ROOT = """[0]
    # A container sees a part of the tree only, whose root has its quota.
    return min(cpus, _quota("/sys/fs/cgroup"))
"""

# $PORT and $WEB_CONCURRENCY change gunicorn's own defaults, so every setting that they touch is written.
_TEMPLATE = '''\
# Written by flaskops.stack for this release and never edited: change the settings and deploy a new release.
"""Settings of gunicorn for {name}."""

import math as _math
import os as _os
import sys as _sys

from gunicorn import __version__ as _VERSION
from gunicorn.config import KNOWN_SETTINGS as _KNOWN_SETTINGS

_RELEASE = {release!r}
_EXTRA = {extra}


def _quota(path):
    """Return the CPUs that the cgroup in this directory may use, infinity when it is not limited."""
    try:
        with open(path + "/cpu.max") as stream:
            quota, period = stream.read().split()
        return _math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return _math.inf


def _cpus():
    """Return how many CPUs this process may use: by affinity and by the quotas of its cgroup and those above."""
    cpus = float(len(_os.sched_getaffinity(0)))
    try:
        with open("/proc/self/cgroup") as stream:
            path = next(line[3:].strip() for line in stream if line.startswith("0::"))
    except (OSError, StopIteration):
        return cpus
    while path.strip("/"):
        cpus = min(cpus, _quota("/sys/fs/cgroup" + path))
        path = path.rpartition("/")[0]
    return cpus


def _workers():
    """Return two workers per CPU and one more, 8 at most; $WEB_CONCURRENCY decides when it is set."""
    wanted = _os.environ.get("WEB_CONCURRENCY", "")
    return int(wanted) if wanted.isdigit() and int(wanted) else min(8, 2 * max(1, _math.ceil(_cpus())) + 1)


# Last, so that a module of the application or its packages is never hidden by one of the release.
_sys.path.append(_RELEASE)

wsgi_app = "flaskops_wsgi:application"
chdir = _RELEASE + "/app"
proc_name = {name!r}
# systemd passes the sockets and gunicorn ignores this; started by hand it must not listen where visitors are.
bind = "127.0.0.1:0"
{settings}

if worker_class == "gthread" and int(_VERSION.split(".")[0]) < 24 and max_requests:
    # Replacing such a worker loses requests: https://github.com/benoitc/gunicorn/issues/3038
    max_requests = 0

    def on_starting(server):
        """Say why workers are not replaced."""
        server.log.warning("max_requests is off: gthread of gunicorn %s loses requests by it, 24 does not", _VERSION)


# A heartbeat must not wait for a disk.
worker_tmp_dir = "/dev/shm" if _os.access("/dev/shm", _os.W_OK) else None
# What fits into one of nginx's buffers of 8 KiB: a longer line gets its 414 there, a shorter one an answer.
limit_request_line = 8190
# Forwarded headers are believed in one place, ProxyFix in wsgi.py, and there by the number of trusted hops.
secure_scheme_headers = {{}}
errorlog = "-"
accesslog = {accesslog!r}
{log_format}

_known = {{setting.name for setting in _KNOWN_SETTINGS}}
if "forwarder_headers" in _known:
    forwarder_headers = ""
if "control_socket_disable" in _known:
    control_socket_disable = True
{own}
for _name in sorted(_EXTRA):
    if _name not in _known:
        raise SystemExit(
            "extra: gunicorn " + _VERSION + " has no setting '" + _name + "': see its documentation for those it has"
        )
    globals()[_name] = _EXTRA[_name]
'''


def check_extra(extra: t.Mapping[str, object]) -> None:
    """Raise InputError for a setting that C(extra) must not have; gunicorn itself knows which ones exist."""
    for name in sorted(extra):
        if name in OWNED:
            raise InputError(f"extra must not set gunicorn's '{name}': use {OWNED[name]}")
        if not _SETTING.fullmatch(name):
            raise InputError(
                f"extra '{name}' must be a setting's name as in gunicorn.conf.py, such as limit_request_line"
            )


def render_gunicorn_conf(settings: Settings, release_path: str) -> str:
    """Return the gunicorn.conf.py of the release at C(release_path).

    It depends on nothing but its arguments; what depends on the host or on gunicorn's version, it finds out at start.
    """
    # /srv/<name>/releases/<id>
    name = posixpath.basename(posixpath.dirname(posixpath.dirname(release_path)))
    return _TEMPLATE.format(
        name=name,
        release=release_path,
        extra=_literal(settings.extra),
        own=render_own(settings.config_file),
        settings="\n".join(f"{key} = {value}" for key, value in _plain_settings(settings)),
        log_format=_LOG_FORMAT,
        accesslog="-" if settings.access_log else None,
    )


def with_request_id(conf: str) -> str:
    """Return the text of gunicorn.conf.py with the id of the request at the end of each line of the access log.

    Release ids are made of the text without it, so that those of earlier versions stay.
    """
    return conf.replace(_LOG_FORMAT, _LOG_FORMAT[:-1] + " %({x-request-id}i)s'", 1)


def with_root_quota(conf: str) -> str:
    """Return the text of gunicorn.conf.py with the quota of a container among those that limit the CPUs.

    Release ids are made of the text without it.
    """
    return conf.replace(_END_OF_CPUS, _WITH_ROOT, 1)


def with_shared_imports(conf: str) -> str:
    """Return the text of gunicorn.conf.py with what imports Flask before the workers are forked, so that they share it.

    Release ids are made of the text without it.
    """
    return conf + _SHARED_IMPORTS


def _plain_settings(settings: Settings) -> t.Iterator[tuple[str, str]]:
    yield "worker_class", repr(settings.worker_class)
    yield "workers", repr(settings.workers) if settings.workers else "_workers()"
    # With more than one thread gunicorn turns "sync" into "gthread".
    yield "threads", repr((settings.threads or FORMER_THREADS) if settings.worker_class == "gthread" else 1)
    yield "timeout", repr(settings.timeout)
    yield "graceful_timeout", repr(settings.graceful_timeout)
    yield "keepalive", repr(settings.keepalive)
    yield "max_requests", repr(settings.max_requests)
    yield "max_requests_jitter", repr(settings.max_requests_jitter)
    yield "preload_app", repr(settings.preload)
    yield "loglevel", repr(settings.log_level)


def _literal(value: object) -> str:
    """Return the Python text of a value from JSON, with keys in order so that equal settings have equal files."""
    if isinstance(value, t.Mapping):
        return "{" + ", ".join(f"{key!r}: {_literal(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    return repr(value)
