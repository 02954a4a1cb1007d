# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a firewall such that it reverts by itself unless the change is confirmed. Private to flaskops.stack.

A change is loaded, but not kept for the next boot, while a timer of systemd's is running that reverts it. The
controller then connects anew, which fails when it is locked out, and that task stops the timer and keeps the change.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import tempfile
import typing as t
from contextlib import suppress
from dataclasses import replace

from .._system.files import read_file, remove_file, write_file
from .._system.host import Host
from .._system.paths import FIREWALL_PENDING, FIREWALL_RULES
from .nft import RENEW, UNIT_NAME
from .plan import DROP_IN, UNIT, UNIT_FILES, FirewallPlan
from .record import NFTABLES, Record, write_record
from .tools import NFT, UFW, UFW_FILES, FirewallError, Nft, Ufw

_REVERT = "flaskops-firewall-revert"
_PENDING = f"{FIREWALL_PENDING}/pending.json"
_NEW = f"{FIREWALL_PENDING}/new.nft"
_OLD = f"{FIREWALL_PENDING}/old.nft"
_SCRIPT = f"{FIREWALL_PENDING}/revert.sh"


class RevertError(RuntimeError):
    """A change that has failed, and old rules that did not come back."""


def try_rules(host: Host, plan: FirewallPlan) -> None:
    """Raise FirewallError for rules that nft would not load; nothing changes."""
    nft = Nft(host)
    if plan.changes_nft and plan.rules and nft.exists():
        with tempfile.NamedTemporaryFile("w", prefix="flaskops-", suffix=".nft") as stream:
            stream.write(plan.rules)
            stream.flush()
            nft.check(stream.name)


def apply(host: Host, plan: FirewallPlan, revert_after: int) -> str:
    """Load a change, and return the word by which it is confirmed; after a failure the old rules are there again."""
    token = secrets.token_hex(8)
    _prepare(host, plan, token)
    try:
        _start_timer(host, revert_after)
        _load(host, plan)
    except BaseException as exc:
        revert_now(host, str(exc))
        raise
    return token


def _prepare(host: Host, plan: FirewallPlan, token: str) -> None:
    """Write all that loads the change, and all that reverts it; refuse rules that nft does not accept."""
    shutil.rmtree(FIREWALL_PENDING, ignore_errors=True)
    os.makedirs(FIREWALL_PENDING, mode=0o700)
    claim = f'[ "$1" = now ] || mv {_PENDING} {FIREWALL_PENDING}/reverted.json || exit 0'
    steps: list[str] = []
    nft = Nft(host)
    if plan.changes_nft and nft.exists():
        _write(_NEW, plan.rules or RENEW)
        nft.check(_NEW)
        _write(_OLD, RENEW + nft.listing())
        steps.append(f"{NFT} --file {_OLD}")
    if plan.changes_ufw:
        steps += _ufw_reverts(Ufw(host).is_active())
    lines = ["#!/bin/sh", claim, *(f"{step} || failed=1" for step in steps), "exit ${failed:-0}", ""]
    _write(_SCRIPT, "\n".join(lines))
    _write(_PENDING, json.dumps({"token": token, "rules": plan.rules, "record": plan.record.to_json()}))


def _write(path: str, text: str) -> None:
    write_file(path, text.encode(), 0o600, sync=False)


def _ufw_reverts(active: bool) -> list[str]:
    """Copy ufw's files, and return the commands that bring them back."""
    lines = [] if active else [f"{UFW} disable"]
    for number, path in enumerate(UFW_FILES):
        copy = f"{FIREWALL_PENDING}/ufw-{number}"
        with suppress(FileNotFoundError):
            shutil.copy2(path, copy)
            lines.append(shlex.join(["cp", "--preserve", copy, path]))
    return [*lines, f"{UFW} reload"] if active else lines


def _start_timer(host: Host, seconds: int) -> None:
    _stop_timer(host)
    host.commands.run_checked(
        [
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={_REVERT}",
            f"--on-active={seconds}s",
            "--timer-property=AccuracySec=1s",
            "--property=Type=oneshot",
            "--description=Reverts a change of the firewall that was not confirmed",
            "/bin/sh",
            _SCRIPT,
        ]
    )


def _stop_timer(host: Host) -> None:
    host.commands.run(["systemctl", "stop", f"{_REVERT}.timer"])
    host.commands.run(["systemctl", "reset-failed", f"{_REVERT}.timer", f"{_REVERT}.service"])


