# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Suggest the role variable that fixes an error of nginx. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

from .checks import ServerBlock

_HASH = re.compile(r"could not build (?:the )?(\w+), you should increase (\w+_bucket_size): (\d+)")
_FULL_HASH = re.compile(r"could not build optimal \w+, you should increase either (\w+_max_size): (\d+) ")
_BAD_FILE = re.compile(r'cannot load certificate( key)? "([^"]+)": (.*)')
# OpenSSL's words: for a key with a passphrase that it cannot ask for, and for one that does not fit.
_PASSPHRASE = re.compile(r"problems getting password|bad password read|bad decrypt|maybe wrong password")
_NO_PEM = re.compile(r"no start line|DECODER routines::unsupported")
_UNKNOWN_VARIABLE = re.compile(r'unknown "(\w+)" variable')
# Names of that file begin so.
_SHARED = re.compile(r'(?:unknown (?:log format )?|zone )"(flaskops\w*)"')
# EAFNOSUPPORT: the kernel is without it. EADDRNOTAVAIL: sysctl net.ipv6.conf.lo.disable_ipv6 has taken loopback away.
_NO_IPV6 = re.compile(r"socket\(\) (\[\S*\]:\d+) failed \(97:|bind\(\) to (\[::1\]:\d+) failed \(99:")
_NOT_HERE = re.compile(r'"(\w+)" directive is not allowed here')
# Directives that nginx knows in http alone, and those that are no part of it.
_OF_HTTP = (
    "geo",
    "limit_conn_zone",
    "limit_req_zone",
    "log_format",
    "map",
    "proxy_cache_path",
    "split_clients",
    "upstream",
)
_OF_MAIN = ("events", "http", "load_module", "stream", "user", "worker_processes")
_BYTE_ORDER_MARK = "\ufeff"
_LARGEST = 65536
# Of a hash table, as in an nginx.conf that the role owns.
_ROOMY = 4096
# So many places of one mistake are named.
_NAMED = 4
CERTIFICATE, KEY = "certificate", "key"
# Beginnings of what stands in place of a path.
NO_FILES = ("data:", "engine:", "store:")


class Used(t.NamedTuple):
    """A certificate or key that a server uses: by its absolute path."""

    kind: str
    path: str
    server: ServerBlock


def _of(used: Used, sites: t.Mapping[str, str]) -> str:
    """Begin a sentence about a file with the site that uses it; C(sites) are names of sites by the file nginx reads."""
    name = sites.get(used.server.file)
    file = f"{used.kind} {used.path}"
    return f"site '{name}': {file}" if name else f"{file}, used in {used.server.place},"


def _variable(setting: str) -> str:
    return f"(nginx_sites[].{setting}, or flask_apps[].nginx.{setting})"


def missing_files(used: t.Iterable[Used], exists: t.Callable[[str], bool], sites: t.Mapping[str, str]) -> list[str]:
    """Name every certificate and key that is not on the host; nginx names the first one only, and no site."""
    found = [
        f"{_of(item, sites)} does not exist on this host: bring it there first, or correct tls.{item.kind} "
        f"{_variable('tls.' + item.kind)}"
        for item in used
        if "$" not in item.path and not exists(item.path)
    ]
    return list(dict.fromkeys(found))


def unusable_files(output: str, used: t.Sequence[Used], sites: t.Mapping[str, str]) -> list[str]:
    """Return hints for a certificate or a key that nginx could not read."""
    found = []
    for is_key, path, reason in _BAD_FILE.findall(output):
        kind = KEY if is_key else CERTIFICATE
        item = next((item for item in used if (item.kind, item.path) == (kind, path)), None)
        start = _of(item, sites) if item else f"{kind} {path}"
        if _PASSPHRASE.search(reason):
            found.append(
                f"{start} has a passphrase, and nginx was given none that fits: write the key without one "
                f"('openssl pkey -in {path} -out NEW') and name that file in tls.key {_variable('tls.key')}, or name a "
                f"file with the passphrase in config, 'ssl_password_file FILE;' {_variable('config')}"
            )
        elif _NO_PEM.search(reason):
            found.append(f"{start} is no {kind} in PEM format: correct tls.{kind} {_variable('tls.' + kind)}")
    return found


