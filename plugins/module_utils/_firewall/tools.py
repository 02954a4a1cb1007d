# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nftables and ufw, by their commands. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .._system.command import CommandError, Result
from .._system.files import read_file
from .._system.host import Host
from .nft import TABLE, dropping_chains
from .openings import Opening
from .ufw_rules import MARK, UfwRule, opened_ports, parse_profile, parse_rules, profile_of

NFT, UFW = "/usr/sbin/nft", "/usr/sbin/ufw"
_DEFAULTS = "/etc/default/ufw"
# What ufw keeps its state in.
UFW_FILES = ("/etc/ufw/user.rules", "/etc/ufw/user6.rules", "/etc/ufw/ufw.conf", _DEFAULTS)


class FirewallError(RuntimeError):
    """A firewall that cannot be had like this; nothing has changed."""


class Nft:
    """The rules of this host's nftables."""

    def __init__(self, host: Host) -> None:
        """Take the host."""
        self._host = host

    def exists(self) -> bool:
        """Tell whether the program is there."""
        return os.path.exists(NFT)

    def listing(self) -> str:
        """Return our table as it is loaded; empty when it is not."""
        if not self.exists():
            return ""
        found = self._host.commands.run([NFT, "--stateless", "list", "table", *TABLE.split()])
        return found.out if found.rc == 0 else ""

    def check(self, path: str) -> None:
        """Let nft check a file, without loading it; raise FirewallError with its words when it refuses it."""
        found = self._host.commands.run([NFT, "--check", "--file", path])
        if found.rc:
            raise FirewallError(
                f"nft refuses the rules, so the old ones stay: {found.tail(5)}\nWhere it says that an operation is not "
                "supported or not permitted, this host's kernel (or container) has no nf_tables: nginx_firewall: none"
            )

    def load(self, path: str) -> None:
        """Load a file in one transaction; raise CommandError when that fails."""
        self._host.commands.run_checked([NFT, "--file", path])

    def other_dropping_tables(self) -> list[str]:
        """Return the tables of others that drop what they do not let in themselves."""
        found = self._host.commands.run([NFT, "list", "chains"])
        return dropping_chains(found.out) if found.rc == 0 else []


class Ufw:
    """This host's ufw."""

    def __init__(self, host: Host) -> None:
        """Take the host."""
        self._host = host

    def exists(self) -> bool:
        """Tell whether the program is there."""
        return os.path.exists(UFW)

    def is_active(self) -> bool:
        """Tell whether its rules are loaded, or will be at the next boot."""
        return self.exists() and "Status: active" in self._run("status").out

    def rules(self) -> list[UfwRule]:
        """Return its rules for this host itself, also when it is not active."""
        return parse_rules(self._run("show", "added").out) if self.exists() else []

    def opened(self, rules: t.Sequence[UfwRule]) -> list[Opening]:
        """Return what rules let in."""
        return opened_ports(rules, self.profiles(rules))

    def profiles(self, rules: t.Iterable[UfwRule]) -> dict[str, str]:
        """Return the ports of the application profiles that rules name."""
        return {name: self._profile(name) for name in map(profile_of, (rule.text for rule in rules)) if name}

    def _profile(self, name: str) -> str:
        found = self._host.commands.run([UFW, "app", "info", name])
        return parse_profile(found.out) if found.rc == 0 else ""

    def setting(self, name: str) -> str:
        """Return a setting of /etc/default/ufw, in lower case and without quotes."""
        for line in (read_file(_DEFAULTS) or b"").decode("utf-8", "replace").splitlines():
            key, sign, value = line.partition("=")
            if sign and key.strip() == name:
                return value.strip().strip("\"'").lower()
        return ""

    def allow(self, text: str) -> None:
        """Add a rule of ours."""
        self._run("allow", *text.split(), "comment", MARK)

    def delete(self, text: str) -> None:
        """Delete a rule of ours."""
        self._run("--force", "delete", "allow", *text.split())

    def enable(self, deny: bool) -> None:
        """Load the rules, now and at boot; C(deny) drops what no rule is for."""
        if deny:
            self.set_default("deny")
        self._run("--force", "enable")

    def disable(self) -> None:
        """Load no rules any more."""
        self._run("disable")

    def set_default(self, policy: str) -> None:
        """Say what becomes of incoming connections that no rule is for."""
        self._run("default", policy, "incoming")

    def _run(self, *words: str) -> Result:
        # It waits for its lock, and loads its rules in some ten commands.
        found = self._host.commands.run([UFW, *words], 120)
        if found.rc:
            raise CommandError(f"'ufw {' '.join(words)}' failed with exit code {found.rc}: {found.tail(5)}")
        return found
