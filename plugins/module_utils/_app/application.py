# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an application is: checked input, and which of it names a release. Private to flaskops.stack."""

from __future__ import annotations

import posixpath
import re
import typing as t
from dataclasses import dataclass, field, replace

from .._input.defaults import APP_DEFAULTS, Settings
from .._input.hooks import Hooks, parse_hooks
from .._input.processes import Process, normalise_timers, normalise_workers
from .._input.redact import mask, mask_urls
from .._input.values import (
    InputError,
    Listed,
    UnsafeNameError,
    as_bool,
    as_int,
    as_prefix,
    as_variables,
    check_name,
    check_socket_path,
    elements,
    length_fault,
)
from .._release.model import Layout, digest, release_id
from .._release.shared_files import Place, code_directories, served_directories, shared_places
from .._service.environment import merge_environment
from .._service.gunicorn_conf import render_gunicorn_conf
from .._service.settings import identifying_settings, parse_settings, worker_requirements
from .._service.wsgi import check_app_path, render_wsgi
from .._system.account import Claim
from .build_access import build_variables, check_build_variables
from .dependencies import DependencyError, check_packages
from .source import (
    PATH,
    TYPES,
    SourceError,
    check_checksum,
    check_subdirectory,
    check_version,
    detect_type,
    is_remote,
)

if t.TYPE_CHECKING:
    from .files import ReleaseFile

INSTALLERS = ("uv", "pip")
# Names of data and configuration that other deploy tools link as files, such as Capistrano with 'linked_files'.
_CONFIGURES = re.compile(r"(?:^|/)\.(?:flask)?env$|\.(?:env|ini|cfg|conf|toml|ya?ml|json|py)$")
_FILE_NAME = re.compile(rf"\.(?:db3?|sqlite3?|log|pid|sock|txt|csv)$|{_CONFIGURES.pattern}")
_INTERPRETER = re.compile(r"(?:python)?(\d+(?:\.\d+)?)|python3?|/[\w./+-]+")

# Installers get them as one text, with blanks between them.
_INDEX = re.compile(r"(?:https?|file)://\S+")
_INDEX_ADVICE = "the URL of a package index, such as 'https://download.pytorch.org/whl/cpu'"
# With an architecture or a version, as apt-get(8) takes it, which would take others as options or files.
_SYSTEM_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9]+)?(?:=[A-Za-z0-9.+:~-]+)?")
_SYSTEM_PACKAGE_ADVICE = "the name of a Debian package, such as 'libpq5'; packages for Python belong into packages"

# As long as any release id is.
_SAMPLE_ID = "0000000-00000000"

_REQUIRED = ("source", "app")

_PACKAGES = Listed("libpq-dev")
# Of the system, for every build. An empty list is how a host is told to install none.
_ALWAYS = ("python3-venv", "ca-certificates")


class AppError(ValueError):
    """An application that cannot be built as it is described."""


