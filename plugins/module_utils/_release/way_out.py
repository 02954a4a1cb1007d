# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Suggest the setting that fixes an error caused by the sandbox or by a release. Private to flaskops.stack."""

from __future__ import annotations

import posixpath
import re
import typing as t
from dataclasses import dataclass

from .._system.homes import HOMES
from .model import Layout, Manifest

# What Python says of a system call that failed, with the path: "[Errno 13] Permission denied: '/var/log/shop.log'".
# A call with two paths names the one that is written last.
_FAILED = re.compile(r"\[Errno (?P<number>\d+)\] [^:\n]*: (?:'[^'\n]+' -> )?'(?P<path>[^'\n]+)'")
# The last frame of a traceback before it, from the name of the file on.
_STARTS = re.compile(r'^[^"\n]*/subprocess\.py", line \d+, in _execute_child$', re.MULTILINE)
# The last frame of a traceback before it, when the path is a directory that is made, and no file.
_MAKES = re.compile(r"\b(?:mkdir|makedirs)\b")
_PACKAGE = re.compile(r"lib/python3[^/]*/site-packages/(?P<inside>(?P<name>[^/]+)/.+)")
_ENOENT, _ENXIO, _EACCES, _EROFS, _EPERM = "2", "6", "13", "30", "1"
_REFUSED = (_EACCES, _EROFS, _EPERM)
_STANDARD = re.compile(r"/dev/(?:stdout|stderr|fd/[0-9]+)|/proc/(?:self|[0-9]+)/fd/[0-9]+")
_TEMPORARY = ("/tmp/", "/var/tmp/")
_LOGS = "/var/log/"
# Whoever may write there, or to the releases, starts programs as root.
_OF_ROOT = ("/etc/systemd/", "/run/systemd/", "/usr/lib/systemd/", "/lib/systemd/")
# Whoever may write there may do harm to others.
_OF_THE_SYSTEM = frozenset(
    [
        *("/", "/boot", "/etc", "/media", "/mnt", "/opt", "/run", "/run/lock", "/srv", "/usr", "/var"),
        *("/usr/local", "/usr/share", "/var/backups", "/var/cache", "/var/lib", "/var/local", "/var/lock", "/var/log"),
        *("/var/mail", "/var/opt", "/var/run", "/var/spool", "/var/www"),
    ]
)
# As dash and bash, env and make say it.
_NOT_FOUND = re.compile(
    r"(?:^[^\s:]+: (?:line )?\d+: |^(?:ba)?sh: (?:line )?(?:\d+: )?)(?P<shell>[\w.+-]+): (?:command )?not found$"
    r"|^(?:/usr/bin/)?env: ['\u2018](?P<env>[\w.+-]+)['\u2019]: No such file"
    r"|^make(?:\[\d+\])?: (?P<make>[\w.+-]+): No such file",
    re.MULTILINE,
)
_VARIABLE = re.compile(r"(?:<frozen os>|/os\.py)\", line \d+, in __getitem__\n(?: .*\n)*KeyError: '(?P<name>\w+)'")
# An error of an installer, or of a compiler that it calls, is not one of the application.
_INSTALLS = "cannot install "
_IMPORT = re.compile("ModuleNotFoundError|ImportError|AttributeError")
# Releases are shortened in errors of a build.
_SHORT = "<release>"
_MOST = 2
_OTHER_TOP = (
    "modules are looked for at the top of the code: when this one is below a directory of it, such as src/, set "
    "environment to {PYTHONPATH: src}, or let requirements install the project; when the whole project is in a "
    "directory of the source, with its requirements, set subdirectory"
)
_MADE = "make the application in a file of 'files', such as served.py, and set app to served:app"
_ASGI = (
    "this is an ASGI application, and gunicorn's workers here serve WSGI: let app name a WSGI application, if there is "
    "one; or add a2wsgi to packages, wrap it with a2wsgi.ASGIMiddleware in a file of 'files', and let app name that"
)
_SHADOWS = (
    "the file has the name of a module of Python, and hides it: rename the file, and correct app where it is the "
    "application's own"
)
_IMPORTS_ITSELF = (
    "the file imports itself: when a package of that name is meant, which the file hides, rename the file, and correct "
    "app where it is the application's own"
)
# What a database says to one of several workers that make the same tables or columns at the same moment.
_MADE_TWICE = (
    r"(?:Error\b.*|^)(?:table|index) \S+ already exists",
    r"duplicate column name: ",
    r"database (?:table )?is locked",
    r"\b(?:relation|type|column) \"[^\"\n]+\".* already exists",
    r"\"pg_(?:type|class)_\w+_index\"",
    r"tuple concurrently updated",
    r"\((?:1050|1060|1061), ",
)
_WORKER = r"Exception in worker process|Worker \(pid:\d+\) exited"
_CHANGES_AT_ONCE = (
    "each worker changes the database when it imports the application, all at the same moment: let one process do it "
    "before, with hooks.migrate (a hook such as [python, -c, import shop] is enough, see docs/recipes.md), or set "
    "gunicorn.preload to true"
)
_NOT_MIGRATED = (
    r"\bno such (?:table|column): ",
    r"\brelation \"[^\"\n]+\" does not exist",
    r"\bcolumn \S+ (?:of relation \S+ )?does not exist",
    r"\((?:1146|1054), ",
)
_MIGRATE = (
    "the database lacks a table or a column: let hooks.migrate make it before the release starts, such as "
    "migrate: [flask db upgrade], or [flask init-db] where the application has that command"
)


