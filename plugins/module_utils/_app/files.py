# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of configuration of an application, checked. Private to flaskops.stack.

The controller reads or renders them, so that every host gets text; what is in C(item['files']) before that has no
C(content) yet. Bytes that are no UTF-8 travel as surrogates (PEP 383).
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import typing as t
from dataclasses import dataclass, field

from .._input.file_secrets import find_secret
from .._input.placeholders import NAMES
from .._input.redact import holds
from .._input.values import APP as SHAPE
from .._input.values import InputError, as_bool, as_line, elements, length_fault, refuse_unknown
from .._release.shared_files import SHARED, served_by

SOURCES = ("content", "template", "src")
_KEYS = ("path", *SOURCES, "secret", "mode")
_OUTSIDE = ("/", "~")
# A path has no placeholders: a directory of that name is not meant.
_PLACEHOLDER = re.compile(rf"(?<!\{{)\{{(?:[A-Za-z][\w-]*\}}|(?:{'|'.join(NAMES)})\b)")
_MODE = re.compile(r"0[0-7]{3}")
# Of one file, and of all files of an application: they travel with each run.
LARGEST = 2**20
LARGEST_OF_ALL = 4 * 2**20
_ELSEWHERE = "put what is no configuration into the source, or into a shared directory"


@dataclass(frozen=True)
class ReleaseFile:
    """A file that is written into the release."""

    # Relative to the application's code.
    path: str
    mode: int
    secret: bool
    # None until the controller has read or rendered it.
    content: str | None = field(repr=False)

    @property
    def data(self) -> bytes:
        """Return what is written."""
        return (self.content or "").encode("utf-8", "surrogateescape")

    @property
    def identity(self) -> list[object]:
        """Return what of it names a release."""
        return [self.path, self.mode, self.secret, self.content]

    def to_json(self) -> dict[str, object]:
        """Return what may be shown of it."""
        shown = {"path": self.path, "mode": f"0{self.mode:o}", "secret": self.secret}
        # That of a short secret would tell it.
        return shown if self.secret else {**shown, "sha256": hashlib.sha256(self.data).hexdigest()}


def parse_files(
    given: object, secrets: t.Mapping[str, str], shared: t.Sequence[str] | None, static: object, base: str
) -> tuple[ReleaseFile, ...]:
    """Return the files in the order of their paths; raise InputError, which names the file, for what cannot be one.

    C(static) are the static files of the site, C(base) is the application's directory on the host.
    """
    items = elements(given, SHAPE["files"], "files")
    files = [_parse(f"files[{number}]", item, secrets) for number, item in enumerate(items)]
    _check_paths([file.path for file in files], [name.strip("/") for name in (SHARED if shared is None else shared)])
    for file in files:
        url = served_by(static, file.path, base) if file.secret else ""
        if url:
            raise InputError(
                f"files '{file.path}' is secret, and nginx serves its directory at {url}: use another path"
            )
    size = sum(len(file.data) for file in files)
    if size > LARGEST_OF_ALL:
        raise InputError(f"files have more than {LARGEST_OF_ALL // 1024} KiB together: {_ELSEWHERE}")
    return tuple(sorted(files, key=lambda file: file.path))


def _parse(where: str, item: t.Mapping[str, t.Any], secrets: t.Mapping[str, str]) -> ReleaseFile:
    refuse_unknown(where, item, _KEYS)
    path = _path(f"{where}.path", item.get("path"))
    where = f"files '{path}'"
    sources = [key for key in SOURCES if item.get(key) is not None]
    if len(sources) != 1:
        raise InputError(f"{where} has {' and '.join(sources) or 'none'} of content, template and src: give it one")
    said = None if item.get("secret") is None else as_bool(f"{where}: secret", item["secret"])
    content = None if item.get("content") is None else str(item["content"])
    file = ReleaseFile(path, _mode(where, item.get("mode"), bool(said)), bool(said), content)
    if len(file.data) > LARGEST:
        raise InputError(f"{where} has more than {LARGEST // 1024} KiB: {_ELSEWHERE}")
    if content is not None and not file.secret:
        _check_told(where, content, secrets, is_decided=said is not None)
    return file


def _path(key: str, value: object) -> str:
    """Return a path below the code."""
    text = as_line(key, "" if value is None else value)
    parts = [part for part in text.split("/") if part != "."]
    if text.startswith(_OUTSIDE) or not parts or any(part in ("", "..") for part in parts):
        raise InputError(
            f"{key} '{text}' must be the path of a file in the application, such as 'config/app.cfg': it begins at the "
            "top of the code, and does not leave it"
        )
    found = _PLACEHOLDER.search(text)
    if found:
        raise InputError(
            f"{key} '{text}' has '{found[0]}' in it, and a path of files has no placeholders: write it as "
            "'config/app.cfg', which begins at the top of the code"
        )
    path = posixpath.join(*parts)
    fault = length_fault(path)
    if fault:
        raise InputError(f"{key} '{text[:40]}...' is {fault}: use a shorter one")
    return path


def _mode(where: str, value: object, is_secret: bool) -> int:
    """Return the permissions of a file, which the application reads as its group."""
    text = str(value or ("0640" if is_secret else "0644"))
    if not _MODE.fullmatch(text):
        raise InputError(f"{where}: mode '{text}' must be four octal digits in quotes, such as '0640'")
    mode = int(text, 8)
    if mode & 0o022:
        raise InputError(
            f"{where}: mode '{text}' lets others than root write, and a release does not change: what the application "
            "writes belongs into a shared directory"
        )
    # Its group is that of the application, which what others may do does not concern.
    if mode & 0o440 != 0o440:
        raise InputError(f"{where}: mode '{text}' keeps the application from reading it: use '0640' or '0644'")
    if is_secret and mode & 0o007:
        raise InputError(f"{where} is secret, and mode '{text}' lets every user read it: use '0640'")
    return mode


def _check_paths(paths: t.Sequence[str], shared: t.Sequence[str]) -> None:
    for path in paths:
        if paths.count(path) > 1:
            raise InputError(f"files has the path '{path}' {paths.count(path)} times: keep one of them")
        outer = next((other for other in paths if path.startswith(f"{other}/")), "")
        if outer:
            raise InputError(f"files '{path}' is below '{outer}', which is a file: use another path for one of them")
        name = next((name for name in shared if _overlap(path, name)), "")
        if name:
            raise InputError(
                f"files '{path}' is in the shared directory '{name}', which outlives releases, and a file of 'files' "
                "belongs to one: use another path, or list only what the application writes in shared"
            )


def _overlap(path: str, other: str) -> bool:
    return f"{path}/".startswith(f"{other}/") or other.startswith(f"{path}/")


def _check_told(where: str, content: str, secrets: t.Mapping[str, str], is_decided: bool) -> None:
    """Raise InputError for a file that all users of the host may read and that has a secret in it."""
    name = next((name for name, value in secrets.items() if holds(content, value)), "")
    if name:
        raise InputError(f"{where} has the value of secrets.{name} in it, and is not secret: set secret: true")
    found = "" if is_decided else find_secret(content)
    if found:
        raise InputError(
            f"{where} seems to have {found} in it, and does not say whether it is secret: set secret: true, or "
            "secret: false when all users of the host may read it"
        )
