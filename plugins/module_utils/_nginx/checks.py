# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find mistakes that nginx -t accepts or only warns about. Private to flaskops.stack."""

from __future__ import annotations

import re
import time
import typing as t

from .certificate import Certificate, covers
from .conf import Configuration, Placed
from .name_patterns import names_of, tail_of
from .policy import KINDS, LOST, MIXED_PROXY

# A name that a certificate can cover; regular expressions, "_" and single labels are not.
_HOST_NAME = re.compile(r"(?:\*\.|\.)?(?:[a-z0-9-]+\.)+[a-z0-9-]+")


class Problem(t.NamedTuple):
    """One mistake; two configurations have the same one when kind, subject and files are equal."""

    kind: str
    subject: str
    files: tuple[str, ...]
    message: str

    @property
    def key(self) -> tuple[str, str, tuple[str, ...]]:
        """Return what makes two problems the same."""
        return (self.kind, self.subject, self.files)


class Listen(t.NamedTuple):
    """One socket of a server."""

    socket: str
    default: bool
    tls: bool
    proxied: bool = False


class ServerBlock(t.NamedTuple):
    """One C(server) block with what it inherits."""

    file: str
    line: int
    listens: tuple[Listen, ...]
    names: tuple[str, ...]
    certificates: tuple[tuple[str, str], ...]
    rejects_tls: bool

    @property
    def place(self) -> str:
        """Return file and line."""
        return f"{self.file}:{self.line}"


def socket_name(address: str) -> str:
    """Return the address of a C(listen) directive in one spelling."""
    if address.startswith("unix:"):
        return address
    if address.isdigit():
        return f"0.0.0.0:{address}"
    if address.startswith("["):
        return address.lower() if "]:" in address else f"{address.lower()}:80"
    host, colon, port = address.partition(":")
    return f"{'0.0.0.0' if host == '*' else host.lower()}:{port if colon else '80'}"


def _listen(args: tuple[str, ...], always_tls: bool) -> Listen:
    options = args[1:]
    name = socket_name(args[0]) + ("/udp" if "quic" in options else "")
    is_default = bool({"default_server", "default"} & set(options))
    return Listen(name, is_default, always_tls or "ssl" in options, "proxy_protocol" in options)


def _pairs(block: list[Placed]) -> tuple[tuple[str, str], ...]:
    certificates = [placed.directive.args[0] for placed in block if placed.directive.name == "ssl_certificate"]
    keys = [placed.directive.args[0] for placed in block if placed.directive.name == "ssl_certificate_key"]
    return tuple(zip(certificates, keys))


_RELEVANT = frozenset(
    ("listen", "server_name", "ssl_certificate", "ssl_certificate_key", "ssl", "ssl_reject_handshake")
)


def _server(config: Configuration, placed: Placed, inherited: tuple[tuple[str, str], ...]) -> ServerBlock:
    block = [item for item in config.inside(placed) if item.directive.name in _RELEVANT and item.directive.args]
    always = any(item.directive.name == "ssl" and item.directive.args == ("on",) for item in block)
    listens = tuple(_listen(item.directive.args, always) for item in block if item.directive.name == "listen")
    names = tuple(
        name.lower() for item in block if item.directive.name == "server_name" for name in item.directive.args
    )
    rejects = any(item.directive.name == "ssl_reject_handshake" and item.directive.args == ("on",) for item in block)
    return ServerBlock(
        placed.file,
        config.line(placed),
        listens or (Listen("0.0.0.0:80", False, always),),
        names or ("",),
        _pairs(block) or inherited,
        rejects,
    )


def find_servers(config: Configuration) -> list[ServerBlock]:
    """Return all C(server) blocks of all C(http) blocks, in nginx's order."""
    found = []
    for http in config.top():
        if http.directive.name == "http":
            level = list(config.inside(http))
            inherited = _pairs([placed for placed in level if placed.directive.args])
            found += [_server(config, placed, inherited) for placed in level if placed.directive.name == "server"]
    return found


def _problem(kind: str, subject: str, servers: t.Sequence[ServerBlock], text: str) -> Problem:
    places = " and ".join(dict.fromkeys(server.place for server in servers))
    return Problem(kind, subject, tuple(sorted({server.file for server in servers})), f"{text}: {places}")


def _names(name: str) -> list[str]:
    """Return what nginx puts into its hash: C(.example.com) stands for two names."""
    return [name[1:], "*" + name] if name.startswith(".") else [name]


def check_names(servers: t.Sequence[ServerBlock]) -> list[Problem]:
    """Find names that two servers claim on one socket; nginx serves the first and warns."""
    seen: dict[tuple[str, str], ServerBlock] = {}
    problems: dict[tuple[str, str, tuple[str, ...]], Problem] = {}
    for server in servers:
        mine = {(item.socket, one) for item in server.listens for name in server.names for one in _names(name)}
        for key in sorted(mine):
            first = seen.setdefault(key, server)
            if first is not server:
                text = f"server_name '{key[1]}' is taken twice on {key[0]}; nginx would ignore the second one"
                problem = _problem(KINDS[0], f"{key[1]} {key[0]}", (first, server), text)
                problems.setdefault(problem.key, problem)
    return list(problems.values())


