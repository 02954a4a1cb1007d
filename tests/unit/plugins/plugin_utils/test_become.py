# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a task got no rights of root is told from what sudo, doas, a shell or Ansible has said."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.plugin_utils._become import explain_missing, explain_refused


@pytest.mark.parametrize("said", ["", "MemoryError", "sh: 1: /usr/bin/python3: not found", "sudo: unknown user web"])
def test_other_words_are_no_reason(said: str) -> None:
    assert (explain_missing(said), explain_refused(said)) == ("", "")


def test_what_stands_beside_the_reason_is_not_quoted() -> None:
    said = explain_refused("token s3cret\nweb is not in the sudoers file, s3cret\n")
    assert "(is not in the sudoers file)" in said and "s3cret" not in said
