# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources on the controller: which revision they are, and as one file to send. Private to flaskops.stack."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import subprocess
import tarfile
import typing as t
from dataclasses import dataclass, replace

from ..module_utils._app.source import (
    ARCHIVE_SUFFIXES,
    PATH,
    SourceError,
    check_checksum,
    detect_type,
    git_url,
    has_archive_name,
    is_remote,
    parse_refs,
    resolve_ref,
)
from ..module_utils._app.source_left import explain_left, explain_sparse
from ..module_utils._app.source_tree import (
    DIRECTORY,
    FILE,
    LINK,
    OTHER,
    ArchiveEntry,
    check_length,
    is_environment,
    is_ignored,
    plan_tree,
    tree_digest,
)
from ..module_utils._build.scm_version import DESCRIBE
from ._controller_path import why_no_file

_BLOCK = 1024 * 1024
# The error of git for a directory outside of any repository. For one that it refuses, or that is broken, it has others.
_NO_REPOSITORY = "not a git repository (or any"


@dataclass(frozen=True)
class Found:
    """A source that only the controller has."""

    type: str
    path: str
    revision: str
    version: str = ""
    # How git describes the commit by its tags.
    description: str = ""
    # The part of it that is wanted, for warnings; the host cuts it out.
    subdirectory: str = ""


def look(item: t.Mapping[str, t.Any], resolve: t.Callable[[str], str]) -> Found | None:
    """Return what C(source) is on the controller, or None when the host fetches it itself.

    C(resolve) makes a path absolute. Raise SourceError for a source that can only be here and is not.
    """
    source, version, checksum = (str(item.get(key) or "").strip() for key in ("source", "version", "checksum"))
    kind = detect_type(source, version, checksum, str(item.get("source_type") or "auto"))
    if kind == "pypi" or is_remote(source) or (kind == "git" and ":" in source):
        return None
    path = resolve(git_url(source))
    fault = "" if os.path.isdir(path) else why_no_file(path)
    if fault:
        raise SourceError(f"source '{source}' on the controller: {fault}, or a directory")
    if kind == PATH:
        kind = _kind_of(path, version)
    if kind == "git":
        part = str(item.get("subdirectory") or "").strip("/")
        return replace(_look_at_git(path, version), subdirectory=part) if is_repository(path) else None
    if kind == "archive":
        return _look_at_archive(path, checksum)
    return Found("directory", path, directory_digest(path)) if kind == "directory" else None


def _kind_of(path: str, version: str) -> str:
    """Return the type of a path: a work tree is taken as it is, with changes, unless a version is asked for."""
    if os.path.isdir(path):
        if version and not is_repository(path):
            raise SourceError(
                f"source '{path}' is not the top of a git repository, so that there is no version '{version}' of it: "
                "name the top and set 'subdirectory', or leave 'version' out to deploy the directory as it is"
            )
        return "git" if version or _is_bare(path) else "directory"
    # A bundle is a file that git reads like a repository; it may be on the host.
    if os.path.isfile(path) and not has_archive_name(path) and not path.endswith(".bundle"):
        raise SourceError(
            f"source '{path}' is a file whose name is not that of an archive ({', '.join(ARCHIVE_SUFFIXES)}): set "
            "source_type: archive if it is one. A wheel is a requirement: set source to 'NAME==VERSION' and wheel_dir "
            "to its directory on the host"
        )
    return "archive" if has_archive_name(path) else ""


def _is_bare(path: str) -> bool:
    return os.path.isfile(os.path.join(path, "HEAD")) and os.path.isdir(os.path.join(path, "objects"))


def is_repository(path: str) -> bool:
    """Tell whether a directory is the top of a git work tree or a bare repository."""
    return os.path.exists(os.path.join(path, ".git")) or _is_bare(path)


