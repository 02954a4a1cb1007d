# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of a release that are secret are shown nowhere."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.flaskops.stack.plugins.module_utils._build.secret_values import (
    redact_secrets,
    release_environment,
)
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Manifest

SAID = "connecting to db.test with geheim"


def manifest(**extra: object) -> Manifest:
    return Manifest("shop", "1111111-11111111", "shop", "shop", {}, "3.12", "shop:app", Settings(), extra=extra)


def test_what_the_manifest_calls_secret_is_masked_and_the_rest_is_shown(tmp_path: Path) -> None:
    (tmp_path / "env").write_text('DATABASE_HOST="db.test"\nDATABASE_PASSWORD="geheim"\n')
    masked = redact_secrets(SAID, str(tmp_path), manifest(secret_names=["DATABASE_PASSWORD", "GONE"]))
    assert "db.test" in masked and "geheim" not in masked


def test_without_a_manifest_that_says_so_every_value_is_a_secret(tmp_path: Path) -> None:
    (tmp_path / "env").write_text('DATABASE_HOST="db.test"\nDATABASE_PASSWORD="geheim"\n')
    for known in (None, manifest()):
        masked = redact_secrets(SAID, str(tmp_path), known)
        assert "db.test" not in masked and "geheim" not in masked


def test_a_release_without_an_environment_has_none(tmp_path: Path) -> None:
    assert release_environment(str(tmp_path)) == {}
    assert redact_secrets(SAID, str(tmp_path), None) == SAID
