# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redact the secrets of a release in texts. Private to flaskops.stack."""

from __future__ import annotations

import os
import typing as t

from .._input.redact import mask
from .._release.model import Manifest
from .._service.environment import parse_environment
from .._system.files import read_file


def release_environment(path: str) -> dict[str, str]:
    """Return the environment of the release in the directory C(path)."""
    return parse_environment((read_file(os.path.join(path, "env")) or b"").decode("utf-8", "replace"))


def redact_secrets(text: str, path: str, manifest: Manifest | None) -> str:
    """Return a text without the release's secrets; they are all its variables when it does not say which."""
    values = release_environment(path)
    names = t.cast("list[str]", manifest.extra.get("secret_names", list(values)) if manifest else list(values))
    return mask(text, [values[name] for name in names if name in values], shortest=3)
