# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adopt existing code and an existing virtualenv as a release. Private to flaskops.stack."""

from __future__ import annotations

import hashlib
import os
import typing as t
from dataclasses import dataclass

from .._input.defaults import DEFAULTS, SERVICE_DEFAULTS, Settings
from .._input.values import InputError, as_variables
from .._release.contents import write_token
from .._release.model import Layout, Manifest, digest, release_id
from .._release.ownership import transfer_ownership
from .._release.prepared import adopt_prepared
from .._release.release import read_manifest, write_manifest
from .._release.shared import Owner
from .._service.environment import merge_environment, render_environment
from .._service.settings import identifying_settings, parse_settings
from .._service.worker_model import complete_conf
from .._service.wsgi import check_app_path, complete_wsgi, render_wsgi
from .._system.account import Claim
from .._system.files import read_file, remove_stale_temp_files, replace_link, utc_now, write_file
from .._system.users import ensure_user, find_group, find_user
from .home import home_variable


@dataclass(frozen=True)
class ExistingApp:
    """Existing code and virtualenv, and the settings to run them."""

    name: str
    app: str
    directory: str
    virtualenv: str
    user: str
    group: str
    environment: t.Mapping[str, str]
    secret_names: tuple[str, ...]
    version: str
    trusted_hops: int
    host_header: str
    keep: int
    settings: Settings
    names_user: bool = False
    names_group: bool = False

    @classmethod
    def from_params(cls, service: t.Mapping[str, t.Any]) -> ExistingApp:
        """Parse the parameters of a service; raise InputError for values that cannot be used."""
        for key in ("app", "directory", "virtualenv"):
            if not service.get(key):
                raise InputError(f"neither 'release' nor '{key}' is set: set one of them")
        for key in ("directory", "virtualenv"):
            if not os.path.isabs(service[key]):
                raise InputError(f"{key} '{service[key]}' must be an absolute path")
        check_app_path(service["app"])
        user = service.get("user") or service["name"]
        return cls(
            name=service["name"],
            app=service["app"],
            directory=os.path.normpath(service["directory"]),
            virtualenv=os.path.normpath(service["virtualenv"]),
            user=user,
            group=service.get("group") or user,
            environment=_merge(service),
            secret_names=tuple(sorted(service.get("secrets") or {})),
            version=service.get("version") or "",
            trusted_hops=_whole("trusted_hops", service),
            host_header=service.get("host_header") or "",
            keep=_whole("keep", service),
            settings=parse_settings({key: value for key, value in service.items() if key in DEFAULTS}),
            names_user=bool(service.get("user")),
            names_group=bool(service.get("group")),
        )

    def claim(self, data: tuple[int, int] | None) -> Claim:
        """Return the accounts that it asks for; C(data) are the ids that its data belongs to."""
        return Claim(self.name, self.user, self.group, self.names_user, self.names_group, data)

    @property
    def id(self) -> str:
        """Return the release's id: another version, or any other change, is another release."""
        everything = {
            "app": self.app,
            "user": [self.user, self.group],
            "environment": digest(dict(self.environment)),
            "hops": [self.trusted_hops, self.host_header],
            "settings": identifying_settings(self.settings),
        }
        return release_id("|".join([self.directory, self.virtualenv, self.version]), everything)

    def manifest(self) -> Manifest:
        """Return the manifest of the adopted release."""
        revision = hashlib.sha256("|".join([self.directory, self.virtualenv, self.version]).encode()).hexdigest()
        return Manifest(
            name=self.name,
            id=self.id,
            user=self.user,
            group=self.group,
            source={"type": "existing", "location": self.directory, "version": self.version, "revision": revision},
            python=_python_version(self.virtualenv),
            app=self.app,
            settings=self.settings,
            keep=self.keep,
            built_at=utc_now(),
            extra={"secret_names": list(self.secret_names)},
        )


def _whole(key: str, service: t.Mapping[str, t.Any]) -> int:
    value = service.get(key)
    return int(t.cast("int", SERVICE_DEFAULTS[key] if value is None else value))


def _merge(service: t.Mapping[str, t.Any]) -> dict[str, str]:
    return merge_environment(*(as_variables(key, service.get(key)) for key in ("environment", "secrets")))


def _python_version(virtualenv: str) -> str:
    """Return the version that a virtualenv says it has; empty when it does not."""
    try:
        text = (read_file(os.path.join(virtualenv, "pyvenv.cfg")) or b"").decode("utf-8", "replace")
    except OSError:
        return ""
    pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    values = {key.strip(): value.strip() for key, value in pairs.items()}
    return values.get("version") or values.get("version_info") or ""


def check_existing(existing: ExistingApp) -> None:
    """Raise InputError when the code or the virtualenv is not there."""
    if not os.path.isdir(existing.directory):
        raise InputError(f"directory '{existing.directory}' does not exist: it must hold the application's code")
    if not os.path.exists(os.path.join(existing.virtualenv, "bin", "python")):
        raise InputError(f"virtualenv '{existing.virtualenv}' has no bin/python: make it with python3 -m venv")


def adopt_existing(layout: Layout, existing: ExistingApp) -> Manifest:
    """Create the adopted release if it does not exist, and return its manifest; the last write completes it."""
    path = layout.release(existing.id)
    found = read_manifest(path)
    if found is not None:
        return found
    check_existing(existing)
    remove_stale_temp_files(path)
    ensure_user(existing.user, existing.group, layout.base)
    user, group = find_user(existing.user), find_group(existing.group)
    if user is None or group is None:
        raise InputError(f"user '{existing.user}' or group '{existing.group}' could not be created")
    for directory in (layout.base, layout.releases, path, os.path.join(path, "run")):
        os.makedirs(directory, mode=0o755, exist_ok=True)
        os.chmod(directory, 0o755)
    if not os.path.isdir(layout.shared):
        os.mkdir(layout.shared, 0o750)
        os.chown(layout.shared, user.pw_uid, group.gr_gid)
    transfer_ownership(layout, Owner(existing.user, user.pw_uid, group.gr_gid))
    adopt_prepared(layout, [], user.pw_uid, group.gr_gid)
    home = home_variable(layout, existing.user, existing.settings, existing.directory, existing.virtualenv)
    _fill(path, existing, home, group.gr_gid)
    manifest = existing.manifest()
    write_manifest(path, manifest)
    return manifest


def _fill(path: str, existing: ExistingApp, home: t.Mapping[str, str], gid: int) -> None:
    """Write all of a release but its manifest."""
    replace_link(existing.directory, os.path.join(path, "app"))
    replace_link(existing.virtualenv, os.path.join(path, "venv"))
    environment = render_environment({**home, **existing.environment}).encode()
    write_file(os.path.join(path, "env"), environment, 0o640, 0, gid)
    conf = complete_conf(existing.settings, path)
    write_file(os.path.join(path, "gunicorn.conf.py"), conf.encode())
    wsgi = render_wsgi(existing.app, existing.trusted_hops, existing.host_header, prefix=existing.settings.prefix)
    write_file(os.path.join(path, "wsgi.py"), complete_wsgi(wsgi).encode())
    write_token(path, existing.trusted_hops, gid)
    replace_link("wsgi.py", os.path.join(path, "flaskops_wsgi.py"))
