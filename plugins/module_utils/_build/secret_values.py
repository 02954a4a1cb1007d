# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redact the secrets of a release in texts. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t
from contextlib import suppress

from .._input.redact import mask
from .._release.model import Manifest
from .._service.environment import parse_environment
from .._system.files import read_file
from .._system.planted import read_below


def release_environment(path: str) -> dict[str, str]:
    """Return the environment of the release in the directory C(path)."""
    return parse_environment((read_file(os.path.join(path, "env")) or b"").decode("utf-8", "replace"))


def redact_secrets(text: str, path: str, manifest: Manifest | None) -> str:
    """Return a text without the release's secrets; they are all its variables when it does not say which."""
    values = release_environment(path)
    names = t.cast("list[str]", manifest.extra.get("secret_names", list(values)) if manifest else list(values))
    secrets = [values[name] for name in names if name in values]
    return mask(text, [*secrets, *_of_files(path, manifest)], shortest=3)


def _of_files(path: str, manifest: Manifest | None) -> list[str]:
    """Return what is secret in the files of a release."""
    listed = t.cast("list[object]", manifest.extra.get("files", [])) if manifest else []
    secret = [str(file.get("path")) for file in listed if isinstance(file, t.Mapping) and file.get("secret")]
    if not secret:
        return []
    from .._input.file_secrets import values_of

    found: list[str] = []
    for name in secret:
        with suppress(OSError):
            content = read_below(os.path.join(path, "app"), name) or b""
            found += values_of(content.decode("utf-8", "replace"))
    return found
