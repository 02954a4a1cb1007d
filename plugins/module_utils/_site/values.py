# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check values of a site, so that none can end the nginx directive it is in. Private to flaskops.stack."""

from __future__ import annotations

import difflib
import ipaddress
import re
import typing as t

from .._input.values import InputError, UnsafeNameError, as_bool, as_int, check_socket_path

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
# RFC 9110: a field name is a token.
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SIZE = re.compile(r"[0-9]+[kKmMgG]?")
_SOCKET = re.compile(r"unix:(/[A-Za-z0-9@%+=:,./_-]+)")
_HOST_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")


def quote(value: str) -> str:
    """Return a value as one quoted word of nginx's configuration; variables in it stay variables."""
    if _CONTROL.search(value):
        raise InputError(f"{value!r} must not contain line breaks or other control characters")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def check_domain(domain: str) -> str:
    """Return a host name in lower case; raise InputError when a browser could not send it."""
    lower = domain.lower()
    if _is_ipv6(lower):
        return lower
    if not lower.isascii():
        raise InputError(f"domain '{domain}' must be written in its ASCII form{_ascii_form(lower)}")
    if len(lower) > 253 or lower == "_" or not _DOMAIN.fullmatch(lower):
        raise InputError(
            f"domain '{domain}' must be a host name such as 'shop.example.com' or '*.example.com', "
            "without scheme, port or path"
        )
    return lower


def _is_ipv6(text: str) -> bool:
    try:
        return text[:1] == "[" and text[-1:] == "]" and bool(ipaddress.IPv6Address(text[1:-1]))
    except ValueError:
        return False


def _ascii_form(domain: str) -> str:
    try:
        return f", '{domain.encode('idna').decode('ascii')}'"
    except UnicodeError:
        return " ('xn--…')"


def check_address(address: str) -> str:
    """Return the address of an upstream server; raise InputError when nginx could not connect to such a thing."""
    socket, host = _SOCKET.fullmatch(address), _HOST_PORT.fullmatch(address)
    if socket:
        try:
            check_socket_path(socket.group(1))
        except UnsafeNameError as exc:
            raise InputError(str(exc)) from exc
    elif not host or (host.group("host")[0] == "[" and not _is_ipv6(host.group("host"))):
        raise InputError(
            f"upstream '{address}' must be 'unix:/path/of/a.sock', 'host:port', '10.0.0.1:8000' or '[2001:db8::1]:8000'"
        )
    elif host.group("port"):
        check_range(int(host.group("port")), f"port of upstream '{address}'", 1, 65535)
    return address


def check_network(network: str) -> str:
    """Return an address or network that nginx can trust; raise InputError for anything else."""
    try:
        return str(ipaddress.ip_network(network, strict=False))
    except ValueError as exc:
        raise InputError(f"trusted_proxies: '{network}' must be an address or a network such as 10.0.0.0/8") from exc


def check_header(name: str) -> str:
    """Return the name of an HTTP header; raise InputError when it cannot be one."""
    if not _HEADER.fullmatch(name) or "$" in name:
        raise InputError(f"header name {name!r} must consist of letters, digits and '-'")
    return name


def check_path(path: str, what: str) -> str:
    """Return an absolute path that nginx takes literally; raise InputError otherwise."""
    if not path.startswith("/") or "$" in path or ".." in path.split("/") or _CONTROL.search(path):
        raise InputError(f"{what} {path!r} must be an absolute path without '..', '$' and control characters")
    return path


def check_size(size: str, what: str) -> str:
    """Return a size as nginx reads it; raise InputError otherwise."""
    if not _SIZE.fullmatch(size):
        raise InputError(f"{what} '{size}' must be a number of bytes, or one with the unit k, m or g, such as '16m'")
    return size


def check_range(value: int, what: str, lowest: int, highest: int) -> int:
    """Return a number within its bounds; raise InputError otherwise."""
    if not lowest <= value <= highest:
        raise InputError(f"{what} must be between {lowest} and {highest}, not {value}")
    return value


def check_keys(values: t.Mapping[str, object], known: t.Collection[str], prefix: str = "") -> None:
    """Raise InputError when a key is not among the known ones, with the one that was probably meant."""
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(sorted(known))}"
            raise InputError(f"{prefix}unknown key '{key}'; {hint}")


class Reader:
    """Typed access to a mapping; None stands for "not given"."""

    def __init__(self, values: t.Mapping[str, object], prefix: str = "") -> None:
        """Take the mapping, and how errors about it begin."""
        self._values = {key: value for key, value in values.items() if value is not None}
        self._prefix = prefix

    def text(self, key: str, default: str = "") -> str:
        """Return a string; numbers become one."""
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise InputError(f"{self._prefix}{key} must be a string, not {value!r}")
        return str(value)

    def choice(self, key: str, default: str, choices: t.Sequence[str]) -> str:
        """Return one of the accepted strings; YAML makes a boolean of a bare C(off)."""
        value = "off" if self._values.get(key) is False else self.text(key, default)
        if value not in choices:
            raise InputError(f"{self._prefix}{key} must be one of {', '.join(choices)}, not '{value}'")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return a boolean, also when it is written as a word."""
        return as_bool(f"{self._prefix}{key}", self._values.get(key, default))

    def number(self, key: str, default: int, lowest: int = 0, highest: int = 2**31 - 1) -> int:
        """Return a whole number within its bounds."""
        number = as_int(f"{self._prefix}{key}", self._values.get(key, default), least=None)
        return check_range(number, f"{self._prefix}{key}", lowest, highest)

    def items(self, key: str) -> list[object]:
        """Return a list; a single string stands for a list of its parts between commas, as Ansible reads it."""
        value = self._values.get(key, [])
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{self._prefix}{key} must be a list, not {value!r}")
        return list(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings."""
        for value in self.items(key):
            if not isinstance(value, str):
                raise InputError(f"{self._prefix}{key} must hold strings, not {value!r}")
        return tuple(str(value) for value in self.items(key))

    def raw(self, key: str) -> object:
        """Return what was given, or None."""
        return self._values.get(key)


def as_mapping(value: object, what: str) -> t.Mapping[str, object]:
    """Return a dictionary; raise InputError for anything else."""
    if not isinstance(value, dict):
        raise InputError(f"{what} must be a dictionary, not {value!r}")
    return t.cast("t.Mapping[str, object]", value)
