# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a template that cannot be rendered."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible_collections.flaskops.stack.plugins.plugin_utils._controller_files import explain_template


class LineError(Exception):
    lineno = 4


def chained() -> AnsibleError:
    error = AnsibleError("Syntax error in template: unexpected '}'")
    error.__cause__ = LineError("unexpected '}'")
    return error


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        (
            "key\n\nkey = {{ key }}\n",
            AnsibleUndefinedVariable("'key' is undefined"),
            "line 3: 'key' is undefined: set it",
        ),
        (
            "{% for x in [1] %}\n{{ x }}\n{{ db.host }}",
            AnsibleUndefinedVariable("object of type 'dict' has no attribute 'host'"),
            "line 3: object of type 'dict' has no attribute 'host': set it",
        ),
        ("a", AnsibleUndefinedVariable("'key' is undefined"), "t.j2: 'key' is undefined"),
        ("a", chained(), "line 4: Syntax error in template: unexpected '}'"),
        ("a", ZeroDivisionError(), "t.j2: ZeroDivisionError"),
    ],
)
def test_the_line_and_the_variable_are_named(text: str, error: Exception, said: str) -> None:
    assert said in explain_template("/x/t.j2", text, error)
