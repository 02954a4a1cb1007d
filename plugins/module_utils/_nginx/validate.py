# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validate a staged configuration with nginx -t and our own checks. Private to flaskops.stack."""

from __future__ import annotations

import os
import re
import typing as t

from .._system.files import NoDirectoryError, check_directories
from .._system.paths import TLS
from .binary import Nginx
from .certificate import Certificate, CertificateError, read_certificate
from .certificate_files import find_file_problems
from .checks import (
    Problem,
    ServerBlock,
    certificate_paths,
    check_certificates,
    check_lost_https,
    find_problems,
    find_servers,
)
from .conf import Configuration, ConfigurationError
from .hints import (
    CERTIFICATE,
    KEY,
    NO_FILES,
    Used,
    byte_order_marks,
    full_hash,
    misplaced,
    missing_files,
    missing_http3,
    missing_ipv6,
    small_hashes,
    unknown_variables,
    unread_shared_file,
    unusable_files,
)
from .holders import find_sockets_in_use, resolve
from .model import NginxPlan, NginxSiteError
from .named_places import defined_before, unplaced
from .policy import Policy, RunningNginx, ValidationResult
from .sockets import clashing, find_clashes, find_sockets
from .staged_tree import StagedTree

_BROKEN = "The configuration on this host was already broken"
# Our own checks say more of names. With many variables, nginx makes larger buckets for them and goes on.
_NO_NEWS = ("conflicting server name", "could not build optimal variables_hash")
# Of a directory that is none, or that a link does not lead to.
_NOT_IN_DIRECTORY = re.compile(r'open\(\) "([^"]+)/[^"/]*" failed \((?:2|20|40):')
_PLACE = re.compile(r" in (\S+):(\d+)")
# The second is said of keys of two kinds, such as RSA and ECDSA.
_WRONG_KEY = re.compile(r'SSL_CTX_use_PrivateKey\("([^"]+)"\) failed.*key (?:values|type) mismatch')


def validate(nginx: Nginx, plan: NginxPlan, policy: Policy, running: RunningNginx) -> ValidationResult:
    """Validate the staged configuration as a whole; raise NginxSiteError, with the reason, when it is rejected."""
    staged_tree = StagedTree(plan.staged_changes())
    validation = nginx.test(staged_tree)
    config = validation.config
    servers = find_servers(config) if config else []
    if not validation.ok:
        advice = [*_read_versions(plan, config), *_advice(validation, staged_tree, servers, plan)]
        raise NginxSiteError(
            _refusal(nginx, validation, staged_tree, policy, servers, [*advice, *_changed(running.unloaded)])
        )
    problems = []
    if config:
        certificates = _certificates(config, servers, staged_tree, set(running.unloaded), nginx.host.time())
        lost = check_lost_https(_present_servers(nginx), servers, plan.replaced) if plan.replaced else []
        problems = [*find_problems(servers), *certificates, *_sockets(config, running.master), *lost]
    serious, bearable = _sort(nginx, problems, policy, running)
    serious = [*_read_versions(plan, config), *serious, *_unread(plan, config, staged_tree)]
    warnings = [*_other_warnings(validation), *(problem.message for problem in bearable)]
    if policy.strict:
        serious += warnings
    if serious:
        raise NginxSiteError("the new configuration was refused and nothing was changed:\n" + "\n".join(serious))
    return validation._replace(warnings=tuple(warnings))


def _other_warnings(validation: ValidationResult) -> list[str]:
    """Return nginx's warnings except those that our own checks report in more detail, and one of no consequence."""
    return [full_hash(line) for line in validation.warnings if not line.startswith(_NO_NEWS)]


def _unread(plan: NginxPlan, config: Configuration | None, staged_tree: StagedTree) -> list[str]:
    """Find enabled sites that no include of nginx's configuration matches."""
    read = {staged_tree.key(path) for path in config.files} if config else set()
    return [
        f"nginx would not read {path}: no 'include' below {config.main if config else ''} matches it; "
        "name the included directory in directory_enabled and the ending of its names in suffix "
        "(role nginx: nginx_directory_enabled and nginx_suffix)"
        for path in (swap.path for swap in plan.swaps if swap.after.kind == "link")
        if staged_tree.key(path) not in read
    ]


