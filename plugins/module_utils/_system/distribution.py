# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide whether the stack can manage a host. Private to flaskops.stack."""

from __future__ import annotations

import re
import shlex
import typing as t
from dataclasses import dataclass

# The oldest releases whose systemd (247) and nginx (1.18) the stack is written for.
_OLDEST = {"debian": (11,), "ubuntu": (22, 4)}


class HostError(ValueError):
    """A host that the stack cannot manage."""


@dataclass(frozen=True)
class Distribution:
    """The content of os-release(5): identifier, version and the families it is compatible with."""

    identifier: str
    version: str
    name: str
    families: tuple[str, ...]


def parse_os_release(text: str) -> Distribution:
    """Read an os-release(5) file; keys that it lacks are empty."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    values = {key.strip(): "".join(shlex.split(value)) if value else "" for key, value in pairs}
    identifier = values.get("ID", "linux")
    return Distribution(
        identifier=identifier,
        version=values.get("VERSION_ID", ""),
        name=values.get("PRETTY_NAME", identifier),
        families=(identifier, *_words(text, "ID_LIKE")),
    )


def _words(text: str, key: str) -> tuple[str, ...]:
    found = re.search(rf"^{key}=(.*)$", text, re.MULTILINE)
    return tuple(" ".join(shlex.split(found.group(1))).split()) if found else ()


def check_host(root: bool, systemd: bool, distribution: Distribution) -> None:
    """Raise HostError, with the remedy, when the stack cannot manage such a host."""
    if not root:
        raise HostError("it takes root's rights")
    if not {"debian", "ubuntu"} & set(distribution.families):
        raise HostError(
            f"{distribution.name} is not supported: flaskops.stack manages Debian 11, Ubuntu 22.04, what came after "
            "them, and their derivatives; limit the play to such hosts"
        )
    oldest = _OLDEST.get(distribution.identifier)
    # Debian testing has no VERSION_ID; derivatives number their releases in their own way.
    if oldest and distribution.version and _numbers(distribution.version) < oldest:
        raise HostError(
            f"{distribution.name} is too old: its nginx and systemd lack what the stack needs; "
            f"upgrade the host to {distribution.identifier} {'.'.join(f'{n:02d}' for n in oldest)} or newer"
        )
    if not systemd:
        raise HostError(
            "systemd is not the init of this host (/run/systemd/system is absent): the stack runs applications as "
            "systemd services; in a container start /sbin/init as the first process"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def missing_packages(wanted: t.Sequence[str], dpkg_answer: str) -> list[str]:
    """Return the wanted packages that C(dpkg-query --show) does not list as installed, in the wanted order."""
    installed = {line.split("\t")[0] for line in dpkg_answer.splitlines() if line.endswith("\tinstalled")}
    return [name for name in wanted if name not in installed]


def idle_services(states: t.Mapping[str, t.Mapping[str, str]]) -> list[str]:
    """Return the units that do not run, or do not start at boot, from the output of C(systemctl show)."""
    wanted = {"ActiveState": "active", "UnitFileState": "enabled"}
    return [unit for unit, state in states.items() if any(state.get(key) != value for key, value in wanted.items())]


def refuse_masked(states: t.Mapping[str, t.Mapping[str, str]]) -> None:
    """Raise HostError for a unit that systemd must not start, from the output of C(systemctl show)."""
    for unit, state in states.items():
        if state.get("UnitFileState", "").startswith("masked"):
            raise HostError(
                f"{unit} is masked (a link to /dev/null, below /etc or /run), so that it cannot be started: "
                f"'systemctl unmask {unit}' on the host takes the link away"
            )


def parse_nginx_version(answer: str) -> str:
    """Return V(1.26.3) from what C(nginx -v) prints, or an empty string when there is no version in it."""
    found = re.search(r"(?:nginx|openresty|angie|tengine)/(\d+\.\d+\.\d+)", answer, re.IGNORECASE)
    return found.group(1) if found else ""
