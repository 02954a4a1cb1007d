# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what a source is, and which revision a name means. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from .._input.redact import mask_urls
from .._input.similar import similar

TYPES = ("auto", "git", "directory", "archive", "pypi")

# A path is a directory, a git repository or, with such a name, an archive: who can see the disk decides.
PATH = "path"

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,39}")
_SCP = re.compile(r"(?:[\w.-]+@)?(?:[\w.-]+|\[[0-9a-fA-F:.]+\]):(?!//)[^\\]+")
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\s*(?:\[[\w\s,.-]*\])?\s*"
    # An address or a path; git@host/path without a colon is neither.
    r"(?:(?:===|[=<>!~]=|[<>]).+|@\s*(?:[A-Za-z][\w+.-]*:|[./$]).*)?"
)
# The address of a page about a directory, file, tag or commit on GitHub, GitLab, Gitea or Bitbucket.
_PAGE = re.compile(
    r"(?P<repository>https?://(?:[^/]*\bgithub\b[^/]*/[^/]+/[^/]+(?=/(?:tree|blob|commit|releases)/)"
    r"|[^/]+/.+?(?=/-/(?:tree|blob|commit|tags)/)|[^/]+/[^/]+/[^/]+(?=/src/(?:branch|tag|commit)/)"
    r"|[^/]*\bbitbucket\b[^/]*/[^/]+/[^/]+(?=/src/)))"
    r"(?:/-)?/(?:(?:tree|blob|commit|tags|releases/tag)|src(?:/(?:branch|tag|commit))?)/(?P<version>[^/?#]+)"
    r"(?:/(?P<below>[^?#]*))?",
    re.IGNORECASE,
)
# Archives of kinds that Python does not unpack on all hosts.
_UNREADABLE = re.compile(r"\.(?:tar\.)?(?:zst|zstd|lz4?|lzma|7z|rar|Z)$|\.(?:tzst|tlz)$")
_NUMBER = re.compile(r"\d+\.\d+")
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
# git-check-ref-format(1), and a leading '-' would be an option.
_BAD_REF = re.compile(r"^-|[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock$|[/.]$|^/")


class SourceError(ValueError):
    """A source that cannot be understood, reached or trusted."""


@dataclass(frozen=True)
class SourceLocation:
    """An address without the credentials that came in it."""

    url: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)


def split_credentials(source: str) -> SourceLocation:
    """Take user and password out of an HTTP address; other sources have none."""
    parts = urlsplit(source) if source.lower().startswith(("http://", "https://")) else None
    if parts is None or "@" not in parts.netloc:
        return SourceLocation(source)
    user, host = parts.netloc.rsplit("@", 1)
    name, _colon, password = user.partition(":")
    url = urlunsplit((parts.scheme, host, parts.path, parts.query, parts.fragment))
    return SourceLocation(url, unquote(name), unquote(password))


def has_archive_name(source: str) -> bool:
    """Tell whether a path or URL ends like an archive."""
    path = urlsplit(source).path if is_remote(source) else source
    return path.lower().endswith(ARCHIVE_SUFFIXES)


def is_remote(source: str) -> bool:
    """Tell whether a source is reached over a network (or by C(file://) on the host)."""
    return _SCHEME.match(source) is not None


def detect_type(source: str, version: str, checksum: str, override: str = "auto") -> str:
    """Return V(git), V(archive), V(pypi), V(directory), or PATH when only a look at the disk can tell.

    C(version) is the wanted git revision and C(checksum) that of an archive; raise SourceError when nothing fits.
    """
    if not source or source.startswith("-") or any(ord(char) < 32 for char in source):
        raise SourceError(
            f"source '{source}' must be a git repository, a directory, an archive or a PyPI requirement "
            "and not begin with '-'"
        )
    if is_remote(source):
        _check_address(source)
        kind = _type_of_url(source, version, checksum) if override == "auto" else override
        if kind == "git":
            _check_repository(source)
        return kind
    if override != "auto":
        return override
    if _is_path(source):
        return PATH
    if _SCP.fullmatch(source) and "@" in source.split(":", 1)[0]:
        return "git"
    if _REQUIREMENT.fullmatch(source):
        return "pypi"
    example = f": './{source}'" if re.fullmatch(r"[\w.-]+", source) else ""
    user = f" (here 'git@{source}')" if re.fullmatch(r"[\w.-]+:[^\\]+", source) else ""
    raise SourceError(
        f"source '{source}' is none of: a URL, git's user@host:path{user}, a path (it has a '/'{example}), "
        "a PyPI requirement such as 'httpbin==0.10.2'; set source_type to say what it is"
    )


def _type_of_url(source: str, version: str, checksum: str) -> str:
    scheme = source.split("://", 1)[0].lower()
    if scheme.startswith("git+") or scheme in ("git", "ssh"):
        return "git"
    if scheme not in ("http", "https", "file"):
        raise SourceError(f"source '{source}' has the scheme '{scheme}': https, ssh, git and file are understood")
    if checksum or (has_archive_name(source) and not version):
        return "archive"
    return "git"


def _check_address(source: str) -> None:
    """Raise SourceError for a URL that no program reads as it is meant, such as one with a '/' in its password."""
    try:
        parts = urlsplit(source)
        _port = parts.port
    except ValueError:
        raise SourceError(
            f"source '{mask_urls(source)}' is no address: what follows the host's ':' is no port. In a user name or a "
            "password write '/' as %2F, '?' as %3F, '#' as %23, '[' as %5B and ']' as %5D; for ssh write "
            "'ssh://git@host/path' or 'git@host:path'"
        ) from None
    if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        raise SourceError(
            f"source '{source}' names the host '{parts.netloc}', and file:// reads on the host itself: write "
            f"'file:///{parts.netloc}{parts.path}' with three slashes if that is the path"
        )