def _read_versions(plan: NginxPlan, config: Configuration | None) -> list[str]:
    """Find includes that match versions of sites, which nginx is to read by their links alone.

    The next version would be live before it is tested with the others, and a second one of a site beside the first.
    """
    targets = [swap.after.target for swap in plan.swaps if swap.after.kind == "link"]
    versions = StagedTree(dict.fromkeys(targets, b""))
    patterns = [(pattern, versions.glob(config.absolute(pattern))) for pattern in config.includes] if config else []
    matched = [(pattern, path) for pattern, paths in patterns for path in paths if versions.changed(path)]
    return [
        f"nginx would read {path}, a version of a site, by 'include {pattern}' as well as by the link to it: let it "
        "include a directory that holds links alone, such as /etc/nginx/sites-enabled (where that is itself a link to "
        "the directory of versions, make it a directory), or name another one for versions in directory_available"
        for pattern, path in matched[:1]
    ] + _read_directories(targets, config)


def _read_directories(versions: t.Iterable[str], config: Configuration | None) -> list[str]:
    """Find includes that match the directory of versions, which nginx would take for a file and then not start."""
    directories = StagedTree({os.path.dirname(path): b"" for path in versions})
    patterns = [(pattern, directories.glob(config.absolute(pattern))) for pattern in config.includes] if config else []
    return [
        f"nginx would read the directory {path} by 'include {pattern}' as if it were a file: name another one for "
        "versions of sites in directory_available"
        for pattern, paths in patterns
        for path in paths
        if directories.changed(path)
    ][:1]


def _certificates(
    config: Configuration, servers: t.Sequence[ServerBlock], staged_tree: StagedTree, unloaded: set[str], now: float
) -> list[Problem]:
    """Check the certificates that changed files use, and those that changed themselves."""
    renewed = {
        server.file for server in servers for pair in server.certificates if unloaded & set(map(config.absolute, pair))
    }
    changed = renewed | {server.file for server in servers if staged_tree.changed(server.file)}
    known: dict[str, Certificate] = {}
    for path in certificate_paths(servers, changed):
        data = None if "$" in path else staged_tree.read(config.absolute(path))
        if data is not None:
            try:
                known[path] = read_certificate(data)
            except CertificateError:
                continue  # nginx has read it; a format that we do not know is no mistake
    affected = [server for server in servers if server.file in changed]
    files = find_file_problems(affected, config.absolute, staged_tree.read, staged_tree.changed)
    return [*check_certificates(affected, known, now), *files]


def _sockets(config: Configuration, master: int) -> list[Problem]:
    """Find sockets that nginx could not open at a start or reload; each is reported once."""
    sockets = find_sockets(config, resolve)
    told = {item for pair in clashing(sockets) for item in pair}
    return [*find_clashes(sockets), *find_sockets_in_use([item for item in sockets if item not in told], master)]


def _sort(
    nginx: Nginx, problems: t.Sequence[Problem], policy: Policy, running: RunningNginx
) -> tuple[list[str], list[Problem]]:
    """Divide problems into those that this change makes and those that are there already or tolerated."""
    if not problems:
        return [], []
    before = _present_problems(nginx, running)
    serious, bearable = [], []
    for problem in problems:
        if problem.key in before or problem.kind in policy.tolerate or _is_ours(problem):
            bearable.append(problem)
        else:
            serious.append(
                f"{problem.message} ({problem.kind}; to accept it add that word to "
                "'tolerate', of role nginx: nginx_tolerate)"
            )
    return serious, bearable


def _is_ours(problem: Problem) -> bool:
    """Tell whether a problem is one of a certificate that the collection provides, and mends later in the run."""
    return problem.subject.startswith(f"{TLS}/")


def _present_problems(nginx: Nginx, running: RunningNginx) -> set[tuple[str, str, tuple[str, ...]]]:
    """Return the problems of the loaded configuration; a certificate that was replaced since is not among them."""
    present = StagedTree({})
    try:
        config = present.load(nginx.config)
    except ConfigurationError:
        return set()
    servers = find_servers(config)
    paths = [path for path in certificate_paths(servers, config.files) if config.absolute(path) not in running.unloaded]
    known: dict[str, Certificate] = {}
    for path in paths:
        try:
            known[path] = read_certificate(present.read(config.absolute(path)) or b"")
        except CertificateError:
            continue
    sockets = find_sockets(config, resolve)
    problems = [*find_problems(servers), *check_certificates(servers, known, nginx.host.time()), *find_clashes(sockets)]
    problems += find_sockets_in_use(sockets, running.master)
    loaded = [server for server in servers if not _uses(server, config, running.unloaded)]
    problems += find_file_problems(loaded, config.absolute, present.read, present.changed)
    return {problem.key for problem in problems}


