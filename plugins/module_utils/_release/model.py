# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data types of releases: layout of directories, release id, manifest. Private to flaskops.stack."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import typing as t
from dataclasses import asdict, dataclass, field

from .._input.defaults import DEFAULTS, LATER, Settings, settings_from_json, to_json
from .._system.paths import CACHE, LOCKS
from .damage import fault_of

# Of release.json; a reader refuses a schema that it does not know.
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
    """The directories and files of an application; none of them needs to exist."""

    root: str
    name: str

    @property
    def base(self) -> str:
        """Return the directory that holds everything of the application."""
        return posixpath.join(self.root, self.name)

    @property
    def releases(self) -> str:
        """Return the directory of all releases."""
        return posixpath.join(self.base, "releases")

    @property
    def current(self) -> str:
        """Return the path of the link that is the switch."""
        return posixpath.join(self.base, "current")

    @property
    def shared(self) -> str:
        """Return the directory of shared data, which outlives releases."""
        return posixpath.join(self.base, "shared")

    @property
    def maintenance(self) -> str:
        """Return the directory with the page for visitors while the application is closed, and the flag for nginx."""
        return posixpath.join(self.base, "maintenance")

    @property
    def cache(self) -> str:
        """Return the directory that makes the next build quick and may be removed at any time."""
        return posixpath.join(CACHE, self.name)

    @property
    def lock(self) -> str:
        """Return the file whose lock the one writer of this application holds."""
        return posixpath.join(LOCKS, self.name + ".lock")

    def release(self, release: str) -> str:
        """Return the directory of one release."""
        return posixpath.join(self.releases, release)

    def socket(self, release: str, instance: int) -> str:
        """Return the path of an instance's socket."""
        return posixpath.join(self.release(release), "run", f"{instance}.sock")


@dataclass(frozen=True)
class Manifest:
    """The content of release.json: enough to run, compare and list a release, and no secret."""

    name: str
    id: str
    user: str
    group: str
    source: t.Mapping[str, str]
    python: str
    app: str
    settings: Settings
    shared: tuple[str, ...] = ()
    keep: int = 5
    built_at: str = ""
    # Equal in two releases whose app/ and venv/ are equal; empty when these were not built here.
    build: str = ""
    # The same for venv/ alone.
    venv: str = ""
    # Fields of a later version of the collection are kept.
    extra: t.Mapping[str, object] = field(default_factory=dict)
    # Settings of a later version, by their paths: the release can be listed, and not be run.
    unknown_settings: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the text of release.json."""
        values = {**asdict(self), "settings": _written(self.settings)}
        extra = values.pop("extra")
        del values["unknown_settings"]
        return json.dumps({**extra, "schema": SCHEMA, **values}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, path: str = MANIFEST) -> Manifest:
        """Parse C(text); raise ReleaseError, which names C(path), when it is no manifest."""
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
        known = {name for name in cls.__dataclass_fields__ if name not in ("extra", "unknown_settings")}
        extra = {key: value for key, value in values.items() if key not in known and key != "schema"}
        fields = {key: value for key, value in values.items() if key in known}
        fields["shared"] = tuple(fields.get("shared", ()))
        fields["settings"], unknown = settings_from_json(fields["settings"])
        return cls(extra=extra, unknown_settings=unknown, **fields)


def _written(settings: Settings) -> dict[str, object]:
    """Return settings but for defaults that version 1.0 would refuse, so that it can run the release, too."""
    refused = (*LATER, "threads")
    return {key: value for key, value in to_json(settings).items() if key not in refused or value != DEFAULTS[key]}


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


def plan_prune(releases: t.Sequence[str], keep: int, protected: t.Collection[str]) -> list[str]:
    """Return which of the releases (ids, newest last) to remove so that the newest C(keep) and the protected stay."""
    surplus = releases[: max(len(releases) - max(keep, 1), 0)]
    return [release for release in surplus if release not in protected]