def check_defaults(servers: t.Sequence[ServerBlock]) -> list[Problem]:
    """Find sockets with more than one default server; nginx refuses them and names one file only."""
    seen: dict[str, ServerBlock] = {}
    problems = []
    for server in servers:
        for item in dict.fromkeys(item.socket for item in server.listens if item.default):
            first = seen.setdefault(item, server)
            if first is not server:
                # The pair of which one is role nginx's own is the most common: any host with a default of its own.
                ours = any("/flaskops-default" in path for path in (first.file, server.file))
                remedy = ": set nginx_catch_all: false to keep the other, or take default_server out of it"
                if item.endswith("/udp"):
                    remedy = ": take default_server and reuseport out of the other, or set http3: false"
                text = f"{item} has two default servers{remedy if ours else ''}"
                problems.append(_problem(KINDS[1], item, (first, server), text))
    return problems


def check_lost_https(
    before: t.Sequence[ServerBlock], after: t.Sequence[ServerBlock], replaced: t.Collection[str]
) -> list[Problem]:
    """Find names that a file of somebody else serves by HTTPS, and that what takes its place would not."""
    kept = {form for server in after if _has_tls(server) for name in server.names for form in _names(name)}
    found = []
    for server in before:
        lost = [name for name in server.names if name not in ("", "_") and not _is_served(name, kept)]
        if server.file in replaced and _has_tls(server) and lost:
            text = (
                f"{server.place} serves {', '.join(lost)} by HTTPS, and the site in its place would not: have all "
                "of them in domains, and set tls.certificate and tls.key (nginx_sites[].tls, or "
                f"flask_apps[].nginx.tls), for example to {_files(server)}, or nginx_acme_email"
            )
            found.append(Problem(LOST, " ".join(lost), (server.file,), text))
    return found


def _is_served(name: str, served: t.Collection[str]) -> bool:
    """Tell whether nginx finds a server for all that a name stands for; a wildcard matches any number of labels."""
    suffixes = tuple(one[1:] for one in served if one.startswith("*."))
    if name.startswith("~") and name not in served:
        names = names_of(name)
        return tail_of(name).endswith(suffixes) if names is None else all(_is_served(one, served) for one in names)
    return all(form in served or form.endswith(suffixes) for form in _names(name))


def _has_tls(server: ServerBlock) -> bool:
    return any(item.tls for item in server.listens) and not server.rejects_tls


def _files(server: ServerBlock) -> str:
    """Return the first certificate of a server and its key, in words."""
    return next((f"{certificate} and {key}" for certificate, key in server.certificates), "those of the host")


def check_tls(servers: t.Sequence[ServerBlock]) -> list[Problem]:
    """Find sockets that one server uses with TLS and another without it."""
    tls: dict[str, ServerBlock] = {}
    plain: dict[str, ServerBlock] = {}
    for server in servers:
        for item in server.listens:
            (tls if item.tls else plain).setdefault(item.socket, server)
    return [
        _problem(KINDS[2], name, (tls[name], plain[name]), f"{name} is used with TLS and without it")
        for name in tls
        if name in plain and not name.endswith("/udp")
    ]


def check_proxy_protocol(servers: t.Sequence[ServerBlock]) -> list[Problem]:
    """Find sockets that one server uses with the PROXY protocol and another without it."""
    proxied: dict[str, ServerBlock] = {}
    plain: dict[str, ServerBlock] = {}
    for server in servers:
        for item in server.listens:
            (proxied if item.proxied else plain).setdefault(item.socket, server)
    text = "is used with the PROXY protocol and without it; nginx would refuse visitors of both who come without it"
    return [
        _problem(MIXED_PROXY, name, (proxied[name], plain[name]), f"{name} {text}") for name in proxied if name in plain
    ]


def certificate_paths(servers: t.Sequence[ServerBlock], files: t.Container[str]) -> list[str]:
    """Return the certificates that servers in the given files use, each once."""
    return list(dict.fromkeys(path for server in servers if server.file in files for path, _key in server.certificates))


def check_certificates(
    servers: t.Sequence[ServerBlock], certificates: t.Mapping[str, Certificate], now: float
) -> list[Problem]:
    """Find certificates, of those given, that are expired or do not cover the names they are used for."""
    problems = []
    for server in servers:
        known = [(path, certificates[path]) for path, _key in server.certificates if path in certificates]
        for path, certificate in known:
            if certificate.not_after < now:
                text = f"is expired since {_day(certificate.not_after)}: renew it"
                problems.append(_certificate_problem(KINDS[3], path, server, text))
            elif certificate.not_before > now:
                text = f"is not valid before {_day(certificate.not_before)}: look at the clock of this host, or wait"
                problems.append(_certificate_problem(KINDS[3], path, server, text))
        bare = [name for name in server.names if _HOST_NAME.fullmatch(name)]
        missing = [name for name in bare if not any(covers(certificate.names, name) for _path, certificate in known)]
        if known and missing and not server.rejects_tls and any(item.tls for item in server.listens):
            text = f"does not cover {', '.join(missing)} (it is for {', '.join(known[0][1].names) or 'no host'})"
            problems.append(_certificate_problem(KINDS[4], known[0][0], server, text))
    return problems


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def _certificate_problem(kind: str, path: str, server: ServerBlock, text: str) -> Problem:
    return Problem(kind, f"{path} {text}", (server.file,), f"certificate {path}, used in {server.place}, {text}")


def find_problems(servers: t.Sequence[ServerBlock]) -> list[Problem]:
    """Return all problems except those of certificates."""
    return [*check_names(servers), *check_defaults(servers), *check_tls(servers), *check_proxy_protocol(servers)]
