# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the scenarios, which Molecule's docker driver makes, are those of the demo and the bench."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from tools.cli import scenario
from tools.lab import images
from tools.lab.host import SYSTEMD

MOLECULE = Path(__file__).parents[4] / "molecule"
NAMES = sorted(path.parent.name for path in MOLECULE.glob("*/molecule.yml"))


def platforms(name: str) -> list[dict[str, t.Any]]:
    """Return the hosts of a scenario."""
    return list(yaml.safe_load((MOLECULE / name / "molecule.yml").read_text(encoding="utf-8"))["platforms"])


# What a scenario is about, in a container's own network.
_MORE_CAPABILITIES = {"firewall": ["NET_ADMIN", "NET_RAW"]}
# Debian has the CA that it asks.
_DEBIANS = ("edge",)


def as_options(platform: t.Mapping[str, t.Any]) -> list[str]:
    """Return how `docker create` is told to run systemd in a platform's container."""
    return [
        *(word for name in platform["capabilities"] for word in ("--cap-add", name)),
        *(word for name in platform["security_opts"] for word in ("--security-opt", name)),
        f"--cgroupns={platform['cgroupns_mode']}",
        *(word for name in platform["volumes"] for word in ("--volume", name)),
        *(word for name in platform["tmpfs"] for word in ("--tmpfs", name)),
        *("--stop-signal", platform["stop_signal"]),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_systemd_runs_as_in_every_other_test_host(name: str) -> None:
    for platform in platforms(name):
        first, *more = platform["capabilities"]
        assert more == _MORE_CAPABILITIES.get(name, [])
        assert as_options({**platform, "capabilities": [first]}) == list(SYSTEMD)
        assert platform["command"] == "/sbin/init"


@pytest.mark.parametrize("name", NAMES)
def test_two_checkouts_and_two_scenarios_have_containers_of_their_own(name: str) -> None:
    for platform in platforms(name):
        assert platform["hostname"].startswith(f"{name}-")
        assert platform["name"] == "flaskops-${FLASKOPS_CHECKOUT:-local}-" + platform["hostname"]


@pytest.mark.parametrize("name", NAMES)
def test_a_registry_gives_what_nobody_has_made(name: str) -> None:
    recipes = images.RECIPES["debian" if name in _DEBIANS else "ubuntu"]
    bases = {
        f"${{{scenario.VARIABLES[age]}:-{recipe.title.lower().replace(' ', ':')}}}" for age, recipe in recipes.items()
    }
    assert {platform["image"] for platform in platforms(name)} <= bases
    for platform in platforms(name):
        assert platform["pre_build_image"] == "${FLASKOPS_IMAGES_READY:-false}"
        assert MOLECULE.joinpath(name, platform["dockerfile"]).resolve() == MOLECULE / "shared" / "Dockerfile.j2"
        # Else every run would ask the registry.
        assert platform["pull"] is False


def test_a_directory_is_a_scenario_and_its_code_is_elsewhere() -> None:
    directories = {path.name for path in MOLECULE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert directories == {*NAMES, "shared"}
    # Tests, applications and what is copied to hosts, but nothing that is imported.
    places = {path.relative_to(MOLECULE).parts[1] for path in MOLECULE.glob("*/**/*.py")}
    assert places == {"tests", "apps", "files"}


def test_both_ways_to_an_image_install_the_same() -> None:
    assert {"systemd-sysv", "python3"} <= set(images.packages())
    assert images.DOCKERFILE.count(images.BASE) == 1
