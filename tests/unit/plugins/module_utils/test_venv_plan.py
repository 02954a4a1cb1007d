# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a virtualenv is made of, by which commands, and what their failures mean."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils import _venv_commands as commands
from ansible_collections.flaskops.stack.plugins.module_utils._venv_plan import (
    Dependencies,
    DependencyError,
    check_packages,
    plan_dependencies,
    scm_environment,
)

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
        ("-r https://example.com/requirements.txt", False),
    ],
)
def test_what_is_built_from_the_source_is_noticed(text: str, local: bool) -> None:
    assert plan({"requirements.txt": text}).local is local


@pytest.mark.parametrize(
    ("source", "local"), [("virtual", False), ("editable", True), ("directory", True), ("registry", False)]
)
def test_a_lock_file_says_whether_it_holds_the_source(source: str, local: bool) -> None:
    assert plan({"uv.lock": f'source = {{ {source} = "." }}\n', "pyproject.toml": ""}).local is local


@pytest.mark.parametrize("package", ["", " ", "-r x", "--index-url=x", "# x", "a\nb"])
def test_packages_are_no_options(package: str) -> None:
    with pytest.raises(DependencyError, match="not an option"):
        check_packages([package])


@pytest.mark.parametrize(
    ("pyproject", "described", "expected"),
    [
        ('[project]\nname = "shop"\n', "v1.2.3-0-gabc1234", {"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_SHOP": "1.2.3"}),
        (
            '[build-system]\nx = 1\n[project]\ndynamic = ["version"]\nname = "my.shop-web"\n',
            "1.2-4-gabc1234",
            {"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_MY_SHOP_WEB": "1.2.post4+gabc1234"},
        ),
        ('[project]\nname = "shop"\n', "", {"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_SHOP": "0+g0123456"}),
        ('[tool.poetry]\nname = "shop"\n', "v1-0-gabc1234", {}),
        ('[project]\nversion = "1"\n[tool.x]\nname = "no"\n', "v1-0-gabc1234", {}),
    ],
)
def test_a_build_without_git_is_told_its_version(pyproject: str, described: str, expected: dict[str, str]) -> None:
    assert scm_environment(pyproject, described, "0123456789") == expected


def request(**changes: str) -> commands.Request:
    values = {"installer": "uv", "interpreter": "/usr/bin/python3.13", "venv": "/r/venv", "app": "/r/app", "uv": "/uv"}
    return commands.Request(cache="/c", **{**values, **changes})


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


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided.", "run 'uv lock'"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "whose hash was recorded"),
        ("cause: Hash mismatch for `blinker==1.9.0`", "whose hash was recorded"),
        ("In `--require-hashes` mode, all requirements must", "has no hash while others have"),
        ("cause: invalid peer certificate: UnknownIssuer", "set 'ca_bundle'"),
        ("HTTP status client error (401 Unauthorized)", "refuses the credentials"),
        ("cause: dns error", "cannot be resolved"),
        ("tcp connect error\nConnection refused (os error 111)", "cannot be reached"),
        ("Because flaskk was not found in the package registry", "not in the index"),
        ("ERROR: No matching distribution found for flask==99", "not in the index"),
        ("x requires-python >=3.14", "set 'python'"),
        ("error: command 'x86_64-linux-gnu-gcc' failed", "could not be built"),
        ("Failed to copy: No space left on device (os error 28)", "the disk is full"),
        ("something else", "see what the installer says"),
    ],
)
def test_failures_are_explained(said: str, meaning: str) -> None:
    assert meaning in commands.explain_failure(said)
