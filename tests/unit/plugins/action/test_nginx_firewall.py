# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change is confirmed over a new connection, or the host tells that it was reverted."""

from __future__ import annotations

import time
import typing as t
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.flaskops.stack.plugins.action import nginx_firewall
from ansible_collections.flaskops.stack.plugins.module_utils._host_code import CODE_SPEC
from ansible_collections.flaskops.stack.plugins.modules.nginx_firewall import OPTIONS, SPEC

Args = dict[str, t.Any]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[t.Any]:
    """Record what happens; the host answers with what the test puts into C(answers)."""
    found: list[t.Any] = []
    monkeypatch.setattr(ActionBase, "run", lambda *_args, **_kwargs: {})
    monkeypatch.setattr(time, "sleep", lambda seconds: found.append(round(seconds)))
    return found


def plugin(steps: list[t.Any], answers: list[t.Any], monkeypatch: pytest.MonkeyPatch) -> nginx_firewall.ActionModule:
    action = object.__new__(nginx_firewall.ActionModule)
    action._task = SimpleNamespace(args={"backend": "nftables"})
    action._connection = SimpleNamespace(reset=lambda: steps.append("reset"))

    def execute(_action: t.Any, _module: str, args: Args, _variables: t.Any) -> Args:
        steps.append(args.get("confirm", ""))
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    monkeypatch.setattr(nginx_firewall, "execute", execute)
    return action


def test_a_change_is_confirmed_over_a_new_connection(steps: list[t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [{"changed": True, "closed": [], "confirm": "abc"}, {"changed": True}]
    assert plugin(steps, answers, monkeypatch).run() == {"changed": True, "closed": []}
    assert steps == ["", "reset", "abc"]


@pytest.mark.parametrize(
    "answer", [{"changed": False, "confirm": ""}, {"failed": True, "msg": "no"}, {"changed": True}]
)
def test_what_is_unchanged_or_failed_needs_no_second_task(
    steps: list[t.Any], monkeypatch: pytest.MonkeyPatch, answer: Args
) -> None:
    result = plugin(steps, [answer], monkeypatch).run()
    assert result == {key: value for key, value in answer.items() if key != "confirm"}
    assert steps == [""]


@pytest.mark.parametrize(("given", "seconds"), [({}, 65), ({"revert_after": None}, 65), ({"revert_after": "30"}, 35)])
def test_a_host_that_cannot_be_reached_any_more_is_asked_when_it_has_reverted(
    steps: list[t.Any], monkeypatch: pytest.MonkeyPatch, given: Args, seconds: int
) -> None:
    answers = [
        {"changed": True, "confirm": "abc"},
        AnsibleConnectionFailure("Connection timed out"),
        {"failed": True, "msg": "not confirmed in time"},
    ]
    action = plugin(steps, answers, monkeypatch)
    action._task.args.update(given)
    result = action.run()
    assert result == {"failed": True, "changed": False, "msg": "not confirmed in time"}
    assert steps == ["", "reset", "abc", seconds, "abc"]


def test_the_module_takes_what_its_entry_point_reads() -> None:
    assert set(SPEC) == {"backend", "ports", "allow", "close", "revert_after", "confirm", *CODE_SPEC}
    # What the plugin takes for the time when it is not set.
    assert OPTIONS["revert_after"]["default"] == 60
