# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What action plugins do on the controller, without a host and without Ansible around them."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.flaskops.stack.plugins.action import fleet as fleet_action
from ansible_collections.flaskops.stack.plugins.action import nginx_site, report
from ansible_collections.flaskops.stack.plugins.modules import fleet as fleet_module
from ansible_collections.flaskops.stack.plugins.modules import report as report_module


def made(plugin: t.Any, check_mode: bool = False) -> t.Any:
    """Return an action plugin for a task that is not run."""
    return plugin.ActionModule(SimpleNamespace(check_mode=check_mode, async_val=0), None, None, None, None, None)


@pytest.mark.parametrize("beside", ["content", "src"])
def test_a_template_beside_another_source_is_refused(beside: str) -> None:
    with pytest.raises(AnsibleActionFail, match=r"'shop.j2' excludes content and src: give one of them"):
        made(nginx_site)._rendered({"name": "shop", "template": "shop.j2", beside: ""}, {})


def test_an_item_without_a_template_stays_as_it_is() -> None:
    item = {"name": "shop", "content": "server {}"}
    assert made(nginx_site)._rendered(item, {}) == item


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_report_is_written_when_it_is_another_and_not_in_check_mode(tmp_path: Path, check_mode: bool) -> None:
    path = tmp_path / "found.json"
    action = made(report, check_mode)
    assert action._write(str(path), {"b": 1, "a": [2]})
    assert path.exists() is not check_mode
    if not check_mode:
        assert json.loads(path.read_text()) == {"a": [2], "b": 1}
        assert not action._write(str(path), {"a": [2], "b": 1})


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match=r"none/x.json' cannot be written on the controller"):
        made(report)._write(str(tmp_path / "none/x.json"), {})


@pytest.mark.parametrize(("action", "module"), [(report, report_module), (fleet_action, fleet_module)])
def test_what_is_documented_is_what_the_action_takes(
    action: t.Any, module: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that is an action alone has nothing of its own but its documentation."""

    class SeenError(Exception):
        """What an action has asked for."""

    def see(_self: object, spec: dict[str, dict[str, t.Any]]) -> t.NoReturn:
        raise SeenError(spec)

    monkeypatch.setattr(action.ActionModule, "validate_argument_spec", see)
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_args, **_options: {})
    with pytest.raises(SeenError) as seen:
        made(action).run(None, {})
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    kept = ("type", "required", "default")
    assert seen.value.args[0] == {
        name: {key: option[key] for key in kept if key in option} for name, option in documented.items()
    }
