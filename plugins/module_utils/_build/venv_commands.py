# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that create a virtualenv, and the meaning of their errors. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from .._app.dependencies import Dependencies
from .missing_tools import explain_missing_tool

UV, PIP = "uv", "pip"


@dataclass(frozen=True)
class VenvRequest:
    """Where a virtualenv is to be and where its packages come from."""

    installer: str
    interpreter: str
    venv: str
    app: str
    cache: str
    uv: str = ""
    index_url: str = field(default="", repr=False)
    ca_bundle: str = ""
    wheel_dir: str = ""
    extra_indexes: tuple[str, ...] = field(default=(), repr=False)
    constraints: tuple[str, ...] = ()
    build_constraints: tuple[str, ...] = ()
    prerelease: bool = False

    @property
    def constraints_file(self) -> str:
        """Return the path of the file with the constraints."""
        return f"{self.cache}/constraints.txt"

    @property
    def build_constraints_file(self) -> str:
        """Return the path of the file with the constraints of build requirements."""
        return f"{self.cache}/build-constraints.txt"

    @property
    def python(self) -> str:
        """Return the interpreter of the virtualenv."""
        return f"{self.venv}/bin/python"

    @property
    def has_other_index(self) -> bool:
        """Tell whether packages come from another index than the lock file names."""
        return bool(self.index_url or self.wheel_dir)


@dataclass(frozen=True)
class VenvCommand:
    """One command."""

    argv: tuple[str, ...]
    env: t.Mapping[str, str] = field(default_factory=dict)


def environment(request: VenvRequest) -> dict[str, str]:
    """Return the environment of a build. Credentials travel here: argv is in the process list."""
    values = {
        "HOME": f"{request.cache}/home",
        "TMPDIR": f"{request.cache}/tmp",
        "UV_CACHE_DIR": f"{request.cache}/uv",
        # A hard link into a cache that the application's user can write would let it change the release.
        "UV_LINK_MODE": "copy",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "PIP_CACHE_DIR": f"{request.cache}/pip",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_RETRIES": "2",
    }
    if request.index_url:
        values.update(UV_DEFAULT_INDEX=request.index_url, PIP_INDEX_URL=request.index_url)
    if request.extra_indexes:
        indexes = " ".join(request.extra_indexes)
        values.update(UV_INDEX=indexes, PIP_EXTRA_INDEX_URL=indexes)
    if request.ca_bundle:
        names = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE")
        values.update(dict.fromkeys(names, request.ca_bundle))
    if request.wheel_dir:
        values.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=request.wheel_dir, UV_OFFLINE="1")
    return values


def create(request: VenvRequest) -> list[VenvCommand]:
    """Return the command that makes the empty virtualenv."""
    if request.installer == UV:
        return [
            VenvCommand((request.uv, "venv", "--quiet", "--no-project", "--python", request.interpreter, request.venv))
        ]
    return [VenvCommand((request.interpreter, "-m", "venv", request.venv))]


def install(request: VenvRequest, dependencies: Dependencies) -> list[VenvCommand]:
    """Return the commands that install the dependencies of the source; for a lock file see C(sync)."""
    groups = [["--require-hashes", *_files(dependencies.hashed)]] if dependencies.hashed else []
    rest = [*_files(dependencies.plain), *(_project(project) for project in dependencies.projects)]
    return [_install(request, group) for group in (*groups, rest) if group]


def install_file(request: VenvRequest, path: str) -> VenvCommand:
    """Return the command that installs the requirements in a file."""
    return _install(request, ["-r", path])


def _files(paths: t.Sequence[str]) -> list[str]:
    return [word for path in paths for word in ("-r", path)]


def _project(project: str) -> str:
    return project if project.startswith(".") else f"./{project}"


