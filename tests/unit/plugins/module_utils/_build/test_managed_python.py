# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python that the host lacks is got by uv, by choice, and used by all releases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.dependencies import DependencyError
from ansible_collections.flaskops.stack.plugins.module_utils._build import managed_python
from ansible_collections.flaskops.stack.plugins.module_utils._build.managed_python import PythonSource, find_or_get
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv import find_interpreter
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv_commands import VenvRequest

REQUEST = VenvRequest("uv", "", "", "", "/c", wheel_dir="/wheels")
# What uv 0.13 says.
MISMATCH = "error: Failed to install cpython-3.99.1-linux-x86_64-gnu\n  cause: Hash mismatch for `cpython-3.99.1`"
NO_FILE = "cause: failed to query metadata of file `/m/cpython-3.99.1.tar.gz`: No such file or directory (os error 2)"
UNKNOWN = "error: No download found for request: cpython-3.99-linux-x86_64-gnu"
NO_NETWORK = "cause: failed to lookup address information: Name or service not known"


class Place:
    """A host with a program in place of uv."""

    def __init__(self, top: Path) -> None:
        self.pythons = top / "python"
        self._uv = top / "uv"

    def uv(self, *lines: str) -> str:
        """Return the program, which runs these lines of a shell."""
        self._uv.write_text(
            "\n".join(["#!/bin/sh", f"env > {self._uv}.env", f"echo $@ > {self._uv}.words", *lines, ""])
        )
        self._uv.chmod(0o755)
        return str(self._uv)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment that it had."""
        return dict(line.partition("=")[::2] for line in Path(f"{self._uv}.env").read_text().splitlines())

    def install(self, patch: int, version: str = "3.99") -> list[str]:
        """Return the lines that do what uv does."""
        top = f"$UV_PYTHON_INSTALL_DIR/cpython-{version}.{patch}-linux-x86_64-gnu"
        program = f"{top}/bin/python{version}"
        return [
            f"mkdir -p {top}/bin",
            f"printf '#!/bin/sh\\necho Python {version}.{patch}\\n' > {program}",
            f"chmod 755 {program}",
            f"ln -sfn {top} $UV_PYTHON_INSTALL_DIR/cpython-{version}-linux-x86_64-gnu",
            "umask 0; : > $UV_PYTHON_INSTALL_DIR/.lock; chmod 666 $UV_PYTHON_INSTALL_DIR/.lock",
        ]


@pytest.fixture(name="place")
def make_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(tmp_path)
    monkeypatch.setattr(managed_python, "PYTHONS", str(place.pythons))
    monkeypatch.setattr(managed_python, "LOCKS", str(tmp_path))
    return place


def test_uv_gets_it_once_and_no_other_user_can_stop_that(place: Place) -> None:
    uv = place.uv(*place.install(4))
    found = find_or_get("python3.99", PythonSource(mirror="file:///m"), uv, REQUEST, False)
    assert found.path == str(place.pythons / "cpython-3.99.4-linux-x86_64-gnu/bin/python3.99")
    assert found.version == "3.99.4"
    assert place.environment["UV_PYTHON_INSTALL_MIRROR"] == "file:///m"
    assert "UV_OFFLINE" not in place.environment
    assert (place.pythons / ".lock").stat().st_mode & 0o077 == 0
    assert find_or_get("python3.99", PythonSource(True), place.uv("exit 1"), REQUEST, False) == found


def test_the_newest_of_those_that_are_there_counts(place: Place) -> None:
    for patch in (9, 10):
        uv = place.uv(*place.install(patch))
        managed_python._get("3.99", PythonSource(True), uv, REQUEST, "")
    assert find_or_get("python3.99", PythonSource(True), "/no/uv", REQUEST, False).version == "3.99.10"


@pytest.mark.parametrize(
    ("said", "mirror", "message"),
    [
        (MISMATCH, "file:///m", "its archive in python_mirror 'file:///m' is not the one whose checksum uv knows"),
        (NO_FILE, "file:///m", "python_mirror 'file:///m' does not have it: put the archive there that uv names"),
        (UNKNOWN, "", "the place that uv knows does not have it: choose another"),
        (NO_NETWORK, "", "the place that uv knows cannot be reached: set flask_python_mirror"),
    ],
)
def test_what_cannot_be_got_is_refused_with_the_way_out(place: Place, said: str, mirror: str, message: str) -> None:
    uv = place.uv(f"cat >&2 <<'END'\n{said}\nEND", "exit 1")
    with pytest.raises(DependencyError) as caught:
        find_or_get("python3.99", PythonSource(True, mirror), uv, REQUEST, False)
    assert str(caught.value).startswith("python 'python3.99' is not on this host, which has ")
    assert message in str(caught.value)
    assert "flask_python_download" not in str(caught.value)


def test_check_mode_gets_nothing(place: Place) -> None:
    assert find_or_get("python3.99", PythonSource(True), "/no/uv", REQUEST, True).version == "3.99"
    assert not os.path.exists(place.pythons)


@pytest.mark.parametrize(
    ("wanted", "source"), [("python3.99", PythonSource()), ("/opt/python3.99", PythonSource(True))]
)
def test_without_the_choice_and_for_a_path_the_error_stays(place: Place, wanted: str, source: PythonSource) -> None:
    with pytest.raises(DependencyError, match="flask_python_download: true, so that uv gets it"):
        find_or_get(wanted, source, place.uv("exit 1"), REQUEST, False)


def test_a_python_of_the_host_comes_first(place: Place) -> None:
    uv = place.uv("exit 1")
    assert find_or_get("python3", PythonSource(True), uv, REQUEST, False) == find_interpreter("python3")


def test_a_mirror_shows_no_password(place: Place) -> None:
    source = PythonSource(mirror="https://user:hush@mirror.test/python")
    with pytest.raises(DependencyError, match="python_mirror has credentials") as caught:
        find_or_get("python3.99", source, place.uv("exit 1"), REQUEST, False)
    assert "hush" not in str(caught.value)
