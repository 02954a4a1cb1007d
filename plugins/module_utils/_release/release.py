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

from .._system.files import read_file, read_link, remove_file, write_file
from .._system.planted import PlantedError
from .damage import fault_of

# Of release.json; a reader refuses what it does not know.
SCHEMA = 1
MANIFEST = "release.json"

# Part of each release id: raise it when equal input has to make a new release all the same.
FORMAT = 2

_ID = re.compile(r"[0-9a-f]{7}-[0-9a-f]{8}")
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class ReleaseError(ValueError):
    """A release that cannot be named, read or trusted."""


class DamagedError(ReleaseError):
    """A release whose manifest is none; it counts as unfinished."""


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
        remedy = "remove the directory it is in, it is built again"
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise DamagedError(f"{path} is not JSON ({exc}): {remedy}") from exc
        if not isinstance(values, dict) or not isinstance(values.get("schema"), int):
            found = values.get("schema") if isinstance(values, dict) else values
            raise DamagedError(f"{path} has schema '{str(found)[:40]}' and not {SCHEMA}: {remedy}")
        if values["schema"] != SCHEMA:
            raise ReleaseError(
                f"{path} has schema '{values['schema']}', this version of the collection reads {SCHEMA}: use the "
                "version that wrote it, or a newer one"
            )
        fault = fault_of(values)
        if fault:
            raise DamagedError(f"{path} {fault}: {remedy}")
        known = {name for name in cls.__dataclass_fields__ if name != "extra"}
        extra = {key: value for key, value in values.items() if key not in known and key != "schema"}
        fields = {key: value for key, value in values.items() if key in known}
        fields["shared"] = tuple(fields.get("shared", ()))
        return cls(extra=extra, **fields)


def read_manifest(path: str) -> Manifest | None:
    """Return the manifest in the release directory C(path), or None when that is unfinished or not there.

    One that is damaged or cannot be read counts as unfinished. Raise ReleaseError for one of a newer version.
    """
    try:
        return load_manifest(path)
    except (DamagedError, OSError):
        return None


def load_manifest(path: str) -> Manifest | None:
    """Return the manifest in the release directory C(path), None when there is none; raise an error when damaged."""
    file = os.path.join(path, MANIFEST)
    try:
        data = read_file(file)
    except NotADirectoryError:
        return None
    if data is None:
        return None
    found = Manifest.from_json(data.decode("utf-8", "replace"), file)
    # In the directory of another release it says nothing of what is there; /srv/<name>/releases/<id>.
    name = os.path.basename(path.rstrip("/"))
    if is_release_id(name) and found.id != name:
        raise DamagedError(f"{file} is of release {found.id}: a release cannot be moved or copied")
    return found


def damage(path: str) -> str:
    """Return why the manifest in the release directory C(path) cannot be used; an empty text when it can."""
    try:
        load_manifest(path)
    except (ReleaseError, OSError) as exc:
        return str(exc)
    return ""


def is_unfinished(path: str) -> bool:
    """Tell whether the release directory C(path) has no manifest, or a damaged one.

    One that a newer version wrote, or that the disk does not give away now, is left to others.
    """
    try:
        return load_manifest(path) is None
    except (DamagedError, IsADirectoryError, PlantedError):
        return True
    except (ReleaseError, OSError):
        return False


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
    found = [manifest for manifest in (_listed(layout.release(name)) for name in names) if manifest]
    times = activated or {}
    return sorted(found, key=lambda manifest: (max(manifest.built_at, times.get(manifest.id, "")), manifest.id))


def _listed(path: str) -> Manifest | None:
    try:
        return read_manifest(path)
    except ReleaseError:
        return None


def plan_prune(releases: t.Sequence[str], keep: int, protected: t.Collection[str]) -> list[str]:
    """Return which of the releases (ids, newest last) to remove so that the newest C(keep) and the protected stay."""
    surplus = releases[: max(len(releases) - max(keep, 1), 0)]
    return [release for release in surplus if release not in protected]


def current_id(layout: Layout) -> str | None:
    """Return the id that the link C(current) names, or None when there is no such link."""
    target = read_link(layout.current)
    return os.path.basename(target.rstrip("/")) if target else None