def _install(request: VenvRequest, arguments: t.Sequence[str]) -> VenvCommand:
    rules = _version_rules(request, arguments)
    if request.installer == UV:
        options = ("--quiet", "--python", request.python, *_source(request))
        return VenvCommand((request.uv, "pip", "install", *options, *rules, *arguments))
    words = (request.python, "-m", "pip", "install", "--quiet", "--no-compile", *rules, *arguments)
    # For what it builds with, pip before 25.3 reads the first and later ones the second; all have the first hold for
    # what is installed, too.
    limited = "--require-hashes" not in arguments and request.build_constraints
    names = ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT") if limited else ()
    return VenvCommand(words, dict.fromkeys(names, request.build_constraints_file))


def _version_rules(request: VenvRequest, arguments: t.Sequence[str]) -> list[str]:
    """Return what else decides on versions; files with hashes name each themselves."""
    is_uv = request.installer == UV
    before_release = ["--prerelease", "allow"] if is_uv else ["--pre"]
    rules = before_release if request.prerelease else []
    if "--require-hashes" in arguments:
        return rules
    limits = ["--constraint", request.constraints_file] if request.constraints else []
    built = ["--build-constraint", request.build_constraints_file] if is_uv and request.build_constraints else []
    return [*limits, *built, *rules]


def _source(request: VenvRequest) -> list[str]:
    return ["--no-index", "--find-links", request.wheel_dir] if request.wheel_dir else []


def sync(request: VenvRequest, dependencies: Dependencies) -> list[VenvCommand]:
    """Return the command that installs a lock file from the index that it names."""
    extras = [word for extra in dependencies.extras for word in ("--extra", extra)]
    project = ["--project", _parent(dependencies.lock)]
    options = ["--quiet", "--locked", "--no-dev", "--no-editable", "--python", request.interpreter]
    # The lock file names its indexes: others would be a difference.
    env = {"UV_PROJECT_ENVIRONMENT": request.venv, **({"UV_INDEX": ""} if request.extra_indexes else {})}
    return [VenvCommand((request.uv, "sync", *options, *project, *extras), env)]


def check_lock(request: VenvRequest, dependencies: Dependencies) -> VenvCommand:
    """Return the command that compares a lock file with its project without asking an index."""
    # The lock file names the index it was made with: another one here would be a difference.
    env = {"UV_DEFAULT_INDEX": ""} if request.index_url else {}
    env.update({"UV_INDEX": ""} if request.extra_indexes else {})
    words = ("lock", "--quiet", "--check", "--offline", "--python", request.interpreter)
    return VenvCommand((request.uv, *words, "--project", _parent(dependencies.lock)), env)


def export_lock(request: VenvRequest, dependencies: Dependencies, path: str) -> VenvCommand:
    """Return the command that writes a lock file as requirements with hashes, to install from another index."""
    extras = [word for extra in dependencies.extras for word in ("--extra", extra)]
    options = ["--quiet", "--frozen", "--no-dev", "--no-emit-local", "--output-file", path, "--offline"]
    return VenvCommand((request.uv, "export", *options, "--project", _parent(dependencies.lock), *extras))


def install_exported(request: VenvRequest, dependencies: Dependencies, path: str) -> list[VenvCommand]:
    """Return the commands that install the output of C(export_lock), and the project itself where it is one."""
    steps = [_install(request, ["--require-hashes", "-r", path])]
    if dependencies.local:
        steps.append(_install(request, ["--no-deps", _project(_parent(dependencies.lock))]))
    return steps


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "."


def compile_all(request: VenvRequest, paths: t.Sequence[str]) -> VenvCommand:
    """Return the command that compiles all modules: a sandboxed service cannot, and would start slowly."""
    jobs = ["-j", "0"] if len(paths) > 1 else []
    # Without site the packages' own code is not run.
    return VenvCommand((request.interpreter, "-I", "-S", "-m", "compileall", "-q", *jobs, *paths))