def _present_servers(nginx: Nginx) -> list[ServerBlock]:
    """Return the servers of the configuration on disk; none when it is broken."""
    try:
        return find_servers(StagedTree({}).load(nginx.config))
    except ConfigurationError:
        return []


def _uses(server: ServerBlock, config: Configuration, paths: t.Collection[str]) -> bool:
    return any(config.absolute(path) in paths for pair in server.certificates for path in pair)


def _refusal(
    nginx: Nginx,
    validation: ValidationResult,
    staged_tree: StagedTree,
    policy: Policy,
    servers: t.Sequence[ServerBlock],
    advice: t.Sequence[str],
) -> str:
    """Return nginx's error with its lines, and whether the host's configuration was broken before."""
    parts = ["nginx refused the new configuration and nothing was changed:", validation.output]
    parts += _excerpts(validation.output, staged_tree, policy)
    parts += [f"{problem.message}" for problem in find_problems(servers)]
    parts += _wrong_keys(validation, servers)
    if not staged_tree.changes:
        parts[0] = f"{_BROKEN}, and nothing was changed; nginx keeps the configuration that it has loaded:"
    elif not (present := nginx.test(StagedTree({}))).ok:
        parts.insert(0, f"{_BROKEN} before this change: {present.output}\n")
    return "\n".join([*parts, *advice])


def _changed(unloaded: t.Sequence[str]) -> list[str]:
    """Name the files that others have changed, as a possible cause."""
    files = ", ".join(unloaded)
    return [f"These files have changed since nginx has loaded its configuration: {files}"] if unloaded else []


def _advice(
    validation: ValidationResult, staged_tree: StagedTree, servers: t.Sequence[ServerBlock], plan: NginxPlan
) -> list[str]:
    """Return the role variables that may fix nginx's error."""
    if validation.config is None:
        return []
    names = {
        staged_tree.key(swap.path): os.path.basename(swap.after.target).rpartition("@")[0]
        for swap in plan.swaps
        if swap.after.kind == "link"
    }
    sites = {
        server.file: names[staged_tree.key(server.file)] for server in servers if staged_tree.key(server.file) in names
    }
    used = [
        Used(kind, validation.config.absolute(path), server)
        for server in servers
        for pair in server.certificates
        for kind, path in zip((CERTIFICATE, KEY), pair)
        if not path.startswith(NO_FILES)
    ]
    return [
        *missing_files(used, lambda path: staged_tree.read(path) is not None, sites),
        *unusable_files(validation.output, used, sites),
        *misplaced(validation.output),
        *byte_order_marks(validation.output),
        *missing_http3(validation.output),
        *missing_ipv6(validation.output),
        *unknown_variables(validation.output, validation.config.texts),
        *unread_shared_file(validation.output),
        *unplaced(validation.output, validation.config),
        *_no_directories(validation.output),
        *defined_before(validation.output, validation.config),
        *small_hashes(validation.output, [name for server in servers for name in server.names]),
    ]


def _no_directories(output: str) -> list[str]:
    """Name what is in the place of the directory of a file, such as a log, that nginx could not open."""
    found = []
    for path in dict.fromkeys(_NOT_IN_DIRECTORY.findall(output)):
        try:
            check_directories([path])
        except NoDirectoryError as exc:
            found.append(str(exc))
    return found


def _excerpts(output: str, staged_tree: StagedTree, policy: Policy) -> list[str]:
    """Return the lines that nginx complained of, and the template they came from."""
    found = []
    for path, number in dict.fromkeys(_PLACE.findall(output)):
        lines = (staged_tree.read(path) or b"").decode("utf-8", "replace").split("\n")
        if staged_tree.changed(path) and 0 < int(number) <= len(lines):
            origin = f" (from {policy.origins[path]})" if path in policy.origins else ""
            found.append(f"{path}:{number}: {lines[int(number) - 1].strip()[:200]}{origin}")
    return found


def _wrong_keys(validation: ValidationResult, servers: t.Sequence[ServerBlock]) -> list[str]:
    """Name both files where a certificate does not match its key."""
    wrong = set(_WRONG_KEY.findall(validation.output))
    return [
        f"certificate {certificate} does not match the key {key} in {server.place}: name two files of one pair in "
        "tls.certificate and tls.key"
        for server in servers
        for certificate, key in server.certificates
        if validation.config and validation.config.absolute(key) in wrong
    ]