@dataclass(frozen=True)
class AppPaths:
    """The directories and the user of an application."""

    name: str
    user: str
    releases: str
    shared: str
    # The directories, relative to the code, that outlive releases.
    listed: tuple[str, ...] = ()
    # Module and attribute of the application, as in module:attribute; of a dotted name the first, and the last.
    module: str = ""
    attribute: str = ""
    # Whether it has code of its own, whose directories can be named; a package from an index has none.
    has_source: bool = True


def place_of(layout: Layout, user: str, listed: t.Sequence[str] = (), app: str = "", source_type: str = "") -> AppPaths:
    """Return where an application lives; C(listed) are its shared directories, and C(app) is what gunicorn loads."""
    module, _colon, rest = app.partition(":")
    attribute = rest.partition("(")[0].strip().rpartition(".")[2]
    return AppPaths(
        layout.name,
        user,
        layout.releases,
        layout.shared,
        tuple(listed),
        module.partition(".")[0],
        attribute,
        source_type != "pypi",
    )


def place_of_release(layout: Layout, manifest: Manifest) -> AppPaths:
    """Return where the application of a release lives."""
    source_type = str(manifest.source.get("type") or "")
    return place_of(layout, manifest.user, manifest.shared, manifest.app, source_type)


def ways_out(text: str, place: AppPaths) -> list[str]:
    """Return what to set, a sentence for each kind of failure in C(text), the end of a log or a traceback."""
    if text.startswith(_INSTALLS):
        return []
    found = [way for match in _FAILED.finditer(text) if (way := _of_call(text, match, place))]
    # A path that could not be opened may have been of a log alone, and something else the end.
    found += [way for pattern, way in _of_words(place).items() if re.search(pattern, text, re.MULTILINE)]
    if not found and text.startswith("hook ") and (way := _of_hook(text)):
        found = [way]
    if not found and (way := _of_database(text)):
        found = [way]
    if not found and _IMPORT.search(text):
        # Loaded for those who need it.
        from .import_ways import import_way

        found = [way] if (way := import_way(text, place.module)) else []
    return list(dict.fromkeys(found))[:_MOST]


def with_ways_out(text: str, place: AppPaths) -> str:
    """Return an error with the ways out below it."""
    return "\n".join([text, *(f"Way out: {way}" for way in ways_out(text, place))])


def _of_hook(text: str) -> str:
    """Return the way out for what a command of the user misses."""
    program, variable = _NOT_FOUND.search(text), _VARIABLE.search(text)
    if program:
        return _lacks_program(program["shell"] or program["env"] or program["make"])
    if variable:
        return (
            f"the environment variable {variable['name']} is not set: add it to environment, or to secrets if it is "
            "secret; hooks have both"
        )
    return ""


def _lacks_program(name: str) -> str:
    return (
        f"this host does not have the program '{name}': add the package of the distribution that has it to "
        "system_packages"
    )


def _of_database(text: str) -> str:
    """Return the way out for what a database lacks, or has got from another worker; hooks.migrate itself has none."""
    if text.startswith("hook migrate"):
        return ""
    if re.search(_WORKER, text) and re.search("|".join(_MADE_TWICE), text, re.MULTILINE):
        return _CHANGES_AT_ONCE
    return _MIGRATE if re.search("|".join(_NOT_MIGRATED), text) else ""