# compileall(1) reads a dozen modules before it begins, which takes twice as long as the code of most applications.
_COMPILE = """
import os, sys
from importlib.machinery import SourceFileLoader
for place, _directories, names in os.walk(sys.argv[1]):
    for name in names:
        if name.endswith(".py"):
            try:
                SourceFileLoader(name, os.path.join(place, name)).get_code(name)
            except Exception:
                pass
"""


def compile_code(request: VenvRequest, path: str) -> VenvCommand:
    """Return the command that compiles the modules of an application, as an import would."""
    return VenvCommand((request.interpreter, "-I", "-S", "-c", _COMPILE, path))


_FULL = "the disk is full"
_UNBUILT = (
    "a package has no wheel for this host and could not be built: add the packages of the distribution that its build "
    "needs to system_packages, or choose another version"
)

LOCK_DIFFERS = (
    "the lock file does not match pyproject.toml, for which another version of the project itself is enough: run "
    "'uv lock' where the source is kept and commit uv.lock"
)

# The first that matches explains.
_FAILURES = (
    (r"No space left on device|Disk quota exceeded", _FULL),
    (
        r"needs to be updated, but .?--locked",
        LOCK_DIFFERS,
    ),
    (
        r"DO NOT MATCH THE HASHES|Hash mismatch",
        "a package is not the one whose hash was recorded: it was replaced at the index, or the hash is wrong",
    ),
    (
        r"--require-hashes|must have their versions pinned|[Hh]ashes are required|must be pinned|missing a hash",
        "a requirement has no hash while others have: make the file again with 'uv pip compile --generate-hashes'",
    ),
    (
        r"UnknownIssuer|CERTIFICATE_VERIFY_FAILED|invalid peer certificate|certificate verify failed",
        "the index's certificate is not trusted on this host: set 'ca_bundle'",
    ),
    (
        r"\b401\b|\b403\b|Unauthorized|Forbidden",
        "the index refuses the credentials: put user and token into 'index_url'",
    ),
    (
        r"dns error|failed to lookup address|Name or service not known|Temporary failure in name resolution",
        (
            "the index's name cannot be resolved on this host: correct 'index_url', or set 'wheel_dir' on a host "
            "without network"
        ),
    ),
    (
        (
            r"Connection refused|tcp connect error|Network is unreachable|timed out|error sending request"
            r"|NewConnectionError|ConnectTimeout"
        ),
        "the index cannot be reached from this host: check 'index_url', the proxy and the firewall, or set 'wheel_dir'",
    ),
    (
        r"pkg[-_]resources\s*==\s*0\.0\.0",
        "'pkg-resources==0.0.0' is no package, although some versions of Debian's pip freeze it: remove that line",
    ),
    (
        r"Expected '=' or whitespace, found|Unexpected '-', expected '-c'|Error parsing included.*\n.*failed to read",
        (
            "uv does not read an option of this form, and pip may: put it on one line with a blank, as '-r base.txt', "
            "or set installer: pip"
        ),
    ),
    (
        r"dubious ownership",
        "git refuses a repository on this host that belongs to another user: give it to the application's user",
    ),
    (
        r"was yanked",
        (
            "a version that is required was withdrawn from the index (yanked), and is taken only when it is named: add "
            "it to packages, such as 'validators==0.15.0', or choose another version of what requires it"
        ),
    ),
    (
        (
            r"(?:Distribution not found at: file://|No such file or directory: ')/\S*/releases/[^/\s']+/"
            r"(?!(?:app|venv)/)"
            r"|relative path without a working directory: \.\./|(?:^|[ '])\.\./\S+ is not a valid editable requirement"
            r"|Invalid requirement: '\.\./"
        ),
        (
            "a requirement leads to a directory beside the source, which no release has: add it to the source; or let "
            "the source be the directory that has both, without 'subdirectory', and name the project in it, such as "
            "requirements: [web/pyproject.toml]; or write where this host gets the package from, such as 'NAME @ "
            "git+https://git.example.com/NAME.git'"
        ),
    ),
    (
        (
            r"Distribution not found at: file:|relative URL without a base|is not a valid editable requirement"
            r"|looks like a (?:filename|path)"
        ),
        (
            "a requirement names a file or directory that is not there: add it to the source (paths begin at the top "
            "of the code), or write where this host gets the package from, such as 'NAME @ "
            "git+https://git.example.com/NAME.git'"
        ),
    ),
    (
        r"does not appear to be a Python project",
        (
            "a requirement such as '-e .' asks for a directory without pyproject.toml and setup.py: remove that line "
            "(the application's own code needs no installation), or add the file to the source"
        ),
    ),
    (
        r"did not contain valid UTF-8|UnicodeDecodeError: ",
        "a file of requirements is not in UTF-8: save it as such, as 'iconv -f latin1 -t utf-8' does",
    ),
    (
        r"Couldn't parse requirement in|or the start of a requirement|Invalid requirement:",
        "a line of the requirements cannot be read: write it as 'flask==3.0.3', one package a line",
    ),
    (
        r"has no wheels with a matching|is not a supported wheel on this platform",
        (
            "a package has wheels, but none for this host's Python or system: choose another version of it, set python "
            "to one that it has a wheel for, or, when it is for another system, write '; sys_platform == \"win32\"' "
            "behind it"
        ),
    ),
    (
        (
            r"not found in the (?:package registry|provided package locations)|No matching distribution|no versions? of"
            r"|was not found in the cache"
        ),
        "a package, or that version of it, is not in the index",
    ),
    (
        r"requires-python|Requires-Python|does not satisfy Python|requires a different Python|Python requirement",
        "the interpreter is too old or too new for a package: set 'python'",
    ),
    (r"No solution found|ResolutionImpossible|conflicting dependencies", "the requirements contradict each other"),
    (
        (
            # Of a program that the build calls, before that of Python, which says that it failed.
            r"command '.*(?:gcc|cc|clang)'|fatal error: .*\.h|pg_config"
        ),
        _UNBUILT,
    ),
    (
        # setuptools, hatchling, poetry-core and flit_core, uv_build.
        (
            r"Multiple top-level (?:packages|modules) discovered|Unable to determine which files to ship"
            r"|No file/folder found for (?:package|module)|Expected a Python module at"
        ),
        (
            "the build of a project does not find out which of its files are the package: name them in its "
            "pyproject.toml, or, when it is the application's own, whose code needs no installation, list its "
            "dependencies in a file requirements.txt ('uv pip compile pyproject.toml -o requirements.txt' writes them) "
            "and set requirements: [requirements.txt]; a uv.lock, without [build-system], installs them alone as well"
        ),
    ),
    (
        # The build itself, below the tools that it is made with.
        (
            r"(?ms)(?:Failed to build|build_meta\.py|setup\.py).*"
            r"^\s*(?:(?:Assertion|Attribute|Import|Key|ModuleNotFound|Name|Syntax|Type|Value)Error|re\.error): "
        ),
        (
            "a package has no wheel for this host, and its build fails with this Python or these tools: choose a "
            "version of the package that has a wheel, set python to an older one, or limit the tools by "
            "build_constraints, such as 'setuptools<81'"
        ),
    ),
    (
        r"Failed to build [`'](?:[^`'\s]+ @ )?file:|─> from file:",
        "a project of the source cannot be built: see what its build says, and mend it where the source is kept",
    ),
    (r"Failed to build|Build failures|failed-wheel-build|metadata-generation-failed", _UNBUILT),
    (
        r"Permission denied",
        "the application's user may not read a file: packages are installed with its rights",
    ),
)


def explain_install_failure(said: str) -> str:
    """Return the meaning of an installer's error, and the way out."""
    tool = explain_missing_tool(said)
    hints = [hint for pattern, hint in _FAILURES if re.search(pattern, said)]
    # The output of a compiler may contain a number that looks like an HTTP status.
    return hints[0] if hints and (not tool or hints[0] == _FULL) else tool or "see what the installer says"
