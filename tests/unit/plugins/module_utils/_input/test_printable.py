# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that an application logs controls the operator's terminal."""

from __future__ import annotations

from types import ModuleType

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints import flask_release as _flask_release
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints import gunicorn_service as _gunicorn_service
from ansible_collections.flaskops.stack.plugins.module_utils._input.printable import printable, printable_result


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext, ümlaut, 日本", "plain\n\ttext, ümlaut, 日本"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("\x1b[2J\x1b[1;1H", "\\x1b[2J\\x1b[1;1H"),
        ("\x9b2J\x85", "\\x9b2J\\x85"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x00\x08\x7f", "\\x00\\x08\\x7f"),
        ("abc\u202etxt\u2066\u2028", "abc\\u202etxt\\u2066\\u2028"),
        ("\udc80", "\\udc80"),
        # What stands there when a sequence is taken away is none again.
        ("\x1b\x1b[0m[31mx", "\\x1b[31mx"),
    ],
)
def test_controls_are_shown_and_colours_are_gone(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_all_texts_of_a_result_are_printable() -> None:
    result = {"msg": "\x07", "list": [{"said": "a\x07"}, 1, None, True], "\x07": ("b\x07",)}
    wanted = {"msg": "\\x07", "list": [{"said": "a\\x07"}, 1, None, True], "\\x07": ["b\\x07"]}
    assert printable_result(result) == wanted


@pytest.mark.parametrize("task", [_flask_release, _gunicorn_service])
def test_what_a_module_tells_is_printable(monkeypatch: pytest.MonkeyPatch, task: ModuleType) -> None:
    found = {"failed": True, "msg": "said: \x1b]0;x\x07", "warnings": ["\x1b[2J"], "hooks": [{"output": "\x08"}]}
    monkeypatch.setattr(task, "_run", lambda *_args: found)
    result = task.run({}, False)
    assert result["warnings"] == ["\\x1b[2J"]
    assert result["msg"] == "said: \\x1b]0;x\\x07"
    assert result["hooks"] == [{"output": "\\x08"}]