def _of_words(place: AppPaths) -> dict[str, str]:
    """Return the ways out by what is said where no path is named."""
    return {
        r"No module named 'pkg_resources'": (
            "setuptools 81 and later do not have pkg_resources: add 'setuptools<81' to packages, or take a newer "
            "version of the package that imports it"
        ),
        r"sqlite3.*(?:unable to open database file|attempt to write a readonly database)": (
            "SQLite needs a directory it may write to: put the database into a directory of 'shared', "
            f"such as instance/, and let it belong to user '{place.user}' ({place.shared})"
        ),
        **({rf"No module named '{re.escape(place.module)}'": _OTHER_TOP} if place.module and place.has_source else {}),
        # LLVM's compiler, as numba has it, and callbacks of cffi.
        r"[Cc]annot allocate (?:write\+execute|executable) memory": (
            "the sandbox forbids memory that is both written and run: set gunicorn.sandbox.MemoryDenyWriteExecute to "
            "false"
        ),
        r"Address family not supported by protocol": (
            "the sandbox allows AF_UNIX, AF_INET and AF_INET6 only: set gunicorn.sandbox.RestrictAddressFamilies to "
            "those that the application needs"
        ),
        **(
            {
                rf"TypeError: (?:\w+\.)*{re.escape(place.attribute)}\(\) missing \d+ required": (
                    f"write the arguments of {place.attribute}() in app, as literals, or {_MADE}"
                )
            }
            if place.attribute
            else {}
        ),
        r"TypeError: app .* not callable: it is of type '\w+'$": f"name what is a WSGI application in app, or {_MADE}",
        r"TypeError: this '\w+' is an ASGI application": _ASGI,
        r"TypeError: .*\(\) missing 1 required positional argument: 'send'": _ASGI,
        r"TypeError: .*\(\) missing \d required positional arguments: .*'receive',? and 'send'": _ASGI,
        r"^EOFError: EOF when reading a line$": (
            "nobody can type anything in: read it from a variable, which environment sets, or secrets"
        ),
        r"^SystemExit(?:: (?:0|None))?$": (
            "it ends its process when it is imported: put what does so below 'if __name__ == \"__main__\":'"
        ),
        # As Python 3.13 says it.
        r"\(consider renaming '[^'\n]*/app/\w+\.py' since": _SHADOWS,
        r"\(consider renaming '[^'\n]*/app/\w+\.py' if": _IMPORTS_ITSELF,
        r"/app/(\w+)\.py\", line \d+, in .*\n(?: .*\n)*\w+: .*\bpartially initialized module '\1'": _IMPORTS_ITSELF,
        r"(?:OS|Import)Error: (?:[\w./+-]*/)?lib[\w.+-]+\.so[\w.]*: cannot open shared object file": (
            "this host does not have that library: add the package of the distribution that has it to system_packages, "
            "such as libmagic1 for libmagic.so.1, or libgl1 for libGL.so.1"
        ),
        r"No module named '_?tkinter'": "Tk is a package of its own: add python3-tk to system_packages",
        r"locale\.Error: unsupported locale setting": (
            "this host does not have that locale: add locales-all to system_packages, which has all of them, or use "
            "C.UTF-8"
        ),
    }


def _of_call(text: str, match: re.Match[str], place: AppPaths) -> str:
    """Return the way out for a system call that failed: one that starts a program, or one that opens a path."""
    frame = text[: match.start()].rpartition('  File "')[2]
    if _STARTS.search(frame) and match["number"] == _ENOENT:
        return _lacks_program(match["path"])
    return _of_path(match["number"], match["path"], place, _MAKES.search(frame) is not None)


def _of_path(number: str, path: str, place: AppPaths, is_directory: bool) -> str:
    if _STANDARD.fullmatch(path):
        return (
            f"log to standard error with logging.StreamHandler() instead of opening {path}, which is a socket of "
            f"systemd's journal: journalctl -t {place.name} shows it"
        )
    inside = _inside_release(path, place)
    if inside and inside[0] == "app" and any(inside[1].startswith(f"{name}/") for name in place.listed):
        return _of_listed(number, inside[1], place)
    if inside:
        return _of_release(number, *inside, place, is_directory)
    if f"{path}/".startswith(place.shared + "/"):
        return _of_shared(number, path, place)
    return _of_host(number, path, place)


