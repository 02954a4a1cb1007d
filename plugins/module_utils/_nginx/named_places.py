# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the lines of a configuration that nginx complains of without naming them. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

from .._site.syntax import Directive, descend
from .checks import socket_name
from .conf import Configuration, Placed
from .sockets import bind_options

_PLACED = re.compile(r" in (\S+:\d+)$")
_ZONE = re.compile(r'zero size shared memory zone "([^"]+)"')
# Files, addresses and what else nginx names alone.
_ALONE = re.compile(r'(?:open|opendir|pread|mkdir|stat|chown|bind)\(\) (?:to )?"?([^" ]+)"? failed')
# What another file may have defined already.
_DOUBLE = re.compile(
    r'(?:duplicate upstream|duplicate "log_format" name|duplicate zone|shared memory zone|_zone|the duplicate)'
    r' "([^"]+)"'
)
_LISTEN = re.compile(r"duplicate listen options for (\S+) in")
_DEFINES_VARIABLE = ("geo", "map", "split_clients")
_DEFINES_NAME = ("log_format", "upstream")
# The end of a directive's name.
_DEFINES_ZONE = ("_cache_path", "_zone")
# So many places are named.
_NAMED = 4


def unplaced(output: str, config: Configuration) -> list[str]:
    """Name the lines with a file, an address or a zone of which nginx says no place."""
    lines = [line for line in output.splitlines() if not _PLACED.search(line)]
    found = []
    for line in lines:
        zone, alone = _ZONE.search(line), _ALONE.search(line)
        if zone:
            places = _places(config, zone.group(1), _uses_zone)
            found += [f"nothing defines the zone {zone.group(1)}, which is used in {places}"] if places else []
        elif alone:
            places = _places(config, alone.group(1), _names)
            found += [f"{alone.group(1)} stands in {places}"] if places else []
    return list(dict.fromkeys(found))


def defined_before(output: str, config: Configuration) -> list[str]:
    """Name the other lines that define what nginx has found a second time."""
    found = []
    for line in output.splitlines():
        double, place = _DOUBLE.search(line), _PLACED.search(line)
        if double and place:
            others = _places(config, double.group(1), _defines, without=place.group(1))
            found += [f"{double.group(1)} is also defined in {others}"] if others else []
        listen = _LISTEN.search(line)
        if listen and place:
            others = _places(config, listen.group(1), _has_options, without=place.group(1))
            text = f"{listen.group(1)} has options in {others} as well: give them in one 'listen' of an address only"
            found += [text] if others else []
    return found


def _places(
    config: Configuration, name: str, fits: t.Callable[[Configuration, Directive, str], bool], without: str = ""
) -> str:
    """Return where the directives of a configuration are that fit a name, as file and line."""
    places = dict.fromkeys(
        f"{file}:{config.line(Placed(item, file))}"
        for file, directives in config.files.items()
        for item in descend(directives)
        if item.args and fits(config, item, name)
    )
    found = [place for place in places if place != without]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return " and ".join(found[:_NAMED]) + more


def _uses_zone(_config: Configuration, item: Directive, name: str) -> bool:
    """Tell whether a directive such as limit_req, limit_conn or proxy_cache uses a zone."""
    return f"zone={name}" in item.args or (item.name.endswith(("_cache", "limit_conn")) and item.args[0] == name)


def _names(config: Configuration, item: Directive, name: str) -> bool:
    """Tell whether a directive names a file or an address."""
    if item.name == "listen":
        return socket_name(item.args[0]) == name
    return any(word == name or config.absolute(word) == name for word in item.args)


def _has_options(_config: Configuration, item: Directive, name: str) -> bool:
    """Tell whether a directive sets options of the socket that an address has."""
    return item.name == "listen" and bool(bind_options(item.args[1:])) and socket_name(item.args[0]) == name


def _defines(_config: Configuration, item: Directive, name: str) -> bool:
    """Tell whether a directive defines an upstream, a format, a variable or a zone of this name."""
    if item.name in _DEFINES_NAME:
        return item.args[0] == name
    if item.name in _DEFINES_VARIABLE:
        return item.args[-1] == f"${name}"
    return item.name.endswith(_DEFINES_ZONE) and any(
        word.partition("=")[2].partition(":")[0] == name
        for word in item.args
        if word.startswith(("zone=", "keys_zone="))
    )