@dataclass(frozen=True)
class App:
    """One checked item of C(flask_apps)."""

    name: str
    user: str
    group: str
    source: str = field(repr=False)
    source_type: str
    version: str
    subdirectory: str
    checksum: str
    deploy_key: str = field(repr=False)
    known_hosts: str
    app: str
    python: str
    installer: str
    requirements: tuple[str, ...] | None
    packages: tuple[str, ...] = field(repr=False)
    index_url: str = field(repr=False)
    ca_bundle: str
    wheel_dir: str
    gunicorn_requirement: str
    build_timeout: int
    source_max_mib: int
    build_environment: t.Mapping[str, str] = field(repr=False)
    build_secrets: t.Mapping[str, str] = field(repr=False)
    build_with_deploy_key: bool
    environment: t.Mapping[str, str] = field(repr=False)
    secrets: t.Mapping[str, str] = field(repr=False)
    shared: tuple[str, ...]
    trusted_hops: int
    host_header: str
    keep: int
    settings: Settings
    hooks: Hooks = field(default_factory=Hooks)
    workers: t.Sequence[Process] = ()
    timers: t.Sequence[Process] = ()
    names_user: bool = False
    # The name that the application had before.
    rename_from: str = ""
    names_group: bool = False
    # Static files that only the application may read.
    places: tuple[Place, ...] = ()
    # Directories of the code whose files are compressed.
    compressed: tuple[str, ...] = ()
    # Files that are written into the code.
    files: tuple[ReleaseFile, ...] = ()
    constraints: tuple[str, ...] = ()
    build_constraints: tuple[str, ...] = ()
    prerelease: bool = False
    extra_index_url: tuple[str, ...] = field(default=(), repr=False)
    system_packages: tuple[str, ...] = ()
    # Whether anything of it may name a place of its release.
    has_braces: bool = False
    # Directories of distributions in its virtualenv that nginx serves.
    served: tuple[tuple[str, str], ...] = ()

    @property
    def wsgi(self) -> str:
        """Return the text of its wsgi.py."""
        return render_wsgi(self.app, self.trusted_hops, self.host_header, self.places, self.settings.prefix)

    def claim(self, data: tuple[int, int] | None) -> Claim:
        """Return the accounts that it asks for; C(data) are the ids that its data belongs to."""
        return Claim(self.name, self.user, self.group, self.names_user, self.names_group, data)

    @property
    def has_build_access(self) -> bool:
        """Tell whether a build is given secrets, which must not be found after it."""
        return bool(self.build_secrets or self.build_with_deploy_key)

    def build_variables(self, cache: str) -> dict[str, str]:
        """Return what a build that works in C(cache) is given by the user."""
        has_key = self.build_with_deploy_key
        return build_variables(self.build_environment, self.build_secrets, cache, has_key, self.known_hosts)

    @property
    def processes(self) -> dict[str, object]:
        """Return what runs beside the web, by its key; nothing depends on lists that are empty."""
        lists = {"workers": list(self.workers), "timers": list(self.timers)}
        return {key: processes for key, processes in lists.items() if processes}

    @property
    def runtime_requirements(self) -> tuple[str, ...]:
        """Return what the server needs and the application need not bring."""
        return (self.gunicorn_requirement, *worker_requirements(self.settings.worker_class))

    @property
    def missing_requirements(self) -> tuple[str, ...]:
        """Return what is installed when the virtualenv lacks it."""
        return (*self.runtime_requirements, *self.unkeyed_requirements)

    @property
    def unkeyed_requirements(self) -> tuple[str, ...]:
        """Return the names of distributions that are needed, too, and are in no key of a virtualenv, nor in an id."""
        # Its ProxyFix reads the forwarded headers. Flask requires it, other frameworks do not.
        return ("werkzeug",) if self.trusted_hops else ()

    @property
    def version_rules(self) -> dict[str, object]:
        """Return what else decides on versions; nothing depends on it where that is nothing."""
        rules = {
            "constraints": self.constraints,
            "build_constraints": self.build_constraints,
            "prerelease": self.prerelease,
        }
        return {key: value for key, value in rules.items() if value}

    @property
    def wanted_packages(self) -> tuple[str, ...]:
        """Return the requirements that are in no file."""
        return (self.source, *self.packages) if self.source_type == "pypi" else self.packages

    def mask(self, text: str) -> str:
        """Return C(text) without any secret of this application."""
        secrets = [*self.secrets.values(), *self.build_secrets.values(), self.deploy_key, *self._file_values]
        return mask(text, secrets, shortest=3)

    @property
    def _file_values(self) -> list[str]:
        """Return what is secret in its files."""
        secret = [file.content for file in self.files if file.secret and file.content]
        if not secret:
            return []
        from .._input.file_secrets import values_of

        return [value for content in secret for value in values_of(content)]


def parse_app(item: t.Mapping[str, t.Any], root: str) -> App:
    """Return the checked application; raise AppError, which names it and the remedy, when something cannot be.

    Its lists are lists, its numbers numbers: C(settle_apps) reads what a user wrote.
    """
    name = item.get("name") or ""
    try:
        check_name(name)
        check_socket_path(Layout(root, name).socket(_SAMPLE_ID, 0))
        _check_required(item)
        return _parse(item, posixpath.join(root, name))
    except (InputError, SourceError, DependencyError, UnsafeNameError) as exc:
        given = [item.get(key) for key in ("secrets", "build_secrets")]
        secrets = [str(value) for found in given if isinstance(found, t.Mapping) for value in found.values()]
        raise AppError(f"app '{name}': {mask(str(exc), secrets, shortest=3)}") from None