def _look_at_git(path: str, version: str) -> Found:
    refs = parse_refs(_git(path, ["show-ref", "--head", "--dereference"], accepted=(0, 1)).decode("utf-8", "replace"))
    commit = resolve_ref(refs, version, path)
    if _git(path, ["cat-file", "-t", commit], accepted=(0, 128)).strip() != b"commit":
        raise SourceError(f"{path} has no commit {commit}: correct 'version', or fetch it there")
    described = _git(path, [*DESCRIBE, commit], accepted=(0, 128))
    return Found("git", path, commit, version, described.decode().strip())


def _look_at_archive(path: str, checksum: str) -> Found:
    try:
        with open(path, "rb") as stream:
            found = _digest(stream)
    except OSError as exc:
        raise SourceError(f"source '{path}' cannot be read on the controller: {exc.strerror}") from exc
    if checksum and check_checksum(checksum) != found:
        raise SourceError(
            f"{path} has the checksum sha256:{found}, not {checksum}: it has changed, or is not what you mean; "
            "correct 'checksum' after you have made sure which"
        )
    return Found("archive", path, found)


def _digest(stream: t.IO[bytes]) -> str:
    total = hashlib.sha256()
    for block in iter(lambda: stream.read(_BLOCK), b""):
        total.update(block)
    return total.hexdigest()


def directory_digest(top: str) -> str:
    """Return what names a directory's content: paths, modes and bytes, not times."""
    return tree_digest((entry, _content_digest(top, entry)) for entry in list_directory(top))


def _content_digest(top: str, entry: ArchiveEntry) -> str:
    if entry.kind != FILE:
        return ""
    with open(os.path.join(top, entry.path), "rb") as stream:
        return _digest(stream)


def list_directory(top: str) -> list[ArchiveEntry]:
    """Return the files of a directory: what git would add when it is a work tree, else all but caches and the like."""
    if not os.path.isdir(top):
        raise SourceError(
            f"source '{top}' is no directory on the controller: correct the path (relative ones begin at the playbook, "
            "or else at the inventory)"
        )
    try:
        names = _known_to_git(top)
        if names is None:
            names = _walk(top)
        return plan_tree((_entry(top, name) for name in names), top)
    except OSError as exc:
        raise SourceError(f"source '{exc.filename}' cannot be read on the controller: {exc.strerror}") from exc


