# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a virtualenv is made of, by which commands, and what their failures mean."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.dependencies import (
    Dependencies,
    DependencyError,
    check_packages,
    needs_source,
    plan_dependencies,
)
from ansible_collections.flaskops.stack.plugins.module_utils._app.requirements import decode
from ansible_collections.flaskops.stack.plugins.module_utils._build import venv_commands as commands

LOCK = 'source = { virtual = "." }\n'


def plan(files: dict[str, str], listed: list[str] | None = None, installer: str = "uv") -> Dependencies:
    return plan_dependencies(listed, files.get, installer)


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({}, []),
        ({"requirements.txt": "flask"}, ["requirements.txt"]),
        ({"pyproject.toml": "", "setup.py": ""}, ["."]),
        ({"setup.py": ""}, ["."]),
        ({"requirements.txt": "flask", "pyproject.toml": ""}, ["requirements.txt"]),
        ({"requirements.txt": "flask", "pyproject.toml": "", "uv.lock": LOCK}, ["uv.lock"]),
    ],
)
def test_the_most_exact_file_is_found(files: dict[str, str], names: list[str]) -> None:
    assert plan(files).names == names


FILES = {
    "requirements.txt": "flask",
    "req/prod.txt": "-r base.txt\n-c ../constraints.txt\nrequests",
    "req/base.txt": "flask==3 --hash=sha256:00",
    "constraints.txt": "idna<4",
    "pyproject.toml": "[project]",
    "web/pyproject.toml": "[project]",
    "uv.lock": LOCK,
}


def test_listed_files_are_taken_with_what_they_include() -> None:
    found = plan(FILES, ["req/prod.txt", "requirements.txt", "web/pyproject.toml[b, a]"])
    assert found.hashed == ("req/prod.txt",)
    assert found.plain == ("requirements.txt",)
    assert found.projects == ("web[a,b]",)
    assert dict(found.inputs).keys() == {
        "req/prod.txt", "req/base.txt", "constraints.txt", "requirements.txt", "web/pyproject.toml",
    }  # fmt: skip


def test_a_hash_in_a_comment_asks_for_none() -> None:
    text = "# checked with: pip hash --hash sha256\nflask==3  # or --hash=sha256:00\n"
    assert plan({"requirements.txt": text}).plain == ("requirements.txt",)


def test_an_empty_list_installs_nothing() -> None:
    assert plan(FILES, []).names == []


def test_extras_of_a_lock_file_are_read() -> None:
    found = plan(FILES, ["uv.lock[web]"])
    assert (found.lock, found.extras, found.local) == ("uv.lock", ("web",), False)


@pytest.mark.parametrize(
    ("listed", "installer", "message"),
    [
        (["nope.txt"], "uv", "'nope.txt' is not in the source"),
        (["../requirements.txt"], "uv", "inside the source"),
        (["/etc/passwd"], "uv", "inside the source"),
        (["-x"], "uv", "inside the source"),
        (["uv.lock", "requirements.txt"], "uv", "beside other files"),
        (["uv.lock"], "pip", "only uv can read"),
        (None, "pip", "only uv can read"),
    ],
)
def test_files_that_cannot_be_installed_are_refused(listed: list[str] | None, installer: str, message: str) -> None:
    with pytest.raises(DependencyError, match=message):
        plan(FILES, listed, installer)


def test_a_missing_include_is_named() -> None:
    with pytest.raises(DependencyError, match=r"'more\.txt', which a requirements file includes"):
        plan({"requirements.txt": "-r more.txt"})
    with pytest.raises(DependencyError, match=r"'\.\./more\.txt', .* without 'subdirectory'"):
        plan({"requirements.txt": "-r ../more.txt"})


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("flask\nrequests>=2  # not ./here", False),
        ("-e .", True),
        ("--editable src/shop", True),
        (".", True),
        ("./vendor/x.whl", True),
        ("vendor/x.whl", True),
        ("shop @ file:///srv/x.whl", True),
        ("shop @ https://example.com/x.whl", False),
        ("./vendor/shop", True),
        ("shop @ file:vendor/x.whl", True),
    ],
)
def test_what_is_built_from_the_source_is_noticed(text: str, local: bool) -> None:
    assert plan({"requirements.txt": text}).local is local


