# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a CA for a certificate with the distribution's certbot. Private to flaskops.stack."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tempfile
import typing as t
from contextlib import contextmanager, suppress

from .._system.command import Result
from .._system.files import TEMPORARY, read_file, write_file
from .._system.host import Host
from .lineage import Places
from .model import DNS, AcmeError, Authority, Problem, WantedCertificate
from .problems import NO_ACCOUNT, NONCE, RATE_LIMITED, find_problems

# Tells our hook that the run which called certbot will load what has come.
IN_RUN = "FLASKOPS_IN_RUN"
# Propagation of a record takes minutes where a hook waits for it.
_SECONDS = {DNS: 1800}
_BUSY = "Another instance of Certbot is already running"
_TRUST_STORE = "/etc/ssl/certs/ca-certificates.crt"
_PAIR = re.compile(r"^\s*(kid|hmac_key)\s*[:=]\s*[\"']?([A-Za-z0-9_.+/=:-]+)[\"']?\s*$", re.MULTILINE)
_VERSION = re.compile(r"certbot (\d+)\.")
_PROFILES_SINCE = 4
_PUT_THERE = "Put it there first, by a task or a play that comes before this one"


def require_certbot(which: t.Callable[[str], t.Optional[str]]) -> None:
    """Raise AcmeError where there is no certbot."""
    if which("certbot") is None:
        raise AcmeError("certbot is not on the host: install the package certbot (role nginx does it with nginx_acme)")


def require_profiles(host: Host, profile: str) -> None:
    """Raise AcmeError where a profile is wanted of a certbot that knows none."""
    found = _VERSION.search(host.commands.run(["certbot", "--version"]).out) if profile else None
    if found and int(found.group(1)) < _PROFILES_SINCE:
        raise AcmeError(
            f"profile '{profile}' needs certbot {_PROFILES_SINCE}.0 or newer; this host has {found.group(0)[:-1]}.x."
            " Leave profile empty (nginx_acme_profile) for the CA's default"
        )


def require_private(path: str, what: str, mode: int, root: int = 0) -> None:
    """Raise AcmeError for a file that is not there, is not root's, or gives others rights that C(mode) has not."""
    try:
        info = os.stat(path)
    except OSError as exc:
        raise AcmeError(f"{what} {path} cannot be read on the host: {exc.strerror}. {_PUT_THERE}") from exc
    if not stat.S_ISREG(info.st_mode) or info.st_uid != root or info.st_mode & 0o777 & ~mode:
        raise AcmeError(
            f"{what} {path} must be a file of root with no more rights than {mode:04o}: 'chown root {path}; chmod"
            f" {mode:04o} {path}'"
        )


def require_hook(path: str, root: int = 0, what: str = "dns_hook") -> None:
    """Raise AcmeError for a program that sets no records: it is not there, or not root's alone to change."""
    require_private(path, what, 0o755, root)
    if not os.access(path, os.X_OK):
        raise AcmeError(f"{what} {path} cannot be executed: 'chmod 0755 {path}'")


def read_eab(path: str, root: int = 0, what: str = "eab_file") -> tuple[str, str]:
    """Return key id and HMAC key of an external account; raise AcmeError when the file has not both."""
    require_private(path, what, 0o600, root)
    text = (read_file(path) or b"").decode("utf-8", "replace")
    try:
        values = json.loads(text)
    except ValueError:
        values = dict(_PAIR.findall(text))
    found = values if isinstance(values, dict) else {}
    kid, key = str(found.get("kid") or ""), str(found.get("hmac_key") or "")
    if not kid or not key or "\n" in kid + key:
        raise AcmeError(
            f"{what} {path} must have kid and hmac_key, as JSON or as lines 'kid = ...' and 'hmac_key = ...'"
        )
    return kid, key


def arguments(places: Places, wanted: WantedCertificate, authority: Authority, first: bool) -> list[str]:
    """Return certbot's command for a certificate that is missing or due; C(first) for one that it does not have."""
    words = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--server", authority.server]
    words += ["--email", authority.email] if authority.email else ["--register-unsafely-without-email"]
    # Both given: certbot may then change the kind of an existing key.
    words += [f"--cert-name={wanted.name}", "--key-type", "ecdsa", "--deploy-hook", places.hook]
    if authority.challenge == DNS:
        hook = authority.dns_hook
        words += ["--manual", "--preferred-challenges", "dns"]
        words += ["--manual-auth-hook", f"{hook} auth", "--manual-cleanup-hook", f"{hook} cleanup"]
    else:
        words += ["--webroot", "--webroot-path", places.challenges, "--preferred-challenges", "http"]
    words += ["--required-profile", authority.profile] if authority.profile else []
    words += [] if first else ["--force-renewal", "--renew-with-new-domains"]
    return [*words, *(word for name in wanted.names for word in ("--domain", name))]


@contextmanager
def _options(places: Places, authority: Authority, root: int) -> t.Iterator[list[str]]:
    """Give the options that must not be in the list of processes, in a file that is gone afterwards."""
    _remove_leftovers(places.state)
    if not authority.eab_file or has_account(places, authority.server):
        yield []
        return
    kid, key = read_eab(authority.eab_file, root)
    os.makedirs(places.state, mode=0o700, exist_ok=True)
    directory = tempfile.mkdtemp(prefix=TEMPORARY, dir=places.state)
    try:
        path = os.path.join(directory, "cli.ini")
        write_file(path, f"eab-kid = {kid}\neab-hmac-key = {key}\n".encode(), 0o600, sync=False)
        yield ["--config", path]
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _remove_leftovers(directory: str) -> None:
    """Remove what a killed run has left of its secrets; the caller holds the lock."""
    with suppress(FileNotFoundError):
        for base in os.listdir(directory):
            path = os.path.join(directory, base)
            if base.startswith(TEMPORARY) and os.path.isdir(path):
                shutil.rmtree(path)