def _known_to_git(top: str) -> list[str] | None:
    """Return the names of tracked and new files, or None when git knows nothing of the directory."""
    words = ["git", "-C", top, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        answer = subprocess.run(words, capture_output=True, check=False, env=_environment())
    except FileNotFoundError:
        return None
    said = answer.stderr.decode("utf-8", "replace").strip()
    # Otherwise what git ignores, such as a file with passwords, would be deployed.
    if answer.returncode != 0 and _NO_REPOSITORY not in said:
        raise SourceError(f"git cannot tell which files of {top} it ignores: {said}")
    if answer.returncode != 0 or not answer.stdout:
        return None
    names = {os.fsdecode(name).rstrip("/") for name in answer.stdout.split(b"\0") if name}
    found: list[str] = []
    for name in sorted(names):
        path = os.path.join(top, name)
        # A submodule or another repository is listed as a directory; a deleted file is still tracked.
        if os.path.isdir(path) and not os.path.islink(path):
            known = _known_to_git(path) if is_repository(path) else None
            found.extend(os.path.join(name, inner) for inner in (_walk(path) if known is None else known))
        elif os.path.lexists(path):
            found.append(name)
    return found


def _finder(directory: str) -> t.Callable[[str], bool]:
    """Return what tells whether a path is in a directory."""
    return lambda path: os.path.lexists(os.path.join(directory, path))


def _walk(top: str) -> list[str]:
    """Return the names of all files but those of caches and environments; a directory that cannot be read is an error.

    os.walk(3) leaves such a directory out, and calls itself for each level.
    """
    found: list[str] = []
    waiting = [""]
    while waiting:
        place = waiting.pop()
        check_length(place.split("/"), top)
        with os.scandir(os.path.join(top, place)) as entries:
            inner = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        if place and is_environment(inner, _finder(os.path.join(top, place))):
            continue
        for name, is_directory in inner.items():
            if not is_ignored(name):
                (waiting if is_directory else found).append(os.path.join(place, name))
    return found


def _entry(top: str, name: str) -> ArchiveEntry:
    status = os.lstat(os.path.join(top, name))
    if stat.S_ISLNK(status.st_mode):
        return ArchiveEntry(name, LINK, os.readlink(os.path.join(top, name)))
    kind = FILE if stat.S_ISREG(status.st_mode) else DIRECTORY if stat.S_ISDIR(status.st_mode) else OTHER
    return ArchiveEntry(name, kind, executable=bool(status.st_mode & 0o111))


def pack(found: Found, target: str) -> str:
    """Return the path of the file to send; it is C(target), except for an archive, which is sent as it is."""
    if found.type == "archive":
        return found.path
    if found.type == "git":
        _git(found.path, ["archive", "--format=tar.gz", f"--output={target}", found.revision])
        return target
    _pack_directory(found, target)
    return target


def explain_packed(found: Found, packed: str) -> list[str]:
    """Return warnings about what git has left out of the file to send, or a work tree has without content."""
    sparse: list[str] = []
    if found.type == "git":
        tree = _git(found.path, ["ls-tree", "-r", "-z", "--full-tree", found.revision])
    elif found.type == "directory" and os.path.exists(os.path.join(found.path, ".git")):
        # A deleted file is still in the index, and was left out on purpose.
        rows = _git(found.path, ["ls-files", "--stage", "-z"]).split(b"\0")
        tree = b"\0".join(row for row in rows if row.startswith(b"160000 "))
        sparse = explain_sparse(_left_sparse(found.path))
    else:
        return []
    with tarfile.open(packed) as tar:
        return sparse + explain_left(tree.decode("utf-8", "replace"), tar.getnames(), found.subdirectory)


def _left_sparse(top: str) -> list[str]:
    """Return the tracked files that git does not check out."""
    rows = _git(top, ["ls-files", "-t", "-z"]).decode("utf-8", "surrogateescape").split("\0")
    paths = [row[2:] for row in rows if row.startswith("S ")]
    return [path for path in paths if not os.path.lexists(os.path.join(top, path))]


def _pack_directory(found: Found, target: str) -> None:
    """Write the same bytes for the same content."""
    entries = list_directory(found.path)
    with (
        open(target, "wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=5, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for entry in entries:
            _add(tar, found.path, entry)
    if directory_digest(found.path) != found.revision:
        raise SourceError(f"{found.path} changed while it was read: run again when nothing writes there")


def _add(tar: tarfile.TarFile, top: str, entry: ArchiveEntry) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode = 0o755 if entry.executable else 0o644
    if entry.kind == LINK:
        info.type, info.linkname = tarfile.SYMTYPE, entry.target
        tar.addfile(info)
    elif entry.kind == FILE:
        with open(os.path.join(top, entry.path), "rb") as stream:
            info.size = os.fstat(stream.fileno()).st_size
            tar.addfile(info, stream)


def _git(path: str, words: t.Sequence[str], accepted: t.Collection[int] = (0,)) -> bytes:
    try:
        answer = subprocess.run(["git", "-C", path, *words], capture_output=True, check=False, env=_environment())
    except FileNotFoundError as exc:
        raise SourceError(f"'{path}' is a git repository, and git is not installed on the controller") from exc
    if answer.returncode not in accepted:
        said = answer.stderr.decode("utf-8", "replace").strip()
        raise SourceError(f"git cannot read {path} on the controller: {said}")
    return answer.stdout


def _environment() -> dict[str, str]:
    """Return an environment in which git looks at the directory that it is told, and speaks English."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "en",
    }