def _check_repository(source: str) -> None:
    """Raise SourceError for a URL that means something by itself, but is no address of a repository."""
    parts = urlsplit(source)
    if parts.path.endswith(".whl"):
        raise SourceError(f"source '{mask_urls(source)}' is a wheel: write it as a requirement, 'NAME @ URL'")
    if _UNREADABLE.search(parts.path):
        raise SourceError(
            f"source '{mask_urls(source)}' is an archive of a kind that is not read: pack it as one of "
            f"{', '.join(ARCHIVE_SUFFIXES)}"
        )
    page = _PAGE.match(source)
    if page:
        below = (
            f" and subdirectory '{page.group('below').strip('/')}'" if (page.group("below") or "").strip("/") else ""
        )
        raise SourceError(
            f"source '{mask_urls(source)}' is a page about a repository: set source to "
            f"'{mask_urls(page.group('repository'))}' with version '{page.group('version')}'{below}"
        )
    # In the path of a file a '#' is part of a name.
    fragment = parts.fragment if parts.scheme != "file" else ""
    last = parts.path.rpartition("/")[2]
    if fragment or ".git@" in last or (parts.scheme.startswith("git+") and "@" in last):
        raise SourceError(
            f"source '{mask_urls(source)}' names a revision as requirements do: write the address of the repository "
            "alone, and the branch, tag or commit as 'version' (a directory as 'subdirectory')"
        )


def _is_path(source: str) -> bool:
    """Tell whether it looks like a path; in a requirement and in C(user@host:path) no '/' comes before '@' or ':'."""
    head = re.split("[@:]", source, maxsplit=1)[0]
    return source in (".", "..", "~") or source.startswith("~/") or "/" in head


def git_url(source: str) -> str:
    """Return the address that git understands."""
    return source[len("git+") :] if source.startswith("git+") else source


def check_checksum(checksum: str) -> str:
    """Return the hexadecimal SHA-256 in C(checksum); raise SourceError unless it is V(sha256:...)."""
    if not _CHECKSUM.fullmatch(checksum):
        raise SourceError(
            f"checksum '{checksum}' must be 'sha256:' and 64 lower-case hexadecimal digits (see sha256sum)"
        )
    return checksum[len("sha256:") :]


def check_subdirectory(path: str) -> str:
    """Return C(path) without slashes at its ends; raise SourceError when it leaves the source."""
    parts = path.strip("/").split("/") if path else []
    if path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise SourceError(f"subdirectory '{path}' must be a plain path inside the source, such as 'services/web'")
    return "/".join(parts)


def is_commit(version: str) -> bool:
    """Tell whether C(version) is a whole commit id, which no repository needs to be asked about."""
    return _COMMIT.fullmatch(version) is not None


def check_version(version: str) -> str:
    """Return C(version) when it can be a git reference or commit; raise SourceError otherwise."""
    if version and _BAD_REF.search(version):
        raise SourceError(f"version '{version}' cannot be a git branch, tag or commit (see git-check-ref-format)")
    return version


def parse_refs(text: str) -> dict[str, str]:
    """Read what C(git ls-remote) or C(git show-ref --dereference) prints: commit by reference, tags followed."""
    refs: dict[str, str] = {}
    for line in text.splitlines():
        commit, _space, name = line.strip().partition("\t" if "\t" in line else " ")
        if not is_commit(commit):
            continue
        if name.endswith("^{}"):
            refs[name[: -len("^{}")]] = commit
        else:
            refs.setdefault(name, commit)
    return refs


def resolve_ref(refs: t.Mapping[str, str], version: str, repository: str) -> str:
    """Return the commit that C(version) means; raise SourceError, with similar names, when there is none."""
    if is_commit(version):
        return version
    wanted = version or "HEAD"
    names = [name for name in (wanted, f"refs/heads/{wanted}", f"refs/tags/{wanted}") if name in refs]
    if len(names) > 1 and len({refs[name] for name in names}) > 1:
        raise SourceError(
            f"version '{version}' of {repository} is ambiguous: write {' or '.join(repr(n) for n in names)}"
        )
    if names:
        return refs[names[0]]
    raise SourceError(_missing_ref(refs, version, repository))


def _missing_ref(refs: t.Mapping[str, str], version: str, repository: str) -> str:
    known = sorted(name.split("/", 2)[2] for name in refs if name.startswith(("refs/heads/", "refs/tags/")))
    if not known:
        return f"{repository} has no branch and no tag: push a commit to it, or correct 'source'"
    if not version:
        return f"{repository} has no default branch: set 'version' to one of {_some(known)}"
    if _SHORT_COMMIT.fullmatch(version):
        return f"version '{version}' is no branch or tag of {repository}, and a commit is named by all of its 40 digits"
    near = similar(version, known, 0.5, 5)
    hint = f"near it are {_some(near)}" if near else f"it has {_some(known)}"
    if _NUMBER.fullmatch(version):
        hint += f" (without quotes, {version}0 is the number {version} in YAML: write version: '{version}0' for that)"
    return f"version '{version}' is no branch or tag of {repository}: {hint}"


def _some(names: t.Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
