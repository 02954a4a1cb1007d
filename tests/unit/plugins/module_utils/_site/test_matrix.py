# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Combinations of TLS, HTTP versions, static files, cache, websockets, mounts and proxies, as nginx reads them.

`make matrix` has the nginx of four distributions accept all. Here is what nginx says nothing of, or one nginx only.
"""

from __future__ import annotations

import re
import typing as t
from collections import Counter
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._site.acme import read_acme
from ansible_collections.flaskops.stack.plugins.module_utils._site.lines import file_headers
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_sites
from ansible_collections.flaskops.stack.plugins.module_utils._site.render import site_configs
from ansible_collections.flaskops.stack.plugins.module_utils._site.syntax import Directive, descend, parse

from tools.matrix.combinations import ACME, ROWS, Combination, beside_each_other, combinations

SNIPPET = Path(__file__).parents[5] / "roles/nginx/files/flaskops.conf"
ALL = list(combinations())
POSSIBLE = [each for each in ALL if each.possible]
# Each third: each choice meets each version, and each choice of another row.
SAMPLE = POSSIBLE[::3]
# "" is the newest.
VERSIONS = ("1.18.0", "1.22.1", "1.26.3", "")
# Directives that may stand in a block more than once.
REPEATED = {
    *("listen", "add_header", "proxy_set_header", "proxy_hide_header", "set_real_ip_from", "location", "if", "set"),
    *("limit_req", "limit_conn", "error_page", "map", "geo", "server", "upstream", "limit_req_zone", "limit_conn_zone"),
    *("return", "rewrite", "proxy_cache_valid", "proxy_cache_bypass", "proxy_no_cache", "proxy_cache_path"),
}


def render(site: dict[str, t.Any], version: str) -> list[Directive]:
    """Return what nginx reads of a site and of those for unknown hosts."""
    found = site_configs([site], {}, version, catch_all=True, acme=read_acme(ACME))
    return [directive for each in found for directive in parse(each.get("content", ""))]


def lines_of(block: Directive, name: str) -> list[tuple[str, ...]]:
    return [tuple(line.args) for line in block.block or () if line.name == name]


def sockets(servers: t.Iterable[Directive]) -> dict[str, list[tuple[Directive, set[str]]]]:
    """Return the servers of each address, TCP and UDP apart, with their options."""
    found: dict[str, list[tuple[Directive, set[str]]]] = {}
    for server in servers:
        for address, *options in lines_of(server, "listen"):
            found.setdefault(address + ("/udp" if "quic" in options else ""), []).append((server, set(options)))
    return found


def test_every_combination_has_a_title_of_its_own() -> None:
    assert len(ALL) == 6 * 3 * 3 * 2 * 2 * 2 * 4 * 2
    assert len({each.title for each in ALL}) == len(ALL)


def test_what_contradicts_itself_is_refused_and_nothing_else() -> None:
    for each in ALL:
        try:
            parse_sites([each.site], {})
            refused = False
        except InputError:
            refused = True
        assert refused is not each.possible, each.title


def check_sockets(servers: list[Directive]) -> None:
    """Hold that the servers of an address agree, and that exactly one is for unknown hosts."""
    for address, users in sockets(servers).items():
        options = [given for _server, given in users]
        assert sum("default_server" in given for given in options) == 1, address
        assert sum("reuseport" in given for given in options) == (1 if address.endswith("/udp") else 0), address
        # nginx has these once for an address.
        for once in ("ssl", "quic", "proxy_protocol"):
            assert len({once in given for given in options}) == 1, (address, once)
        for once in ("ssl_protocols", "ssl_ciphers", "ssl_ecdh_curve", "ssl_session_cache"):
            said = {tuple(lines_of(server, once)) for server, given in users if given & {"ssl", "quic"}}
            assert len(said) <= 1, (address, once)


def check_headers(server: Directive) -> None:
    """Hold that a location with headers of its own has those of the server as well: nginx inherits none then."""
    usual = set(lines_of(server, "add_header"))
    of_files = {tuple(file_headers(words)) for words in usual}
    for place in server.block or ():
        own = set(lines_of(place, "add_header")) if place.name == "location" else set()
        # Where nginx answers with files, no application can have sent a header of its own.
        assert not own or usual <= own or of_files <= own, place.args


def check_repeats(block: Directive) -> None:
    """Hold that no directive which nginx wants once comes twice."""
    counts = Counter(line.name for line in block.block or () if line.name not in REPEATED)
    assert [name for name, count in counts.items() if count > 1] == []


def variables(directives: t.Iterable[Directive]) -> tuple[set[str], set[str]]:
    """Return the variables of ours that are defined, and those that are used."""
    every = list(descend(directives))
    defined = {line.args[-1] for line in every if line.name in ("map", "geo")}
    defined |= {line.args[0] for line in every if line.name == "set"}
    return defined, {name for line in every for word in line.args for name in re.findall(r"\$flaskops_\w+", word)}


SHARED, _used = variables(parse(SNIPPET.read_text(encoding="utf-8")))


def check(each: Combination, version: str) -> None:
    directives = render(each.site, version)
    servers = [directive for directive in directives if directive.name == "server"]
    check_sockets(servers)
    for server in servers:
        check_headers(server)
    for block in servers + [place for server in servers for place in server.block or () if place.name == "location"]:
        check_repeats(block)
    defined, used = variables(directives)
    assert used <= defined | SHARED
    # Of two maps of one name nginx takes the last, and says nothing.
    counts = Counter(line.args[-1] for line in directives if line.name in ("map", "geo"))
    assert [name for name, count in counts.items() if count > 1] == []


def version_for(number: int, each: Combination) -> str:
    """Return the version for which a combination is rendered here: each choice of a row meets each version."""
    known = VERSIONS[2:] if each.needs_http3 else VERSIONS
    return known[sum(divmod(number, 8)) % len(known)]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_parts_of_a_site_fit_together(version: str) -> None:
    mine = [each for number, each in enumerate(SAMPLE) if version_for(number, each) == version]
    for row, choices in enumerate(ROWS):
        assert {each.choices[row] for each in mine} >= set(choices) - ({"http3"} if version in VERSIONS[:2] else set())
    for each in mine:
        try:
            check(each, version)
        except AssertionError as exc:
            raise AssertionError(each.title) from exc


def test_sites_of_all_kinds_fit_beside_each_other() -> None:
    items = beside_each_other(POSSIBLE[::23])
    servers = [
        directive
        for site in site_configs(items, {}, "1.26.3", catch_all=True, acme=read_acme(ACME))
        for directive in parse(site.get("content", ""))
        if directive.name == "server"
    ]
    assert len(items) > 25
    check_sockets(servers)