def _inside_release(path: str, place: AppPaths) -> tuple[str, str] | None:
    """Return the part of a release that a path is in, and the rest of the path; relative ones begin at the code."""
    if not path.startswith(("/", "..", _SHORT)):
        return ("app", posixpath.normpath(path))
    base = re.escape(posixpath.dirname(place.releases))
    found = re.fullmatch(rf"(?:{_SHORT}|{base}/current|{base}/releases/[^/]+)/(app|venv)/(.+)", path)
    return (found[1], posixpath.normpath(found[2])) if found else None


def _of_release(number: str, part: str, path: str, place: AppPaths, is_directory: bool) -> str:
    if part == "venv":
        return _of_virtualenv(path, place, is_directory) if number in _REFUSED else ""
    # A name without a suffix is a directory more often than not.
    directory = _made(path) if is_directory else posixpath.dirname(path) or ("" if "." in path else path)
    if number in _REFUSED and directory:
        return f"the code is read-only: add '{directory}' to shared, which makes it a directory that outlives releases"
    if number in _REFUSED:
        return (
            f"the code is read-only: let the application write '{path}' into a directory of its own, such as "
            f"data/{path}, and add that directory to shared"
        )
    if number == _ENOENT and directory:
        return f"if the application writes there, add '{directory}' to shared: the directory is made then"
    return ""


def _made(path: str) -> str:
    """Return a directory as C(shared) lists it, where a slash tells what looks like a file's name from one."""
    return f"{path}/" if "." in posixpath.basename(path)[1:] else path


def _of_virtualenv(path: str, place: AppPaths, is_directory: bool) -> str:
    """Return the way out for what a package writes beside its own code."""
    told = f"the virtualenv is read-only: tell the package, in environment, to write below {place.shared}"
    found = _PACKAGE.fullmatch(path)
    name_of = _made if is_directory else _directory
    directory = name_of(found["inside"]) if found else ""
    if not found or "/" not in directory:
        return told
    return (
        f"{told}; where it cannot be told, copy '{found['name']}' into the code by a build hook and add '{directory}' "
        "to shared, as docs/recipes.md does"
    )


def _directory(path: str) -> str:
    """Return the directory of a path; a name without a suffix is one more often than not."""
    return posixpath.dirname(path) if "." in posixpath.basename(path) else path


def _of_listed(number: str, path: str, place: AppPaths) -> str:
    """Return the way out for what is in a directory that is shared already."""
    where = f"{place.shared}/{path}"
    if number == _ENOENT:
        return (
            f"'{path}' is in a shared directory, which outlives releases and lacks it: put it to {where} on the host, "
            "or let the application make it"
        )
    return _of_shared(number, where, place)


def _of_shared(number: str, path: str, place: AppPaths) -> str:
    if number in _REFUSED:
        return f"{path} must belong to user '{place.user}', who runs the application: chown it, with what is below it"
    return ""


def _of_host(number: str, path: str, place: AppPaths) -> str:
    if path.startswith(_TEMPORARY):
        return (
            "/tmp and /var/tmp are private to each unit: web, workers, timers and hooks see none of each other's files "
            "there; share them in a directory of 'shared'"
        )
    if number == _ENOENT and path.startswith(_LOGS):
        directory = posixpath.dirname(path)
        return (
            f"log to standard error, which 'journalctl -t {place.name}' shows, or into a directory of 'shared'; or "
            f"make '{directory}' on the host for user '{place.user}', and add it to gunicorn.sandbox_paths"
        )
    of_root = path.startswith(_OF_ROOT) or f"{path}/".startswith(place.releases + "/")
    if number not in _REFUSED or not path.startswith("/") or of_root:
        return ""
    if path.startswith(HOMES):
        return (
            "the sandbox hides /home and /root: in environment, set what leads there (HOME, XDG_CACHE_HOME) "
            f"to {place.shared}; or set gunicorn.sandbox.ProtectHome to false, and list the directory in "
            "gunicorn.sandbox_paths"
        )
    if path.startswith(("/proc/", "/sys/", "/dev/")):
        return ""
    return _of_outside(path, place)


def _of_outside(path: str, place: AppPaths) -> str:
    """Return the way out for a path that the service may not write to."""
    directory = posixpath.dirname(path)
    if directory in _OF_THE_SYSTEM:
        return (
            f"the service may write to {place.shared} only, and {directory} is the system's: make a directory such as "
            f"{posixpath.join(directory, place.name)} for user '{place.user}', let the application write into it, and "
            "add it to gunicorn.sandbox_paths"
        )
    return (
        f"the service may write to {place.shared} only: add '{directory}' to gunicorn.sandbox_paths, and let it belong "
        f"to user '{place.user}'"
    )