@pytest.mark.parametrize(
    ("source", "local"),
    [
        ('virtual = "."', False),
        ('editable = "."', True),
        ('directory = "libs/x"', True),
        ('path = "vendor/x.whl"', True),
        ('registry = "https://pypi.org/simple"', False),
        ('registry = "vendor/wheels"', True),
    ],
)
def test_a_lock_file_says_whether_it_holds_the_source(source: str, local: bool) -> None:
    assert plan({"uv.lock": f"source = {{ {source} }}\n", "pyproject.toml": ""}).local is local


@pytest.mark.parametrize(
    ("settings", "installer", "local"),
    [
        ({}, "uv", False),
        ({"pyproject.toml": "[project]\n[tool.ruff]\n"}, "uv", False),
        ({"pyproject.toml": '[tool.uv]\nfind-links = ["wheels"]\n'}, "uv", True),
        ({"pyproject.toml": '[[tool.uv.index]]\nurl = "./simple"\n'}, "uv", True),
        ({"uv.toml": 'constraint-dependencies = ["flask<3"]\n'}, "uv", True),
        ({"uv.toml": 'constraint-dependencies = ["flask<3"]\n'}, "pip", False),
    ],
)
def test_settings_that_uv_reads_beside_requirements_count(
    settings: dict[str, str], installer: str, local: bool
) -> None:
    found = plan({"requirements.txt": "flask", **settings}, ["requirements.txt"], installer)
    assert found.local is local
    assert (dict(found.inputs).keys() == {"requirements.txt", *settings}) is (local or not settings)