def parse_apps(items: t.Sequence[t.Mapping[str, t.Any]], root: str) -> list[App]:
    """Return all applications, checked before anything changes."""
    domains = {item.get("name"): item.get("domains") for item in items}
    apps = [parse_app(_with_domains(item, domains), root) for item in items]
    names = [app.name for app in apps]
    for name in names:
        if names.count(name) > 1:
            raise AppError(
                f"apps has the name '{name}' {names.count(name)} times: give each application a name of its own"
            )
    for app in apps:
        if app.rename_from in names:
            raise AppError(
                f"app '{app.name}': rename_from '{app.rename_from}' is another application of the list: remove that "
                "one, which has another name now, or leave rename_from out"
            )
    return apps


def _with_domains(item: t.Mapping[str, t.Any], domains: t.Mapping[object, object]) -> t.Mapping[str, t.Any]:
    """Return an application with the domains of the site below which it is mounted."""
    mount = item.get("mount")
    return {**item, "mount": {**mount, "domains": domains.get(mount.get("site"))}} if mount else item


def _check_required(item: t.Mapping[str, t.Any]) -> None:
    for key in _REQUIRED:
        if not item.get(key):
            raise AppError(f"app '{item['name']}': '{key}' is missing: set it (only state=absent does without)")


def _parse(item: t.Mapping[str, t.Any], base: str) -> App:
    static = (item.get("nginx") or {}).get("static")
    places = shared_places(static, item.get("shared"), base)
    fields = {
        "name": item["name"],
        **_source_fields(item),
        **_build_fields(item),
        **_process_fields(item),
        "places": places,
        "compressed": code_directories(static, base) if _flag("compress", item) else (),
    }
    files = _files(item, fields, base)
    braces = _check_braces(fields, files, static)
    return App(**fields, files=files, has_braces=braces, served=served_directories(static))


def _check_braces(fields: t.Mapping[str, t.Any], files: t.Iterable[ReleaseFile], static: object) -> bool:
    """Raise InputError for a placeholder that does not exist; return whether there may be some that do."""
    texts = [*_texts(fields), *((f"files '{file.path}'", file.content or "") for file in files)]
    entries = [entry for entry in static if isinstance(entry, t.Mapping)] if isinstance(static, (list, tuple)) else []
    paths = [(f"nginx.static[{number}].path", str(entry.get("path") or "")) for number, entry in enumerate(entries)]
    if not any("{" in text for _where, text in (*texts, *paths)):
        return False
    # Loaded for those who have braces: each file that is imported costs every run.
    from .places import check_places

    check_places(texts, paths)
    return True


def _texts(fields: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, str]]:
    """Yield what may name a place of the release, and how errors call it; secrets are what they are."""
    yield "app", fields["app"]
    for name, value in fields["environment"].items():
        yield f"environment.{name}", value
    hooks: Hooks = fields["hooks"]
    for stage in hooks.stages:
        for words in hooks.commands(stage):
            yield from ((f"hooks.{stage}", word) for word in words)
    for key in ("workers", "timers"):
        for process in fields[key]:
            yield from ((f"{key} '{process['name']}': command", word) for word in process["command"])


def _files(item: t.Mapping[str, t.Any], fields: t.Mapping[str, t.Any], base: str) -> tuple[ReleaseFile, ...]:
    if not item.get("files"):
        return ()
    # Loaded for those who have some: each file that is imported costs every run.
    from .files import parse_files

    secrets = {**fields["secrets"], **fields["build_secrets"]}
    return parse_files(item["files"], secrets, item.get("shared"), (item.get("nginx") or {}).get("static"), base)


