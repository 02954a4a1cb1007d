# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch from git: references, and one commit as a tar file. Private to flaskops.stack."""

from __future__ import annotations

import glob
import os
import re
import shutil
import typing as t
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from .._app.source import SourceError, SourceLocation, git_url, parse_refs, split_credentials
from .._input.redact import mask
from .._system.command import CommandError, Result, run
from .._system.files import read_file, remove_file
from .._system.lock import Lock
from .._system.trees import remove_tree
from .scm_version import DESCRIBE

# Asking for references takes seconds; the first fetch of a large history many minutes.
_ASK, _FETCH = 60, 1800

# Tidying up takes longer than a fetch, and would go on behind its back.
_QUICK = ["-c", "gc.auto=0", "-c", "maintenance.auto=false"]
_SAFE = ["-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", *_QUICK]

_ALL = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
# Digits of a commit in a repository of that format.
_SHA256 = 64
# The server's default branch.
_HEAD = "refs/flaskops/head"

# The shell reads the values from the environment: argv is in the process list.
_HELPER = '!f() { echo "username=$FLASKOPS_GIT_USERNAME"; echo "password=$FLASKOPS_GIT_PASSWORD"; }; f'

# Error messages of git, and their meaning.
_HINTS = (
    (r"invalid gitfile format", "a bundle is named by its path alone, such as /srv/git/shop.bundle, without 'file://'"),
    (r"error in libcrypto|invalid format", "'deploy_key' is no private key that ssh can read (it has the whole file)"),
    (r"Host key verification failed", "the server's host key is not the one in 'known_hosts' (see ssh-keyscan)"),
    (
        r"Permission denied \(|could not read Username|Authentication failed|Access denied|error: 40[13]",
        "the server refuses the credentials: set 'deploy_key' (ssh), or user and token in the address (https)",
    ),
    (r"Could not resolve host", "the name of the server cannot be resolved on this host: check the address and DNS"),
    (r"certificate|SSL", "the server's certificate is not trusted on this host: set 'ca_bundle'"),
    (
        r"Connection refused|timed out|unreachable|Failed to connect",
        "the server cannot be reached from this host: check address, proxy, firewall",
    ),
    (
        r"not found|does not (?:exist|appear)|No such file",
        "there is no such repository, or the credentials do not show it",
    ),
)


@dataclass(frozen=True)
class Git:
    """git on this host; tests hand in one of their own."""

    # Seconds to wait for another run that uses the mirror: a query can do without it, a build needs it.
    query_wait: float = 10
    build_wait: float = 2 * _ASK + 10

    def run(self, argv: t.Sequence[str], timeout: float, env: t.Mapping[str, str]) -> Result:
        """Run a command of git's; raise CommandError when it is missing or too slow."""
        return run(argv, timeout=timeout, env=env)


_GIT = Git()


class MissingCommitError(SourceError):
    """A repository that answers, but not with the commit."""


@dataclass(frozen=True)
class Repository:
    """A git repository as this host reaches it."""

    source: str
    deploy_key: str = ""
    known_hosts: str = ""
    # Host keys that were accepted at the first connection.
    seen_hosts: str = ""
    ca_bundle: str = ""

    @property
    def location(self) -> SourceLocation:
        """Return the address and, apart from it, the credentials."""
        return split_credentials(git_url(self.source))

    def secrets(self) -> list[str]:
        """Return the secrets to redact in the output of git."""
        return [secret for secret in (self.location.password, self.deploy_key) if secret]


def list_refs(repository: Repository, scratch: str) -> dict[str, str]:
    """Return the commit by reference; C(scratch) is where a private directory can be made, by its first part."""
    with _session(repository, scratch, _GIT) as call:
        return parse_refs(call(["ls-remote", "--", repository.location.url], _ASK).out)


def refresh(repository: Repository, mirror: str, scratch: str, git: Git = _GIT) -> dict[str, str]:
    """Fetch new commits into the bare repository C(mirror), and return the commit by reference.

    That asks the server once, where asking for references first and fetching then asks it twice. An attempt that fails
    gives no references: C(list_refs) has the words for it, and C(archive_commit) mends the mirror.
    """
    if not os.path.isdir(mirror):
        return {}
    try:
        with _session(repository, scratch, git) as call, _writing(mirror, git.query_wait):
            call([*_fetch_words(repository.location.url, mirror, "--prune"), f"+HEAD:{_HEAD}", *_ALL], _ASK)
            refs = parse_refs(call([f"--git-dir={mirror}", "show-ref", "--dereference"], _ASK).out)
    except (SourceError, OSError):
        return {}
    return {"HEAD" if name == _HEAD else name: commit for name, commit in refs.items()}


