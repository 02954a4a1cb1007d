# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox of a service: default directives, and those that may be changed. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

# Directives of systemd.exec(5) and systemd.resource-control(5) that C(sandbox) may set. systemd only warns about a
# directive that it does not know, so a typing error would leave the application less protected than it looks.
SANDBOX = frozenset(
    {
        "AmbientCapabilities",
        "BindPaths",
        "BindReadOnlyPaths",
        "CapabilityBoundingSet",
        "DeviceAllow",
        "DevicePolicy",
        "ExecPaths",
        "IPAddressAllow",
        "IPAddressDeny",
        "InaccessiblePaths",
        "KeyringMode",
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "NoExecPaths",
        "NoNewPrivileges",
        "PrivateDevices",
        "PrivateIPC",
        "PrivateMounts",
        "PrivateNetwork",
        "PrivateTmp",
        "PrivateUsers",
        "ProcSubset",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHome",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "ProtectProc",
        "ProtectSystem",
        "ReadOnlyPaths",
        "RemoveIPC",
        "RestrictAddressFamilies",
        "RestrictFileSystems",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
        "SocketBindAllow",
        "SocketBindDeny",
        "SupplementaryGroups",
        "SystemCallArchitectures",
        "SystemCallErrorNumber",
        "SystemCallFilter",
        "SystemCallLog",
        "TemporaryFileSystem",
    }
)

# An application needs the network, its own files and nothing else of the host. PrivateUsers is left out: it does not
# start in a container, and the rest is worth more than a user namespace to a process without any capability. RemoveIPC
# would take the shared memory away from the next release, which has the same user, when the old one stops.
_DEFAULTS: dict[str, tuple[str, ...]] = {
    "NoNewPrivileges": ("yes",),
    "CapabilityBoundingSet": ("",),
    "AmbientCapabilities": ("",),
    "PrivateDevices": ("yes",),
    "PrivateMounts": ("yes",),
    "PrivateTmp": ("yes",),
    "ProtectClock": ("yes",),
    "ProtectControlGroups": ("yes",),
    "ProtectHome": ("yes",),
    "ProtectHostname": ("yes",),
    "ProtectKernelLogs": ("yes",),
    "ProtectKernelModules": ("yes",),
    "ProtectKernelTunables": ("yes",),
    "ProtectProc": ("invisible",),
    "ProtectSystem": ("strict",),
    "DevicePolicy": ("closed",),
    "KeyringMode": ("private",),
    "LockPersonality": ("yes",),
    "MemoryDenyWriteExecute": ("yes",),
    "RestrictAddressFamilies": ("AF_UNIX AF_INET AF_INET6",),
    "RestrictNamespaces": ("yes",),
    "RestrictRealtime": ("yes",),
    "RestrictSUIDSGID": ("yes",),
    "SystemCallArchitectures": ("native",),
    "SystemCallErrorNumber": ("EPERM",),
    # gunicorn 20.1 sets its own user again in each worker; the kernel refuses any other without a capability.
    "SystemCallFilter": ("@system-service", "~@privileged @resources", "setuid"),
}


def sandbox_lines(sandbox: bool | t.Mapping[str, object], writable: t.Sequence[str], home_is_used: bool) -> list[str]:
    """Return the directives of a service that may write to C(writable) only; none when C(sandbox) is false.

    C(home_is_used) says that code or interpreter lie below /home or /root and must stay readable.
    """
    if sandbox is False:
        return []
    wanted = dict(_DEFAULTS)
    if home_is_used:
        wanted["ProtectHome"] = ("read-only",)
    if isinstance(sandbox, t.Mapping):
        wanted.update({name: _values(value) for name, value in sandbox.items()})
    lines = [f"{name}={value}" for name, values in wanted.items() for value in values]
    return [*lines, *(f"ReadWritePaths={path}" for path in writable)]


# A build fetches from the network and starts compilers and bundlers, which make code at run time, have many threads
# and copy files with their group. What C(sandbox) says of the network or of paths is about a process that serves.
_BUILD: dict[str, tuple[str, ...]] = {
    "MemoryDenyWriteExecute": ("no",),
    "RestrictAddressFamilies": ("AF_UNIX AF_INET AF_INET6 AF_NETLINK",),
    "SystemCallFilter": ("@system-service", "~@privileged", "@chown setuid"),
}
_SERVING = frozenset(
    {
        "AmbientCapabilities",
        "BindPaths",
        "BindReadOnlyPaths",
        "ExecPaths",
        "IPAddressAllow",
        "IPAddressDeny",
        "InaccessiblePaths",
        "MemoryDenyWriteExecute",
        "NoExecPaths",
        "PrivateNetwork",
        "ReadOnlyPaths",
        "RestrictAddressFamilies",
        "SocketBindAllow",
        "SocketBindDeny",
        "TemporaryFileSystem",
    }
)


def build_lines(
    sandbox: bool | t.Mapping[str, object], writable: t.Sequence[str], readable: t.Sequence[str], home_is_used: bool
) -> list[str]:
    """Return the directives of what builds an application; C(readable) is to be seen although it is below C(/tmp)."""
    if sandbox is False:
        return []
    given = sandbox if isinstance(sandbox, t.Mapping) else {}
    changed: dict[str, object] = {name: list(values) for name, values in _BUILD.items()}
    changed.update({name: value for name, value in given.items() if name not in _SERVING})
    return [*sandbox_lines(changed, writable, home_is_used), *(f"BindReadOnlyPaths={path}" for path in readable)]


# Directives whose paths systemd has to find when it starts the service, unless a '-' stands before one.
_WITH_PATHS = ("ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths", "BindPaths", "BindReadOnlyPaths")


def needed_paths(sandbox: bool | t.Mapping[str, object], writable: t.Sequence[str]) -> list[tuple[str, str]]:
    """Return the paths without which the service does not start, each behind the name of its setting."""
    if sandbox is False:
        return []
    found = [("sandbox_paths", path) for path in writable]
    given = sandbox if isinstance(sandbox, t.Mapping) else {}
    for name in _WITH_PATHS:
        words = [word for value in _values(given.get(name, "")) for word in value.split()]
        # A bind mount has its source before the colon.
        paths = [word.lstrip("+").split(":")[0] for word in words if not word.startswith(("-", "+-"))]
        found += [(f"sandbox.{name}", path) for path in paths if path.startswith("/") and "%" not in path]
    return found


def _values(value: object) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("yes" if value else "no",)
    if isinstance(value, list):
        return tuple(_escape(str(item)) for item in value)
    return (_escape(str(value)),)


def _escape(text: str) -> str:
    """Keep systemd from expanding a '%' that a user wrote."""
    return text.replace("%", "%%")