def _load(host: Host, plan: FirewallPlan) -> None:
    """Load the new rules before the old ones go, where both tools change."""
    nft, ufw = Nft(host), Ufw(host)
    if plan.changes_nft and plan.rules:
        nft.load(_NEW)
    for text in plan.ufw.add:
        ufw.allow(text)
    if plan.enables_ufw:
        ufw.enable(deny=bool(plan.record.ufw_default))
    if plan.changes_nft and not plan.rules and nft.exists():
        nft.load(_NEW)
    if plan.disables_ufw:
        _disable(ufw, plan.before.ufw_default)
    for text in plan.ufw.delete:
        ufw.delete(text)


def _disable(ufw: Ufw, default: str) -> None:
    ufw.disable()
    if default:
        ufw.set_default("allow")


def revert_now(host: Host, reason: str) -> None:
    """Bring the old rules back; raise RevertError, which has the reason, too, when that fails."""
    _stop_timer(host)
    result = host.commands.run(["/bin/sh", _SCRIPT, "now"], 120)
    if result.rc:
        raise RevertError(
            f"{reason}\nits old rules could not be loaded again, either: {result.tail()}\nOnce that is mended, load "
            f"them on the host with: sh {_SCRIPT} now"
        )
    shutil.rmtree(FIREWALL_PENDING, ignore_errors=True)


def revert_pending(host: Host) -> bool:
    """Revert a change that no run has confirmed; return whether there was one."""
    if not os.path.exists(_PENDING):
        return False
    revert_now(host, "the last change was never confirmed")
    return True


def confirm(host: Host, token: str) -> None:
    """Keep a change that was loaded; raise FirewallError when it was reverted meanwhile."""
    text = read_file(_PENDING)
    pending = json.loads(text) if text else {}
    if pending.get("token") != token or not _claim():
        raise FirewallError(
            "the rules were loaded, but not confirmed in time over a new connection, so the old ones are back. Either "
            "the new rules keep the controller out, or the connection took too long: a way to this host that ends at "
            "another port of it has to be in nginx_firewall_allow"
        )
    _stop_timer(host)
    try:
        _keep(host, pending["rules"], Record.from_json(pending["record"]))
    except BaseException as exc:
        revert_now(host, str(exc))
        raise
    shutil.rmtree(FIREWALL_PENDING, ignore_errors=True)


def _claim() -> bool:
    """Take the change from the timer; the process that renames the file first has it."""
    try:
        os.rename(_PENDING, f"{FIREWALL_PENDING}/confirmed.json")
    except FileNotFoundError:
        return False
    return True


def _keep(host: Host, rules: str, record: Record) -> None:
    """Make the change last beyond the next boot."""
    if record.backend == NFTABLES:
        os.makedirs(os.path.dirname(FIREWALL_RULES), mode=0o755, exist_ok=True)
        write_file(FIREWALL_RULES, rules.encode())
        for path, text in UNIT_FILES.items():
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            write_file(path, text.encode())
        host.systemd.daemon_reload()
        host.systemd.systemctl("enable", [UNIT_NAME])
        active = host.systemd.show([UNIT_NAME], ["ActiveState"])[UNIT_NAME].get("ActiveState") == "active"
        host.systemd.systemctl("reload" if active else "start", [UNIT_NAME])
        record = replace(record, listing=Nft(host).listing())
    else:
        if os.path.exists(UNIT):
            host.systemd.systemctl("disable", [UNIT_NAME], ["--now"])
            for path in UNIT_FILES:
                remove_file(path)
            with suppress(OSError):
                # Others may have files there, too.
                os.rmdir(os.path.dirname(DROP_IN))
            host.systemd.daemon_reload()
        with suppress(FileNotFoundError):
            remove_file(FIREWALL_RULES)
        record = replace(record, listing="")
    write_record(record)


def result_of(plan: FirewallPlan, warnings: t.Sequence[str]) -> dict[str, t.Any]:
    """Return the module's result."""
    return {
        "changed": plan.changed,
        "backend": plan.record.backend,
        "ssh_ports": list(plan.ssh),
        "closed": [f"{one.port}/{one.protocol}" for one in plan.closed],
        "diff": {"before": plan.shown_before, "after": plan.shown_after if plan.changed else plan.shown_before},
        "warnings": [*warnings, *plan.warnings],
    }
