# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed says which version serves, and what to warn of."""

from __future__ import annotations

import os
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.release_warnings import (
    live_warning,
    socketio_warning,
)
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._release.distributions import (
    distribution_of,
    installed,
    version_of,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout

RELEASE = "3f2a91c-1b9e02d4"


@pytest.fixture
def venv(tmp_path: Path) -> str:
    """Return a virtualenv with packages as pip, uv and setuptools leave their names."""
    layout = Layout(str(tmp_path), "shop")
    packages = f"{layout.release(RELEASE)}/venv/lib/python3.13/site-packages"
    for name in (
        "ihatemoney-7.1.1.dist-info",
        "Flask_SocketIO-5.5.1.dist-info",
        "zope.interface-7.2-py3.13-linux-x86_64.egg-info",
        "gunicorn-27.0.1.dist-info",
        "gunicorn",
        "-1.dist-info",
    ):
        os.makedirs(f"{packages}/{name}")
    return f"{layout.release(RELEASE)}/venv"


def test_distributions_are_known_by_their_metadata(venv: str) -> None:
    expected = {"ihatemoney": "7.1.1", "flask-socketio": "5.5.1", "zope-interface": "7.2", "gunicorn": "27.0.1"}
    assert installed(venv) == expected
    assert installed(venv + "/none") == {}


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("ihatemoney==7.1.1", "ihatemoney"),
        ("mlflow[extras]>=3,<4", "mlflow"),
        ("Flask_SocketIO", "flask-socketio"),
        ("name @ https://example.com/name.whl", "name"),
        ("name;python_version>'3'", "name"),
        ("", ""),
    ],
)
def test_a_requirement_names_a_distribution(requirement: str, name: str) -> None:
    assert distribution_of(requirement) == name


@pytest.mark.parametrize(
    ("source", "version"),
    [
        ({"type": "pypi", "location": "ihatemoney==7.1.1", "version": ""}, "7.1.1"),
        ({"type": "pypi", "location": "ihatemoney", "version": ""}, "7.1.1"),
        ({"type": "pypi", "location": "none", "version": ""}, ""),
        ({"type": "git", "location": "x", "version": "v2"}, "v2"),
    ],
)
def test_the_version_of_a_requirement_is_the_installed_one(venv: str, source: dict[str, str], version: str) -> None:
    """It was shown as the first seven characters of the requirement."""
    assert version_of(source, venv) == version


def test_several_workers_of_one_instance_break_sessions_of_socketio() -> None:
    said = socketio_warning({"flask-socketio": "5.5.1"}, 3)
    for words in ("flask-socketio 5.5.1", "3 workers", "workers: 1", "instances", "ip_hash", "message_queue"):
        assert words in said
    assert socketio_warning({"flask": "3.1"}, 3) == ""


@pytest.mark.parametrize(
    ("loaded", "setting", "switch", "error", "warned"),
    [
        (3, 0, True, "", True),
        (0, 0, True, "", True),
        (0, 4, True, "", True),
        # WEB_CONCURRENCY says one.
        (1, 0, True, "", False),
        (1, 1, True, "", False),
        (3, 0, False, "", False),
        (3, 0, True, "refused", False),
    ],
)
def test_the_workers_that_there_are_count(
    venv: str, tmp_path: Path, loaded: int, setting: int, switch: bool, error: str, warned: bool
) -> None:
    assert os.path.isdir(venv)
    manifest = types.SimpleNamespace(id=RELEASE, settings=Settings(workers=setting))
    service = types.SimpleNamespace(manifest=manifest, layout=Layout(str(tmp_path), "shop"))
    gate = types.SimpleNamespace(probes=[types.SimpleNamespace(workers=types.SimpleNamespace(wanted=loaded))])
    change: t.Any = types.SimpleNamespace(
        service=service, plan=types.SimpleNamespace(switch=switch), health_check=gate, error=error
    )
    assert bool(live_warning(change)) is warned