def archive_commit(
    repository: Repository, commit: str, reference: str, mirror: str, scratch: str, path: str, git: Git = _GIT
) -> None:
    """Write a commit as a tar file to C(path), and fetch into the bare repository C(mirror) only new commits."""
    with _session(repository, scratch, git) as call:
        wanted = _Wanted(commit, reference, path)
        # Mostly C(refresh) has just fetched it.
        if wanted.archive(call, mirror):
            return
        with _writing(mirror, git.build_wait):
            _fetch(call, repository.location.url, mirror, wanted)


def describe_commit(mirror: str, commit: str) -> str:
    """Return how git describes a commit by the tags of C(mirror), or an empty string when there is none."""
    return run(["git", f"--git-dir={mirror}", *DESCRIBE, commit]).out.strip()


def list_tree(mirror: str, commit: str) -> str:
    """Return all files and submodules of a commit, as C(git ls-tree -r -z) prints them; nothing when that fails."""
    found = run(["git", f"--git-dir={mirror}", "ls-tree", "-r", "-z", "--full-tree", commit])
    return found.out if found.rc == 0 else ""


Call = t.Callable[[t.Sequence[str], float], Result]


@dataclass(frozen=True)
class _Wanted:
    """A commit, the reference that it was found by, and the tar file to write it to."""

    commit: str
    reference: str
    path: str

    def archive(self, call: Call, mirror: str) -> bool:
        """Write the tar file, and tell whether it could be.

        To ask git whether it has the commit is not enough: a fetch that was killed can leave that without its files.
        """
        with suppress(SourceError):
            if os.path.isdir(mirror):
                self.write(call, mirror)
                return True
        return False

    def write(self, call: Call, mirror: str) -> None:
        """Write the tar file; raise SourceError when that fails."""
        call([f"--git-dir={mirror}", "archive", "--format=tar", f"--output={self.path}", self.commit], _FETCH)


@contextmanager
def _session(repository: Repository, scratch: str, git: Git) -> t.Iterator[Call]:
    """Keep key and known hosts in files that only root reads, as long as git needs them.

    Another run may ask the same repository at the same time, so the directory is this process's own.
    """
    _sweep(scratch)
    os.makedirs(os.path.dirname(scratch), mode=0o755, exist_ok=True)
    own = f"{scratch}.{os.getpid()}"
    os.mkdir(own, 0o700)
    try:
        environment = _environment(repository, own)
        yield lambda arguments, timeout: _run(git, repository, environment, arguments, timeout)
    finally:
        shutil.rmtree(own, ignore_errors=True)


@contextmanager
def _writing(mirror: str, timeout: float) -> t.Iterator[None]:
    """Lock the mirror for writing, and remove the leftovers of a killed fetch.

    A lock of its own, because a run that reads the branch does not hold that of the application. The holder of the
    application's lock may wait for this one; the holder of this one waits for no other.
    """
    path = f"{mirror}.lock"
    # Only a killed fetch leaves its name there; while another one works, sweeping once too often does no harm.
    killed = read_file(path)
    with Lock(path, timeout, "fetch from git"):
        if killed:
            _sweep_mirror(mirror)
        try:
            yield
        except SourceError:
            # At its time-out git is killed, too.
            _sweep_mirror(mirror)
            raise


def _sweep_mirror(mirror: str) -> None:
    """Remove half packs and locks of git's; the caller has the mirror for itself."""
    objects = os.path.join(mirror, "objects")
    for directory, _names, files in os.walk(mirror):
        # Elsewhere a name that begins so is a branch's or a tag's.
        half = ("tmp_", ".tmp-") if directory.startswith(objects) else ()
        for name in files:
            if name.endswith(".lock") or name.startswith(half):
                remove_file(os.path.join(directory, name), sync=False)


def _sweep(scratch: str) -> None:
    """Remove the keys that a run which was killed has left; a process id that is in use again is another process."""
    for path in glob.glob(f"{glob.escape(scratch)}.*"):
        pid = path.rpartition(".")[2]
        if pid == str(os.getpid()) or not os.path.exists(f"/proc/{pid}"):
            shutil.rmtree(path, ignore_errors=True)


