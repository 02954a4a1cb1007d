# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with simulated nftables and ufw; the files of ours are real, below one directory."""

from __future__ import annotations

import shlex
import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._firewall import change, plan, record, tools
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError, Commands, Result
from ansible_collections.flaskops.stack.plugins.module_utils._system.host import Host, Kernel

SOCKETS = {
    "sshd": 'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=7,fd=7))',
    "nginx": 'tcp LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=9,fd=6))',
}
POSTGRES = 'tcp LISTEN 0 244 0.0.0.0:5432 0.0.0.0:* users:(("postgres",pid=8,fd=6))'


class FakeKernel(Kernel):
    """No process of this host has come over SSH."""

    def read(self, path: str, most: int = 65536) -> str | None:
        files: dict[str, str] = {}
        return files.get(path, "")[:most]


class FakeFirewall(Commands):
    """The commands of a host, and the state that they change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sockets = dict(SOCKETS)
        self.sshd = "listenaddress 0.0.0.0:22\n"
        self.socket_units = ""
        self.active_units: set[str] = set()
        self.enabled_units: set[str] = set()
        # The file that nft has loaded last; a table of others.
        self.table = ""
        self.other_chains = ""
        self.nft_refuses = ""
        self.ufw_active = False
        self.ufw_rules: list[str] = []
        # The beginnings of commands that fail.
        self.failing: set[str] = set()
        self.timer = ""
        self.ran: list[str] = []

    @property
    def host(self) -> Host:
        return Host(commands=self, kernel=FakeKernel())

    def run(self, argv: t.Sequence[str], timeout: float = 60) -> Result:
        assert timeout > 0
        words = [Path(argv[0]).name, *argv[1:]]
        text = " ".join(words)
        self.ran.append(text)
        if any(text.startswith(start) for start in self.failing):
            return Result(tuple(argv), 1, "", f"{text} is broken")
        found = getattr(self, f"_{words[0].replace('-', '_')}", None)
        if found is None:
            raise CommandError(f"'{argv[0]}' was not found")
        answer = found(words[1:])
        return answer if isinstance(answer, Result) else Result(tuple(argv), 0, answer or "", "")

    def _ss(self, _words: list[str]) -> str:
        return "\n".join(self.sockets.values())

    def _sshd(self, _words: list[str]) -> str:
        return self.sshd

    def _systemctl(self, words: list[str]) -> str:
        if words[0] == "show":
            if "Listen" in words[2]:
                return self.socket_units
            return "\n\n".join(self._unit(name) for name in words[words.index("--") + 1 :])
        names = [word for word in words[1:] if not word.startswith("-")]
        if words[0] in ("enable", "disable"):
            self.enabled_units = self.enabled_units | set(names) if words[0] == "enable" else set()
        if words[0] == "start":
            self.active_units |= set(names)
        if words[0] == "stop" and names[0].endswith(".timer"):
            self.timer = ""
        return ""

    def _unit(self, name: str) -> str:
        active = "active" if name in self.active_units else "inactive"
        return (
            f"Id={name}\nActiveState={active}\nUnitFileState={'enabled' if name in self.enabled_units else 'disabled'}"
        )

    def _systemd_run(self, words: list[str]) -> str:
        self.timer = words[-1]
        return ""

    def fire_timer(self) -> None:
        """Do what systemd does when the time is over."""
        self._script(self.timer, is_now=False)

    def _sh(self, words: list[str]) -> str:
        self._script(words[0], words[1:] == ["now"])
        return ""

    def _script(self, path: str, is_now: bool) -> None:
        for line in Path(path).read_text().splitlines()[1:]:
            words = shlex.split(line.partition(" || failed=")[0])
            if words[0] == "exit":
                return
            if words[0] == "[":
                pending = Path(words[words.index("mv") + 1])
                if not is_now and not pending.exists():
                    return
                if not is_now:
                    pending.rename(words[words.index("mv") + 2])
            elif words[0] == "cp":
                shutil.copy2(words[2], words[3])
                self._read_ufw()
            else:
                self.run(words)

    def _nft(self, words: list[str]) -> str | Result:
        if words[:3] == ["--stateless", "list", "table"]:
            return self.table or Result(("nft",), 1, "", "No such file or directory")
        if words[0] == "list":
            return self.other_chains
        if self.nft_refuses:
            return Result(("nft",), 1, "", self.nft_refuses)
        if words[0] == "--file":
            # As nft: without comments, and in its own form.
            text = Path(words[1]).read_text().partition("delete table inet flaskops\n")[2]
            self.table = "".join(f"{line}\n" for line in text.splitlines() if "#" not in line)
        return ""

    def _ufw(self, words: list[str]) -> str | Result:
        words = [word for word in words if word != "--force"]
        if words[0] == "status":
            return f"Status: {'active' if self.ufw_active else 'inactive'}\n"
        if words == ["show", "added"]:
            return "".join(f"ufw {rule}\n" for rule in self.ufw_rules)
        if words[0] == "allow":
            body, _word, comment = " ".join(words[1:]).partition(" comment ")
            self.ufw_rules.append(f"allow {body} comment '{comment}'")
        if words[0] == "delete":
            body = " ".join(words[1:])
            self.ufw_rules = [rule for rule in self.ufw_rules if rule.partition(" comment ")[0] != body]
        if words[0] in ("enable", "disable"):
            self.ufw_active = words[0] == "enable"
        if words[0] == "default":
            policy = {"deny": "DROP", "allow": "ACCEPT"}[words[1]]
            (self.root / "ufw-defaults").write_text(f'DEFAULT_INPUT_POLICY="{policy}"\nMANAGE_BUILTINS=no\n')
        self._write_ufw()
        return ""

    def _write_ufw(self) -> None:
        (self.root / "user.rules").write_text("\n".join(self.ufw_rules))

    def _read_ufw(self) -> None:
        self.ufw_rules = list(filter(None, (self.root / "user.rules").read_text().split("\n")))

    @property
    def files(self) -> set[str]:
        """Return what of ours is on the host."""
        return {path.name for path in (self.root / "host").rglob("*") if path.is_file()}


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeFirewall:
    """Return a host with SSH, nginx, nftables and an inactive ufw, on which nothing of ours is."""
    ours, pending = tmp_path / "host", tmp_path / "pending"
    rules, unit, drop_in = ours / "firewall.nft", ours / "unit", ours / "nftables.service.d" / "drop-in"
    files = {str(unit): "unit\n", str(drop_in): "drop-in\n"}
    for name in ("nft", "ufw"):
        (tmp_path / name).touch()
    (tmp_path / "ufw-defaults").write_text('DEFAULT_INPUT_POLICY="DROP"\nMANAGE_BUILTINS=no\n')
    (tmp_path / "user.rules").touch()
    values: dict[t.Any, dict[str, t.Any]] = {
        tools: {
            "NFT": str(tmp_path / "nft"),
            "UFW": str(tmp_path / "ufw"),
            "_DEFAULTS": str(tmp_path / "ufw-defaults"),
        },
        record: {"FIREWALL_STATE": str(ours / "firewall.json")},
        plan: {"FIREWALL_RULES": str(rules), "UNIT": str(unit), "UNIT_FILES": files},
        change: {
            "FIREWALL_PENDING": str(pending),
            "FIREWALL_RULES": str(rules),
            "UNIT": str(unit),
            "DROP_IN": str(drop_in),
            "UNIT_FILES": files,
            "UFW_FILES": (str(tmp_path / "user.rules"), str(tmp_path / "ufw-defaults"), str(tmp_path / "none")),
            **{f"_{name.upper()}": str(pending / file) for name, file in (("new", "new.nft"), ("old", "old.nft"))},
            "_PENDING": str(pending / "pending.json"),
            "_SCRIPT": str(pending / "revert.sh"),
        },
    }
    for module, names in values.items():
        for name, value in names.items():
            monkeypatch.setattr(module, name, value)
    return FakeFirewall(tmp_path)