def has_account(places: Places, server: str) -> bool:
    """Tell whether certbot has an account at a CA, known there or not."""
    try:
        return bool(os.listdir(places.account(server)))
    except OSError:
        return False


def read_bundle(path: str, what: str = "ca_bundle") -> bytes:
    """Return the certificates of a CA of the user's; raise AcmeError where there are none."""
    try:
        text = read_file(os.path.realpath(path))
    except OSError as exc:
        raise AcmeError(f"{what} {path} cannot be read on the host: {exc.strerror}") from exc
    if text is None:
        raise AcmeError(f"{what} {path} is not on the host. {_PUT_THERE}")
    if b"-----BEGIN" not in text:
        raise AcmeError(
            f"{what} {path} is no PEM file on the host: it needs the CA's certificate, and begins with -----BEGIN"
        )
    return text


def write_bundle(places: Places, authority: Authority) -> str:
    """Return the certificates that certbot is to trust beside those of the distribution; empty for no others."""
    if not authority.ca_bundle:
        return ""
    own = read_bundle(authority.ca_bundle)
    text = (read_file(_TRUST_STORE) or b"").rstrip() + b"\n" + own.strip() + b"\n"
    path = os.path.join(places.state, "ca-bundle.pem")
    if read_file(path) != text:
        os.makedirs(places.state, mode=0o700, exist_ok=True)
        write_file(path, text)
    return path


def issue(
    host: Host, places: Places, wanted: WantedCertificate, authority: Authority, bundle: str, first: bool, root: int = 0
) -> list[Problem]:
    """Let certbot get a certificate; return why the CA did not give it, none when certbot is content."""
    with _options(places, authority, root) as options:
        command = [*_environment(bundle), *arguments(places, wanted, authority, first), *options]
        seconds = _SECONDS.get(authority.challenge, 600)
        # One that the CA did not even look at, because of a nonce that had become old, is asked again.
        for attempt in (1, 2):
            problems = _issue_once(host, places, command, seconds)
            if attempt == 2 or [one.kind for one in problems] != [NONCE]:
                break
    if len(wanted.names) == 1:
        # Some CAs name no domain when they refuse an order.
        problems = [problem._replace(domain=problem.domain or wanted.names[0]) for problem in problems]
    return [explain(places, authority, problem) for problem in problems]


def _environment(bundle: str) -> list[str]:
    return ["env", f"{IN_RUN}=1", *([f"REQUESTS_CA_BUNDLE={bundle}"] if bundle else [])]


def _issue_once(host: Host, places: Places, command: t.Sequence[str], seconds: float) -> list[Problem]:
    deadline = host.clock.monotonic() + 120
    result = _logged(host, places, command, seconds)
    # The timer's run may be at it.
    while result[0].rc != 0 and _BUSY in result[0].err + result[0].out and host.clock.monotonic() < deadline:
        host.clock.sleep(5)
        result = _logged(host, places, command, seconds)
    ended, log = result
    return find_problems(f"{ended.err}\n{ended.out}", log, host.clock.time()) if ended.rc != 0 else []


def _logged(host: Host, places: Places, command: t.Sequence[str], seconds: float) -> tuple[Result, str]:
    """Run certbot; return how it ended and what it has logged."""
    before = _end_of(places.log)
    ended = host.commands.run(command, seconds)
    return ended, read_log(places, before)


def _end_of(path: str) -> tuple[int, int]:
    """Return the inode and the size of a log."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_ino, found.st_size


def read_log(places: Places, before: tuple[int, int] = (0, 0)) -> str:
    """Return what certbot has logged after an end of its log; all of a log that was begun anew since."""
    inode, size = before
    try:
        with open(places.log, "rb") as stream:
            found = os.fstat(stream.fileno())
            stream.seek(size if found.st_ino == inode and found.st_size >= size else 0)
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""


def explain(places: Places, authority: Authority, problem: Problem) -> Problem:
    """Return a problem with the way out, where there is one."""
    lost = problem.kind == NO_ACCOUNT or (problem.kind == "unauthorized" and "ccount is not valid" in problem.detail)
    if lost:
        return problem._replace(
            detail=f"{problem.detail} The CA does not know the account of this host any more. Move"
            f" {places.account(authority.server)} away and run this again: certbot then makes a new account, and all"
            " certificates of the old one are issued anew"
        )
    if problem.kind == RATE_LIMITED:
        return problem._replace(
            detail=f"{problem.detail} To try things out use directory_url: staging (nginx_acme_directory), whose limits"
            " are higher"
        )
    return problem


def revoke_or_delete(host: Host, places: Places, name: str, server: str, bundle: str, revoke: bool) -> str:
    """Let certbot forget a certificate, after it has been revoked where that is wanted; return why it could not."""
    words = [*_environment(bundle), "certbot", "revoke" if revoke else "delete", "--non-interactive"]
    words += [f"--cert-name={name}"]
    words += ["--delete-after-revoke", "--reason", "cessationofoperation", "--server", server] if revoke else []
    for attempt in (1, 2):
        ended, log = _logged(host, places, words, 300)
        problems = find_problems(f"{ended.err}\n{ended.out}", log, host.clock.time()) if ended.rc != 0 else []
        if attempt == 2 or [one.kind for one in problems] != [NONCE]:
            break
    return "; ".join(map(str, problems))
