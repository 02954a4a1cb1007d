# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new user meets first: the demo, the virtualenv, the artifact."""

from __future__ import annotations

import fnmatch
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tools import common
from tools.cli import demo, make_venv

ROOT = Path(__file__).parents[4]


def test_two_checkouts_have_two_demos() -> None:
    assert f"flaskops-{common.CHECKOUT}-demo" == demo.HOST.name


def test_the_engine_is_looked_for_before_the_virtualenv_is_made() -> None:
    asked = subprocess.run(["make", "--dry-run", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert asked.index("cli.demo check") < asked.index("cli.make_venv") < asked.index("cli.demo up")


def test_ctrl_c_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        common.call(interrupted, "'make demo' again continues")
    assert ended.value.code == 130
    assert "interrupted. 'make demo' again continues" in capsys.readouterr().err


@pytest.mark.parametrize(("wanted", "pins"), [("", []), ("2.20", ["ansible-core~=2.20.0", "ansible~=13.0"])])
def test_another_ansible_core_brings_the_collections_of_its_time(wanted: str, pins: list[str]) -> None:
    assert make_venv.ansible_pins(wanted) == pins


@pytest.mark.parametrize("wanted", ["2.18", "3.0", "2.20.1", "latest"])
def test_an_ansible_core_that_is_not_supported_is_refused(wanted: str) -> None:
    with pytest.raises(common.ToolError, match="FLASKOPS_ANSIBLE"):
        make_venv.ansible_pins(wanted)


def test_the_artifact_has_the_version_of_what_is_in_it_and_no_fragments() -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    added = {
        tuple(map(int, found.split(".")))
        for path in (ROOT / "plugins").rglob("*.*")
        if path.suffix in (".py", ".yml")
        for found in re.findall(r"version_added: ([0-9.]+)", path.read_text())
    }
    assert max(added) <= tuple(map(int, galaxy["version"].split(".")))
    assert any(fnmatch.fnmatch("changelogs/fragments", pattern) for pattern in galaxy["build_ignore"])


def test_each_role_is_described() -> None:
    for role in (ROOT / "roles").iterdir():
        info = yaml.safe_load((role / "meta" / "main.yml").read_text())["galaxy_info"]
        assert len(info["description"]) > 40