def _source_fields(item: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    source_type, version = _text("source_type", item), str(item.get("version") or "")
    source, checksum = _source(item, source_type, version)
    kind = detect_type(source, version, checksum, source_type)
    return {
        "source": _pinned(source, version) if kind == "pypi" else source,
        "source_type": kind,
        "version": check_version(version) if kind in ("git", "path") else version,
        "subdirectory": check_subdirectory(item.get("subdirectory") or ""),
        "checksum": checksum,
        "deploy_key": item.get("deploy_key") or "",
        "known_hosts": item.get("known_hosts") or "",
    }


def _build_fields(item: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    environment, secrets = (
        as_variables("build_environment", item.get("build_environment")),
        as_variables("build_secrets", item.get("build_secrets")),
    )
    check_build_variables(environment, secrets)
    if item.get("build_with_deploy_key") and not item.get("deploy_key"):
        raise SourceError("build_with_deploy_key is set and there is no deploy_key: set it, or leave the other one out")
    return {
        "build_environment": environment,
        "build_secrets": secrets,
        "build_with_deploy_key": bool(item.get("build_with_deploy_key")),
        "python": _interpreter(_text("python", item)),
        "installer": _choice("installer", _text("installer", item), INSTALLERS),
        "requirements": None if item.get("requirements") is None else tuple(item["requirements"]),
        "packages": check_packages(item.get("packages") or ()),
        "constraints": check_packages(item.get("constraints") or ()),
        "build_constraints": check_packages(item.get("build_constraints") or ()),
        "prerelease": as_bool("prerelease", item.get("prerelease") or False),
        "system_packages": _matching(
            "system_packages", item.get("system_packages") or (), _SYSTEM_PACKAGE, _SYSTEM_PACKAGE_ADVICE
        ),
        "index_url": item.get("index_url") or "",
        "extra_index_url": _matching("extra_index_url", item.get("extra_index_url") or (), _INDEX, _INDEX_ADVICE),
        "ca_bundle": _absolute("ca_bundle", item),
        "wheel_dir": _absolute("wheel_dir", item),
        # The task brings its default along; an empty one stands for any version.
        "gunicorn_requirement": check_packages([item.get("gunicorn_requirement") or "gunicorn"])[0],
        "build_timeout": _whole("build_timeout", item),
        "source_max_mib": _whole("source_max_mib", item),
        "keep": _whole("keep", item),
    }


def _matching(key: str, texts: t.Sequence[str], pattern: re.Pattern[str], advice: str) -> tuple[str, ...]:
    """Return the elements of an option, each of which has to match."""
    for text in texts:
        if not pattern.fullmatch(text):
            raise SourceError(f"{key} '{mask_urls(text)}' must be {advice}")
    return tuple(texts)


def _process_fields(item: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    environment, secrets = (
        as_variables("environment", item.get("environment")),
        as_variables("secrets", item.get("secrets")),
    )
    merge_environment(environment, secrets)
    if item.get("mount") and "SCRIPT_NAME" in {**environment, **secrets}:
        raise AppError(
            f"app '{item['name']}': SCRIPT_NAME in its environment makes gunicorn refuse paths without it, which mount "
            "takes off: remove it, the application gets it with each request"
        )
    return {
        # Its data belongs to this user, and the old and the new name serve side by side.
        "user": check_name(item.get("user") or item.get("rename_from") or item["name"]),
        "group": check_name(item.get("group") or item.get("user") or item.get("rename_from") or item["name"]),
        "rename_from": _former_name(item),
        "names_user": bool(item.get("user")),
        "names_group": bool(item.get("group")),
        "app": _wsgi_path(item),
        "environment": environment,
        "secrets": secrets,
        "shared": _shared_paths(item.get("shared")),
        "trusted_hops": _whole("trusted_hops", item, least=0),
        "host_header": item.get("host_header") or "",
        "settings": _settings_of(item),
        "hooks": parse_hooks(item.get("hooks") or {}),
        "workers": normalise_workers(item.get("workers")),
        "timers": normalise_timers(item.get("timers")),
    }


def _former_name(item: t.Mapping[str, t.Any]) -> str:
    former = item.get("rename_from") or ""
    if former == item["name"]:
        raise AppError(f"app '{former}': rename_from is its own name: set it to the name before, or leave it out")
    return check_name(former) if former else ""


def _source(item: t.Mapping[str, t.Any], source_type: str, version: str) -> tuple[str, str]:
    source, checksum = str(item["source"]).strip(), str(item.get("checksum") or "")
    _choice("source_type", source_type, TYPES)
    if checksum:
        check_checksum(checksum)
    if detect_type(source, version, checksum, source_type) == "archive" and is_remote(source) and not checksum:
        raise SourceError(
            f"source '{mask_urls(source)}' is an archive to download and has no checksum: set checksum: 'sha256:...' "
            "(see sha256sum), so that every host builds the same bytes"
        )
    return source, checksum


def _pinned(requirement: str, version: str) -> str:
    if version and re.search(r"[=<>!~@;]", requirement):
        raise SourceError(f"source '{requirement}' and version '{version}' both name a version: keep one of them")
    return f"{requirement}=={version}" if version else requirement


def _choice(key: str, value: str, choices: t.Sequence[str]) -> str:
    """Return one of the choices."""
    if value not in choices:
        raise SourceError(f"{key} '{value}' must be one of {', '.join(choices)}")
    return value


def _absolute(key: str, item: t.Mapping[str, t.Any]) -> str:
    """Return a path on the host; an empty one is none."""
    path = item.get(key) or ""
    if path and not path.startswith("/"):
        raise SourceError(f"{key} '{path}' must be an absolute path on the host")
    return path


def _text(key: str, item: t.Mapping[str, t.Any]) -> str:
    """Return a text, or the default where there is none."""
    return str(item.get(key) or APP_DEFAULTS[key])


def _whole(key: str, item: t.Mapping[str, t.Any], least: int = 1) -> int:
    """Return a whole number, or the default where there is none."""
    return as_int(key, APP_DEFAULTS[key] if item.get(key) is None else item[key], least)


def _flag(key: str, item: t.Mapping[str, t.Any]) -> bool:
    """Return a boolean, or the default where there is none."""
    return as_bool(key, APP_DEFAULTS[key] if item.get(key) is None else item[key])


def _interpreter(python: str) -> str:
    """Return the name or path of a Python."""
    found = _INTERPRETER.fullmatch(python)
    if not found:
        raise DependencyError(
            f"python '{python}' must be a version (3.12), a program (python3.12) or its absolute path"
        )
    if found.group(1) == "3.1":
        raise DependencyError("python is 3.1: YAML reads 3.10 without quotes as 3.1, so write python: '3.10'")
    return f"python{found.group(1)}" if found.group(1) else python


def _wsgi_path(item: t.Mapping[str, t.Any]) -> str:
    """Return where the WSGI application is."""
    check_app_path(item["app"])
    render_wsgi(item["app"], 1, item.get("host_header") or "")
    return str(item["app"])


def _settings_of(item: t.Mapping[str, t.Any]) -> Settings:
    """Return all settings of gunicorn."""
    settings = parse_settings(item.get("gunicorn") or {})
    mount = item.get("mount") or {}
    domains = item.get("domains") or mount.get("domains") or []
    prefix = as_prefix("mount.path", mount.get("path") or "")
    if prefix and settings.prefix not in ("", prefix):
        raise AppError(
            f"app '{item['name']}': gunicorn.prefix '{settings.prefix}' is not mount.path '{prefix}': leave it out"
        )
    # Applications that refuse unknown host names would answer the gate with 400 otherwise.
    health = replace(settings.health, host=settings.health.host or (domains[0] if domains else ""))
    return replace(settings, health=health, prefix=prefix or settings.prefix)


def _check_no_file(path: str) -> None:
    """Raise SourceError for what other tools link as a file: a directory of that name would be in its way."""
    if path.endswith("/") or not _FILE_NAME.search(path):
        return
    configures = _CONFIGURES.search(path)
    directory = posixpath.dirname(path) or "instance"
    raise SourceError(
        f"shared '{path}' has the name of a file, and shared lists directories: "
        + (
            "write it into each release by 'files', or set variables by environment and secrets"
            if configures
            else f"let the application keep that file in a directory, such as {directory}/, and list the directory"
        )
        + f". A directory of that name is written '{path}/'"
    )


def _shared_paths(paths: t.Sequence[str] | None) -> tuple[str, ...]:
    """Return the directories that outlive releases."""
    result = []
    for path in ("instance",) if paths is None else paths:
        parts = path.strip("/").split("/")
        if path.startswith("/") or any(part in ("", ".", "..") for part in parts):
            raise SourceError(
                f"shared '{path}' must be a plain path inside the application, such as 'uploads' or 'var/data'"
            )
        _check_no_file(path)
        fault = length_fault(path)
        if fault:
            raise SourceError(f"shared '{path[:40]}...' is {fault}: use a shorter one")
        result.append("/".join(parts))
    for path in result:
        if any(other != path and path.startswith(other + "/") for other in result):
            raise SourceError(f"shared '{path}' is below another shared directory: list the outer one only")
    return tuple(sorted(set(result)))


def build_key(app: App, kind: str, revision: str, python: str) -> str:
    """Return what two releases have in common whose app/ and venv/ are equal; C(kind) is the type of the source."""
    return digest(_build_inputs(app, kind, revision, python))


def _build_inputs(app: App, kind: str, revision: str, python: str) -> dict[str, object]:
    return {
        "revision": revision,
        "type": kind,
        "subdirectory": app.subdirectory,
        "python": python,
        "installer": app.installer,
        "requirements": app.requirements,
        "packages": app.wanted_packages,
        "runtime": app.runtime_requirements,
        "shared": app.shared,
        "module": app.app.split(":", 1)[0],
        # What they make is part of the code.
        **({"hooks": app.hooks.build} if app.hooks.build else {}),
        # Secrets let a build in, and do not change what it makes: one that is exchanged is no reason for a new release.
        **({"build_environment": app.build_environment} if app.build_environment else {}),
        **app.version_rules,
        # Each release writes its own; one that another release has and this one has not must not come along.
        **({"files": [file.path for file in app.files]} if app.files else {}),
    }


def migration_key(app: App, revision: str) -> str:
    """Return what is equal on hosts with one database: they may have different Pythons, and so different releases."""
    # A file may say where the database is.
    files = [[file.identity for file in app.files]] if app.files else []
    inputs = [app.name, revision, app.subdirectory, app.environment, app.secrets, app.hooks.migrate, *files]
    return digest(inputs)[:16]


def identify(app: App, kind: str, revision: str, python: str) -> str:
    """Return the release id: everything that the process is, but neither where it came from nor how many are kept."""
    return release_id(
        revision,
        {
            **_build_inputs(app, kind, revision, python),
            "user": [app.user, app.group],
            "app": app.app,
            "environment": app.environment,
            "secrets": app.secrets,
            "settings": identifying_settings(app.settings),
            "wsgi": app.wsgi,
            "conf": render_gunicorn_conf(app.settings, "/release"),
            **({} if app.hooks.empty else {"hooks": app.hooks.to_json()}),
            **app.processes,
            **({"files": [file.identity for file in app.files]} if app.files else {}),
        },
    )


def needed_packages(items: t.Sequence[t.Mapping[str, t.Any]], packages: object, root: str) -> list[str]:
    """Return C(packages), those that every build needs, and those that the sources need.

    Raise an error for applications that cannot be built.
    """
    given = elements(packages, _PACKAGES, "flask_packages")
    apps = parse_apps(items, root)
    # A path may be a repository on the host, when a version of it is wanted.
    wanted = [app for app in apps if app.source_type == "git" or (app.source_type == PATH and app.version)]
    over_ssh = any("ssh://" in app.source or "@" in app.source.split("://")[0] for app in wanted)
    by_key = any(app.build_with_deploy_key for app in apps)
    of_sources = [*(["git"] if wanted or by_key else []), *(["openssh-client"] if over_ssh or by_key else [])]
    of_apps = [name for app in apps for name in app.system_packages]
    return list(dict.fromkeys([*(_ALWAYS if given else ()), *given, *of_sources, *of_apps]))
