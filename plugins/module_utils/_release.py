# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is: its place, its name and its manifest. Private to flaskops.stack."""

from __future__ import annotations

import hashlib
import json
import os
import re
import typing as t
from dataclasses import asdict, dataclass, field

from ._files import read_file, read_link, remove_file, write_file

# Of release.json; a reader refuses what it does not know.
SCHEMA = 1
MANIFEST = "release.json"

# Part of each release id: raise it when equal input has to make a new release all the same.
FORMAT = 2

_ID = re.compile(r"[0-9a-f]{7}-[0-9a-f]{8}")
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class ReleaseError(ValueError):
    """A release that cannot be named, read or trusted."""


@dataclass(frozen=True)
class Layout:
    """Where an application keeps what; nothing of it needs to exist."""

    root: str
    name: str

    @property
    def base(self) -> str:
        """Return the directory that holds everything of the application."""
        return os.path.join(self.root, self.name)

    @property
    def releases(self) -> str:
        """Return the directory of all releases."""
        return os.path.join(self.base, "releases")

    @property
    def current(self) -> str:
        """Return the path of the link that is the switch."""
        return os.path.join(self.base, "current")

    @property
    def shared(self) -> str:
        """Return the directory of what outlives releases."""
        return os.path.join(self.base, "shared")

    @property
    def maintenance(self) -> str:
        """Return the directory with the page for visitors while the application is closed, and the flag for nginx."""
        return os.path.join(self.base, "maintenance")

    @property
    def cache(self) -> str:
        """Return the directory that makes the next build quick and may be removed at any time."""
        return os.path.join("/var/cache/flaskops", self.name)

    @property
    def lock(self) -> str:
        """Return the file whose lock the one writer of this application holds."""
        # Not in /run/lock: there any user could have the directory first, and hold or remove the file.
        return os.path.join("/run/flaskops/_locks", self.name + ".lock")

    def release(self, release: str) -> str:
        """Return the directory of one release."""
        return os.path.join(self.releases, release)

    def socket(self, release: str, instance: int) -> str:
        """Return the path of an instance's socket."""
        return os.path.join(self.release(release), "run", f"{instance}.sock")


@dataclass(frozen=True)
class Manifest:
    """What release.json says: enough to run, compare and list a release, and no secret."""

    name: str
    id: str
    user: str
    group: str
    source: t.Mapping[str, str]
    python: str
    app: str
    settings: t.Mapping[str, object]
    shared: tuple[str, ...] = ()
    keep: int = 5
    built_at: str = ""
    # Equal in two releases whose app/ and venv/ are equal; empty when these were not built here.
    build: str = ""
    # The same for venv/ alone.
    venv: str = ""
    # What a later version added and this one does not know is kept.
    extra: t.Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the text of release.json."""
        values = asdict(self)
        extra = values.pop("extra")
        return json.dumps({**extra, "schema": SCHEMA, **values}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, path: str = MANIFEST) -> Manifest:
        """Return what C(text) says; raise ReleaseError, which names C(path), when it is no manifest."""
        try:
            values = json.loads(text)
        except ValueError as exc:
            raise ReleaseError(f"{path} is not JSON ({exc}): remove the directory it is in, it is built again") from exc
        if not isinstance(values, dict) or values.get("schema") != SCHEMA:
            found = values.get("schema") if isinstance(values, dict) else values
            raise ReleaseError(f"{path} has schema '{found}', this version of the collection reads {SCHEMA}")
        known = {name for name in cls.__dataclass_fields__ if name != "extra"}
        missing = sorted({"name", "id", "user", "group", "source", "python", "app", "settings"} - set(values))
        if missing:
            raise ReleaseError(f"{path} lacks {', '.join(missing)}: remove the directory it is in, it is built again")
        extra = {key: value for key, value in values.items() if key not in known and key != "schema"}
        fields = {key: value for key, value in values.items() if key in known}
        fields["shared"] = tuple(fields.get("shared", ()))
        return cls(extra=extra, **fields)


def read_manifest(path: str) -> Manifest | None:
    """Return the manifest in the release directory C(path), or None when that is unfinished or not there."""
    file = os.path.join(path, MANIFEST)
    try:
        data = read_file(file)
    except NotADirectoryError:
        return None
    return None if data is None else Manifest.from_json(data.decode("utf-8", "replace"), file)


def write_manifest(path: str, manifest: Manifest) -> None:
    """Complete the release directory C(path): the last write of a build."""
    write_file(os.path.join(path, MANIFEST), manifest.to_json().encode())


def forget_manifest(path: str) -> None:
    """Make the release C(path) an unfinished one, which is never started and is removed."""
    remove_file(os.path.join(path, MANIFEST))


def canonical(value: object) -> str:
    """Return the one JSON text that equal values have on every host."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(value: object) -> str:
    """Return the SHA-256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def release_id(revision: str, everything_else: t.Mapping[str, object]) -> str:
    """Return the name of the release: equal input has equal names on every host and at any time."""
    head = revision if _HASH.fullmatch(revision) else hashlib.sha256(revision.encode()).hexdigest()
    return f"{head[:7]}-{digest([FORMAT, revision, dict(everything_else)])[:8]}"


def is_release_id(text: str) -> bool:
    """Tell whether a directory of this name can be a release."""
    return _ID.fullmatch(text) is not None


def list_releases(layout: Layout, activated: t.Mapping[str, str] | None = None) -> list[Manifest]:
    """Return the complete releases, the one built (or activated, by id, in C(activated)) last at the end."""
    try:
        names = [name for name in os.listdir(layout.releases) if is_release_id(name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [manifest for manifest in (read_manifest(layout.release(name)) for name in names) if manifest]
    times = activated or {}
    return sorted(found, key=lambda manifest: (max(manifest.built_at, times.get(manifest.id, "")), manifest.id))


def plan_prune(releases: t.Sequence[str], keep: int, protected: t.Collection[str]) -> list[str]:
    """Return which of the releases (ids, newest last) to remove so that the newest C(keep) and the protected stay."""
    surplus = releases[: max(len(releases) - max(keep, 1), 0)]
    return [release for release in surplus if release not in protected]


def current_id(layout: Layout) -> str | None:
    """Return the id that the link C(current) names, or None when there is no such link."""
    target = read_link(layout.current)
    return os.path.basename(target.rstrip("/")) if target else None