def _environment(repository: Repository, scratch: str) -> dict[str, str]:
    location = repository.location
    values = {
        "GIT_TERMINAL_PROMPT": "0",
        # Where git-lfs is installed, git archive(1) asks it for the files, and it knows of no server here.
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_SSH_COMMAND": _ssh_command(repository, scratch),
        "FLASKOPS_GIT_USERNAME": location.username or "git",
        "FLASKOPS_GIT_PASSWORD": location.password or location.username,
    }
    if repository.ca_bundle:
        values["GIT_SSL_CAINFO"] = repository.ca_bundle
    if location.url.startswith(("/", "file://")):
        # git reads safe.directory, which its other end asks for, from files only; root names this repository by hand.
        _write(os.path.join(scratch, ".gitconfig"), "[safe]\n\tdirectory = *\n")
        values["HOME"] = scratch
    return values


def _ssh_command(repository: Repository, scratch: str) -> str:
    options = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20"]
    if repository.deploy_key:
        key = os.path.join(scratch, "key")
        # ssh refuses a key whose last line does not end.
        _write(key, repository.deploy_key.replace("\r\n", "\n").rstrip("\n") + "\n")
        options += ["-i", key, "-o", "IdentitiesOnly=yes"]
    if repository.known_hosts:
        known = os.path.join(scratch, "known_hosts")
        _write(known, repository.known_hosts.rstrip("\n") + "\n")
        return " ".join([*options, "-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes"])
    seen = ["-o", f"'UserKnownHostsFile={repository.seen_hosts} ~/.ssh/known_hosts'"] if repository.seen_hosts else []
    return " ".join([*options, *seen, "-o", "StrictHostKeyChecking=accept-new"])


def _write(path: str, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)


def _run(
    git: Git, repository: Repository, environment: t.Mapping[str, str], arguments: t.Sequence[str], timeout: float
) -> Result:
    """Run git; raise SourceError, with git's error and the way out, when it fails."""
    helper = ["-c", "credential.helper=", "-c", f"credential.helper={_HELPER}"] if repository.location.username else []
    try:
        result = git.run(["git", *_SAFE, *helper, *arguments], timeout, environment)
    except CommandError as exc:
        raise SourceError(
            f"git cannot ask {repository.location.url}: {mask(str(exc), repository.secrets(), shortest=3)}"
        ) from exc
    if result.rc != 0:
        said = mask(result.tail(8), repository.secrets(), shortest=3)
        raise SourceError(f"git cannot read {repository.location.url}: {_hint_at(said)}. It said: {said}")
    return result


def _hint_at(said: str) -> str:
    """Return the meaning of git's error, and the way out."""
    return next((hint for pattern, hint in _HINTS if re.search(pattern, said, re.IGNORECASE)), "see what git says")


def _fetch(call: Call, url: str, mirror: str, wanted: _Wanted) -> None:
    new = mirror + ".new"
    remove_tree(new)
    if os.path.isdir(mirror):
        try:
            _fetch_into(call, url, mirror, wanted)
            return
        except MissingCommitError:
            raise
        except SourceError:
            # A fetch that was killed leaves locks, a full disk half a pack, a renamed branch may be in the way.
            pass
    try:
        _fetch_into(call, url, new, wanted)
        remove_tree(mirror)
        os.rename(new, mirror)
    finally:
        remove_tree(new)


def _fetch_words(url: str, mirror: str, *options: str) -> list[str]:
    return [f"--git-dir={mirror}", "fetch", "--quiet", "--force", "--no-write-fetch-head", *options, "--", url]


def _fetch_into(call: Call, url: str, mirror: str, wanted: _Wanted) -> None:
    os.makedirs(os.path.dirname(mirror), exist_ok=True)
    # The history of a private repository is readable by root alone.
    if not os.path.isdir(mirror):
        os.mkdir(mirror, 0o700)
        # Both sides must name commits alike; git before 2.29 knows only SHA-1, and not the option.
        form = ["--object-format=sha256"] if len(wanted.commit) == _SHA256 else []
        call(["init", "--quiet", "--bare", *form, "--", mirror], _ASK)
    fetch = _fetch_words(url, mirror)
    special = [f"+{wanted.reference}:refs/flaskops/wanted"] if wanted.reference.startswith("refs/") else []
    call([*fetch, *_ALL, *special], _FETCH)
    if wanted.archive(call, mirror):
        return
    try:
        call([*fetch, f"+{wanted.commit}:refs/flaskops/wanted"], _FETCH)
    except SourceError as exc:
        raise MissingCommitError(
            f"{url} has no commit {wanted.commit} that it would give out: correct 'version', or push the commit"
        ) from exc
    wanted.write(call, mirror)
