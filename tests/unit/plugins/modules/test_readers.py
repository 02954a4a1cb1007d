# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that read, and the one that closes an application: their answers and their sentences."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.module_utils import basic
from ansible_collections.flaskops.stack.plugins.modules import (
    flask_maintenance,
    flask_release_info,
    flask_status,
    nginx_site_info,
)

Answer = t.Dict[str, t.Any]


@pytest.fixture(name="ask")
def make_ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> t.Callable[..., Answer]:
    """Run a module as Ansible does, and return what it prints."""

    def ask(module: t.Any, **arguments: object) -> Answer:
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        before = os.umask(0o022)
        try:
            with pytest.raises(SystemExit):
                module.main()
        finally:
            os.umask(before)
        answer: Answer = json.loads(capsys.readouterr().out)
        return answer

    return ask


@pytest.mark.parametrize("module", [flask_status, flask_release_info])
def test_a_host_without_applications_has_none(ask: t.Callable[..., Answer], module: t.Any, tmp_path: Path) -> None:
    answer = ask(module, root=str(tmp_path))
    assert (answer["changed"], answer["apps"]) == (False, [])


@pytest.mark.parametrize("module", [flask_status, flask_release_info, nginx_site_info])
def test_what_is_null_has_its_default(ask: t.Callable[..., Answer], module: t.Any) -> None:
    # Ansible refuses null as a number or a truth value.
    given = ask(
        module, **{key: None for key, option in module.OPTIONS.items() if option["type"] not in ("bool", "int")}
    )
    unset = ask(module)
    for answer in (given, unset):
        answer.pop("invocation", None)
    assert given == unset


@pytest.mark.parametrize("module", [flask_status, flask_release_info])
def test_a_name_that_is_none_is_refused_with_a_sentence(
    ask: t.Callable[..., Answer], module: t.Any, tmp_path: Path
) -> None:
    answer = ask(module, root=str(tmp_path), names=["../etc"])
    assert answer["failed"] and answer["msg"].startswith("Cannot ") and "../etc" in answer["msg"]


@pytest.mark.parametrize(("closed", "verb"), [(True, "close"), (False, "open")])
def test_an_application_that_is_not_there_cannot_be_closed(
    ask: t.Callable[..., Answer], tmp_path: Path, closed: bool, verb: str
) -> None:
    answer = ask(flask_maintenance, name="../shop", closed=closed, root=str(tmp_path))
    assert answer["failed"] and answer["msg"].startswith(f"Cannot {verb} the application: ")
    assert "../shop" in answer["msg"]


def test_sites_are_told_where_there_is_no_nginx(ask: t.Callable[..., Answer], tmp_path: Path) -> None:
    places = {name: str(tmp_path / name) for name in ("available", "enabled")}
    for path in places.values():
        os.mkdir(path)
    (tmp_path / "available/shop@0123456789ab").write_text("")
    (tmp_path / "enabled/shop").symlink_to(tmp_path / "available/shop@0123456789ab")
    answer = ask(
        nginx_site_info,
        directory_available=places["available"],
        directory_enabled=places["enabled"],
        config=str(tmp_path / "nginx.conf"),
        binary="/no/such/nginx",
    )
    assert [(site["name"], site["state"]) for site in answer["sites"]] == [("shop", "enabled")]
    assert answer["nginx"]["installed"] is False
    assert set(answer) - {"invocation"} == {"changed", *yaml.safe_load(nginx_site_info.RETURN)}