FORMS = [
    "-rbase.txt",
    "-r base.txt",
    "-r=base.txt",
    "--requirement base.txt",
    "--requirement=base.txt",
    '-r "base.txt"',
    "-r 'base.txt'",
    "-r \\\n  base.txt",
    "-r ba\\\nse.txt",
    "-r ./nested/../base.txt",
    "-r base.txt  # what all have",
    "-cbase.txt",
    "--constraint base.txt",
    # These pip or uv alone understand, or they lead where no reader can follow.
    "--req base.txt",
    "--requirem base.txt",
    "-r ${NAME}.txt",
    "--pre -r base.txt",
    "-r two words.txt",
    "#\x0c-r base.txt",
    "#\u2028-r base.txt",
    "# coding: utf-7\n+AC0-r base.txt",
    "-r https://example.com/base.txt",
    "-r file:base.txt",
    "-r /srv/base.txt",
    "-f wheels",
    "--find-links=wheels",
    "--find wheels",
    "--extra-index-url simple",
    "-i file:///srv/simple",
    "-e src/shop",
    "-esrc/shop",
    "--edit src/shop",
    "shop-1-py3-none-any.whl",
    "vendor/shop.tar.gz",
    "${VENDOR}/shop",
    "shop @ vendor/shop",
    "shop @ file:vendor/shop",
    "shop @ ${WHERE}",
    "[build-system]",
    "--override base.txt",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("through", ["", "-r middle.txt\n"])
def test_what_an_installer_may_read_goes_into_the_key(form: str, through: str) -> None:
    files = {"base.txt": "flask", "requirements.txt": through or form, "middle.txt": form}
    before, after = plan(files), plan({**files, "base.txt": "flask\nsix"})
    assert after.local or before.inputs != after.inputs


@pytest.mark.parametrize(
    "text",
    [
        "flask",
        "Flask[async, dotenv] >= 3, <4 ; python_version > '3.8'  # comment ./x",
        "flask (>=3)\r\nredis~=5.0",
        "--no-binary :all:\n--only-binary=flask,redis\n--pre\n--trusted-host index.test",
        "--index-url https://index.test/simple\n-i https://index.test/simple\n--find-links=https://index.test/wheels",
        "flask==3.0.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via -r requirements.in\n\n",
        "lib @ git+https://git.test/lib.git@v1#egg=lib",
        "git+ssh://git@git.test/lib.git",
        "https://index.test/lib-1-py3-none-any.whl",
        "# ./vendor/x.whl\n\n   # -e .",
        "zope.interface===6.0",
    ],
)
def test_a_file_that_is_understood_does_not_depend_on_the_tree(text: str) -> None:
    found = plan({"requirements.txt": text})
    assert (found.local, found.inputs) == (False, (("requirements.txt", text),))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_files_are_decoded_as_installers_do(encoding: str) -> None:
    assert decode("-r base.txt\r\n".encode(encoding)) == "-r base.txt\n"


def test_bytes_that_are_no_text_are_not_understood() -> None:
    assert plan({"requirements.txt": decode("flask # \xe9".encode("latin-1"))}).local
    assert plan({"requirements.txt": decode("-r base.txt".encode("utf-16-le"))}).local


@pytest.mark.parametrize(
    ("package", "local"),
    [("six", False), ("psycopg[binary]>=3", False), ("vendor/x.whl", True), ("x.whl", True), ("x @ ${WHERE}", True)],
)
def test_packages_that_may_come_from_the_source_are_noticed(package: str, local: bool) -> None:
    assert needs_source(["flask", package]) is local


@pytest.mark.parametrize("package", ["", " ", "-r x", "--index-url=x", "# x", "a\nb"])
def test_packages_are_no_options(package: str) -> None:
    with pytest.raises(DependencyError, match="not an option"):
        check_packages([package])


def request(**changes: t.Any) -> commands.VenvRequest:
    values: dict[str, t.Any] = {
        "installer": "uv",
        "interpreter": "/usr/bin/python3.13",
        "venv": "/r/venv",
        "app": "/r/app",
        "uv": "/uv",
    }
    return commands.VenvRequest(cache="/c", **{**values, **changes})


SECRET = "https://user:s3cret@index.example.com/simple"


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_credentials_are_in_the_environment_and_never_in_arguments(installer: str) -> None:
    wanted = request(installer=installer, index_url=SECRET)
    found = Dependencies(hashed=("a.txt",), plain=("b.txt",), projects=(".",))
    steps = [*commands.create(wanted), *commands.install(wanted, found), commands.install_file(wanted, "/c/x")]
    assert not any("s3cret" in word for step in steps for word in step.argv)
    assert commands.environment(wanted)["UV_DEFAULT_INDEX"] == SECRET
    assert commands.environment(wanted)["PIP_INDEX_URL"] == SECRET
    assert "s3cret" not in repr(wanted)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_further_indexes_are_named_where_no_other_user_sees_them(installer: str) -> None:
    wanted = request(installer=installer, extra_indexes=(SECRET, "https://x.test/simple"))
    assert not any("s3cret" in word for word in commands.install_file(wanted, "/c/x").argv)
    found = commands.environment(wanted)
    assert found["UV_INDEX"] == found["PIP_EXTRA_INDEX_URL"] == f"{SECRET} https://x.test/simple"
    assert "s3cret" not in repr(wanted)
    lock = Dependencies(lock="uv.lock")
    assert [step.env["UV_INDEX"] for step in (*commands.sync(wanted, lock), commands.check_lock(wanted, lock))] == [
        "",
        "",
    ]


@pytest.mark.parametrize(("installer", "before_release"), [("uv", ("--prerelease", "allow")), ("pip", ("--pre",))])
def test_rules_for_versions_hold_for_all_that_has_no_hashes(installer: str, before_release: tuple[str, ...]) -> None:
    wanted = request(installer=installer, constraints=("werkzeug<3",), prerelease=True)
    hashed, plain = commands.install(wanted, Dependencies(hashed=("a.txt",), plain=("b.txt",)))
    limit = ("--constraint", "/c/constraints.txt")
    assert plain.argv[-4 - len(before_release) :] == (*limit, *before_release, "-r", "b.txt")
    assert "--constraint" not in hashed.argv
    assert commands.install_file(request(), "/c/x").argv[-2:] == ("-r", "/c/x")


def test_what_packages_are_built_with_is_limited_where_there_are_no_hashes() -> None:
    found = Dependencies(hashed=("a.txt",), plain=("b.txt",))
    wanted = request(installer="uv", build_constraints=("setuptools<81",))
    hashed, plain = commands.install(wanted, found)
    assert plain.argv[-4:] == ("--build-constraint", "/c/build-constraints.txt", "-r", "b.txt")
    assert "--build-constraint" not in hashed.argv
    hashed, plain = commands.install(request(installer="pip", build_constraints=("setuptools<81",)), found)
    assert plain.argv == commands.install(request(installer="pip"), found)[1].argv
    assert plain.env == dict.fromkeys(("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"), "/c/build-constraints.txt")
    assert hashed.env == {}


def test_files_with_hashes_are_installed_by_themselves() -> None:
    found = Dependencies(hashed=("a.txt",), plain=("b.txt",), projects=("web[x]",))
    first, second = (step.argv for step in commands.install(request(), found))
    assert first[-3:] == ("--require-hashes", "-r", "a.txt")
    assert "--require-hashes" not in second
    assert second[-3:] == ("-r", "b.txt", "./web[x]")


def test_without_dependencies_nothing_is_run() -> None:
    assert commands.install(request(), Dependencies()) == []


def test_a_wheel_directory_keeps_every_index_out() -> None:
    wanted = request(wheel_dir="/wheels")
    argv = commands.install_file(wanted, "/c/x").argv
    assert argv[argv.index("--no-index") :][:3] == ("--no-index", "--find-links", "/wheels")
    assert commands.environment(wanted)["PIP_NO_INDEX"] == "1"


def test_a_lock_file_is_synchronised_into_the_virtualenv() -> None:
    (step,) = commands.sync(request(), Dependencies(lock="web/uv.lock", extras=("a",)))
    assert step.env == {"UV_PROJECT_ENVIRONMENT": "/r/venv"}
    assert step.argv[-4:] == ("--project", "web", "--extra", "a")
    assert {"--locked", "--no-dev", "--no-editable"} <= set(step.argv)


BESIDE = "beside the source, which no release has"


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided.", "run 'uv lock'"),
        (
            "error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided.",
            "another version of the project itself",
        ),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "whose hash was recorded"),
        ("cause: Hash mismatch for `blinker==1.9.0`", "whose hash was recorded"),
        ("In `--require-hashes` mode, all requirements must", "has no hash while others have"),
        ("cause: invalid peer certificate: UnknownIssuer", "set 'ca_bundle'"),
        ("HTTP status client error (401 Unauthorized)", "refuses the credentials"),
        ("cause: dns error", "cannot be resolved"),
        ("tcp connect error\nConnection refused (os error 111)", "cannot be reached"),
        ("Because flaskk was not found in the package registry", "not in the index"),
        (
            "Because validators==0.15.0 was yanked (reason: no) and x==1 depends on validators==0.15.0",
            "add it to packages",
        ),
        ("error: Expected '=' or whitespace, found Some('r'): requirements.txt:1:3", "installer: pip"),
        ("error: Unexpected '-', expected '-c', '-e', '-r' or the start of a requirement: a.txt:1:1", "installer: pip"),
        (
            "Error parsing included file in `a.txt` at position 0\n  cause: failed to read from file `/app/`",
            "as '-r base.txt'",
        ),
        ("ERROR: No matching distribution found for flask==99", "not in the index"),
        ("error: Distribution not found at: file:///srv/x/app/wheels/lib-1.0.whl", "add it to the source"),
        ("Invalid URL in `a.txt` at position 0: ./w\n  cause: relative URL without a base", "add it to the source"),
        ("ERROR: ../lib is not a valid editable requirement. It should", "add it to the source"),
        ("ERROR: Invalid requirement: '../lib' (from line 1)\nHint: It looks like a path.", "add it to the source"),
        ("error: Distribution not found at: file:///srv/x/releases/3f2a91c-1b9e02d4/lib", BESIDE),
        ("ERROR: ../lib is not a valid editable requirement. It should", BESIDE),
        ("ERROR: Invalid requirement: '../lib' (from line 1)\nHint: It looks like a path.", BESIDE),
        ("Failed to build `web @ file:///srv/x`\n  cause: relative path without a working directory: ../lib", BESIDE),
        ("[Errno 2] No such file or directory: '/srv/x/releases/3f2a91c-1b9e02d4/lib'", BESIDE),
        (
            "[Errno 2] No such file or directory: '/srv/x/releases/3f2a91c-1b9e02d4/app/x'",
            "see what the installer says",
        ),
        ("[Errno 2] No such file or directory: '/srv/x/releases/3f2a91c-1b9e02d4/venv/x'", "see what the installer"),
        ("WARNING: Requirement './lib.whl' looks like a filename, but the file does", "add it to the source"),
        ("error: `/srv/x/app` does not appear to be a Python project, as neither", "remove that line"),
        ("error: Couldn't parse requirement in `a.txt` at position 0", "one package a line"),
        ("error: Unexpected '<', expected '-c', '-e', '-r' or the start of a requirement: a", "one package a line"),
        ("error: failed to decode file `a.txt`: stream did not contain valid UTF-8", "save it as such"),
        ("ERROR: Invalid requirement: 'import flask' (from line 1 of a.txt)", "one package a line"),
        (
            "No solution found\n  cause: Because pywin32==306 has no wheels with a matching Python ABI tag",
            'sys_platform == "win32"',
        ),
        ("ERROR: pywin32-306-win.whl is not a supported wheel on this platform.", "for this host's Python or system"),
        ("x requires-python >=3.14", "set 'python'"),
        ("No solution found\nthe current Python version (3.13.5) does not satisfy Python>=3.99", "set 'python'"),
        ("error: command 'x86_64-linux-gnu-gcc' failed", "could not be built"),
        ("Failed to build `x @ file:///x`\n  error: Multiple top-level packages discovered", "requirements.txt]"),
        (
            "Failed to build `x @ file:///x`\n  error: Multiple top-level packages discovered",
            "'uv pip compile pyproject.toml -o requirements.txt' writes them",
        ),
        ("ValueError: Unable to determine which files to ship inside the wheel", "which of its files are the package"),
        ("ModuleOrPackageNotFoundError: No file/folder found for package my-web", "which of its files are the package"),
        ("  error: Failed to build `shop`\n ValueError: No file/folder found for module x", "which of its files are"),
        ("  Expected a Python module at: `src/my_web/__init__.py`", "which of its files are the package"),
        ("error: Failed to build `shop @ file:///srv/x`\n OSError: Readme file does not exist", "of the source cannot"),
        ("ERROR: Failed to build 'file:///srv/x' when getting requirements to build wheel", "of the source cannot"),
        ("metadata-generation-failed\n╰─> from file:///srv/x", "of the source cannot"),
        ("error: Failed to build `psycopg2==2.9`\n  cause: no", "could not be built"),
        ("Failed to copy: No space left on device (os error 28)", "the disk is full"),
        ("something else", "see what the installer says"),
    ],
)
def test_failures_are_explained(said: str, meaning: str) -> None:
    assert meaning in commands.explain_install_failure(said)
