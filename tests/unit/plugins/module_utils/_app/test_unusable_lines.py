# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of requirements files that no installer can install: what they are, and what to write instead."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.projects import ProjectError, Surroundings
from ansible_collections.flaskops.stack.plugins.module_utils._app.requirements import lines_of
from ansible_collections.flaskops.stack.plugins.module_utils._app.unusable_lines import check_line, is_too_old


def check(text: str, installer: str = "uv", exists: bool = False) -> None:
    for line in lines_of(text):
        check_line("requirements.txt", line.number, line.text, installer, Surroundings(exists=lambda _path: exists))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/home/me/wheels/lib-1.0-py3-none-any.whl", "path of the machine"),
        ("file:///home/me/lib-1.0.tar.gz#sha256=ab", "path of the machine"),
        ("file:/home/me/lib", "path of the machine"),
        ("-e file:///home/me/lib", "git+https"),
        ("-e /home/me/lib", "git+https"),
        (r"C:\Users\me\lib.whl", "path of the machine"),
        (r"-e c:\users\me\lib", "path of the machine"),
        ("-r /etc/base.txt", "add that file to the source"),
        ("--constraint=/etc/limits.txt", "add that file to the source"),
        ("-r file:///etc/base.txt", "add that file to the source"),
        ("flask=3.0.0=py311_0", "conda's single '='"),
        ("_libgcc_mutex=0.1=main", "conda's single '='"),
        ("flask = 3.0.0", "pip list --format=freeze"),
        ("flask   3.0.0", "'pip list'"),
        ("Package    Version", "'pip list'"),
        ("Package Version Editable project location", "'pip list'"),
        ("---------- -------", "'pip list'"),
        ("<<<<<<< HEAD", "could not merge"),
        ("=======", "could not merge"),
        (">>>>>>> main", "could not merge"),
        ("gunicorn (==20.0.4)", "older than 20.1"),
    ],
)
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_line_that_no_installer_reads_is_named(line: str, says: str, installer: str) -> None:
    with pytest.raises(ProjectError) as raised:
        check(f"six\n{line}\n", installer)
    assert f"requirements.txt line 2, '{line.partition('#')[0]}" in str(raised.value)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("lib @ hg+https://hg.test/lib", "of git alone: set installer: pip"),
        ("-e svn+https://svn.test/lib#egg=lib", "of git alone: set installer: pip"),
        # As older ones of pip froze it.
        ("-e git+git@git.test:me/lib.git@main#egg=lib", "write 'lib @ git+ssh://git@git.test/me/lib.git@main'"),
        ("lib @ git+git@git.test:me/lib.git", "write 'lib @ git+ssh://git@git.test/me/lib.git'"),
        ("git+ssh://git@git.test:me/lib.git", "write 'NAME @ git+ssh://git@git.test/me/lib.git'"),
        (
            "-e git+https://git.test/lib.git@main#egg=lib&subdirectory=python",
            "write 'lib @ git+https://git.test/lib.git@main#subdirectory=python'",
        ),
        ("-e git+https://git.test/lib.git#subdirectory=python&egg=lib", "lib.git#subdirectory=python'"),
    ],
)
def test_a_repository_that_uv_cannot_read_is_named(line: str, says: str) -> None:
    with pytest.raises(ProjectError) as raised:
        check(line)
    assert says in str(raised.value)


@pytest.mark.parametrize("line", ["lib @ git+git@git.test:me/lib.git", "-e git+ssh://git@git.test:me/lib.git#egg=lib"])
def test_no_installer_reads_an_address_of_the_command_line(line: str) -> None:
    with pytest.raises(ProjectError, match=r"'lib @ git\+ssh://git@git.test/me/lib.git'"):
        check(line, "pip")


@pytest.mark.parametrize(
    "text",
    [
        "git+ssh://git@git.test:2222/me/lib.git",
        "git+ssh://git@git.test/me/lib.git@v1:2",
        "git+https://git.test:8443/me/lib.git",
        "lib @ git+file:///srv/lib.git",
        "flask == 3.0.0\nsix\nflask[async]",
        "flask ; python_version > '3'",
        # What is there for another system, or another Python, is not installed here.
        "lib @ file:///C:/lib ; sys_platform == 'win32'",
        "gunicorn==19.9.0; python_version < '3'\ngunicorn==23.0.0; python_version >= '3'",
        # Which of them is installed is seen afterwards.
        "gunicorn==20.*",
        "gunicorn==20.*,>=20.1",
        "./lib.whl\n-e .\n-e ../lib\n-r base.txt\n--find-links wheels",
        "https://files.test/lib.whl\n--index-url https://index.test/simple",
    ],
)
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_line_that_can_be_installed_is_left_alone(text: str, installer: str) -> None:
    check(text, installer)


def test_a_path_that_the_host_has_is_left_alone() -> None:
    check("/srv/wheels/lib.whl\n-e /srv/lib\nlib @ file:///srv/lib\n-r /etc/base.txt", exists=True)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("/srv/lib[web,dev]", "/srv/lib"),
        ("-e /srv/lib[web]", "/srv/lib"),
        ("file:///srv/my%20lib", "/srv/my lib"),
        ("lib @ file:///srv/lib-1.0%2Bcpu-py3-none-any.whl", "/srv/lib-1.0+cpu-py3-none-any.whl"),
        ("/srv/a%20b", "/srv/a%20b"),
    ],
)
def test_a_path_is_looked_for_as_installers_read_it(line: str, path: str) -> None:
    asked: list[str] = []

    def exists(place: str) -> bool:
        asked.append(place)
        return True

    check_line("requirements.txt", 1, line, "uv", Surroundings(exists=exists))
    assert set(asked) == {path}


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_password_is_not_taken_for_a_path(installer: str) -> None:
    check("git+ssh://deploy:pass@git.test/lib.git\nlib @ git+ssh://deploy:pass@git.test:2222/lib.git\n", installer)


def test_pip_reads_other_repositories() -> None:
    check("lib @ hg+https://hg.test/lib\n-e svn+https://svn.test/lib#egg=lib", "pip")


@pytest.mark.parametrize(("version", "old"), [("20.0.4", True), ("19.9", True), ("20.1.0", False), ("23", False)])
def test_the_oldest_gunicorn_is_known(version: str, old: bool) -> None:
    assert is_too_old(version) is old