def small_hashes(output: str, names: t.Iterable[str]) -> list[str]:
    """Return hints for a name too long for one of nginx's hash tables; C(names) are all server names."""
    found = []
    for hash_name, directive, size in _HASH.findall(output):
        longest = max(names, key=len, default="") if hash_name == "server_names_hash" else ""
        needed = bucket_size(len(longest), int(size))
        reason = f"the host name '{longest}' is too long for it. " if longest else "a name in it is too long. "
        found.append(
            f"{hash_name}: {reason}Set nginx_http_config of role nginx to '{directive} {needed};'. A line of "
            f"the same name elsewhere in nginx.conf has to go"
        )
    return found


def full_hash(warning: str) -> str:
    """Return a warning of nginx, with the variable of ours where it is about a hash table that is too small."""
    found = _FULL_HASH.match(warning)
    if not found:
        return warning
    size = max(_ROOMY, 2 * int(found[2]))
    return (
        f"{warning}. Set nginx_http_config of role nginx to '{found[1]} {size};'. A line of the same name elsewhere in "
        "nginx.conf has to go"
    )


def unknown_variables(output: str, texts: t.Mapping[str, str]) -> list[str]:
    """Name the lines that use a variable which nothing defines; nginx names no place. C(texts) are files by path."""
    found = []
    for name in _UNKNOWN_VARIABLE.findall(output):
        use = re.compile(rf"^(?!\s*#).*\$(?:{name}\b|{{{name}}})")
        places = [
            f"{path}:{number}"
            for path, text in texts.items()
            if name in text
            for number, line in enumerate(text.split("\n"), 1)
            if use.search(line)
        ]
        found += [f"nothing defines ${name}, which is used in {' and '.join(places[:_NAMED])}"] if places else []
    return found


def unread_shared_file(output: str) -> list[str]:
    """Return a hint for sites that nginx reads without the file that they share."""
    found = _SHARED.search(output)
    remedy = (
        "a task of your own comes after role nginx, which writes that file; where the role has written it, "
        "set nginx_shared_file of role nginx to the path of a file that its http block includes, before the sites"
    )
    where = "is defined in the file that all sites share, and nginx does not read it before them"
    return [f"{found[1]} {where}: {remedy}"] if found else []


def misplaced(output: str) -> list[str]:
    """Tell where a directive belongs that nginx has found at another level."""
    found = []
    for name in dict.fromkeys(_NOT_HERE.findall(output)):
        if name in _OF_HTTP:
            found.append(f"'{name}' belongs into http, outside of server: write it in nginx_http_config of role nginx")
        elif name in _OF_MAIN:
            found.append(f"'{name}' belongs outside of http, where no site is: write it in nginx's main file")
    return found


def byte_order_marks(output: str) -> list[str]:
    """Tell of a character that cannot be seen in nginx's error."""
    if _BYTE_ORDER_MARK not in output:
        return []
    return ["a byte order mark stands before that word, and cannot be seen: save the text as UTF-8 without one"]


def missing_http3(output: str) -> list[str]:
    """Return a hint for an nginx that was built without HTTP/3."""
    if "ngx_http_v3_module" not in output:
        return []
    remedy = f"set http3 to false {_variable('http3')}, or install an nginx that has it"
    return [f"this nginx is built without HTTP/3 ('nginx -V' has no --with-http_v3_module): {remedy}"]


def missing_ipv6(output: str) -> list[str]:
    """Return a hint for a host that has no IPv6: its kernel is without it, or it is switched off."""
    remedy = "set 'ipv6: false' in nginx_site_defaults, which holds for the sites for unknown host names as well"
    found = _NO_IPV6.search(output)
    return [f"this host has no IPv6, and {found[1] or found[2]} needs it: {remedy}"] if found else []


def bucket_size(length: int, present: int) -> int:
    """Return the size of a bucket that holds a name of this length: more than the present one, a power of two."""
    # An element is a pointer and the name with two bytes, in words; a bucket ends with a pointer.
    needed = 8 + (length + 2 + 7) // 8 * 8 + 8
    size = present * 2
    while size < needed and size < _LARGEST:
        size *= 2
    return size
