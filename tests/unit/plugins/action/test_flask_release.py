# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources on the controller: one that cannot be used does not stop the applications with other sources."""

from __future__ import annotations

import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.action import flask_release
from ansible_collections.flaskops.stack.plugins.action.flask_release import ActionModule
from ansible_collections.flaskops.stack.plugins.module_utils._app.source import SourceError

Args = dict[str, t.Any]


class Plugin(ActionModule):
    """The plugin with a host that wants every source."""

    def __init__(self, directory: Path) -> None:
        self._loader = SimpleNamespace(path_dwim=lambda path: str(directory / path))
        self.calls: list[Args] = []

    def _call(self, _args: Args, sent: dict[str, Args], _task_vars: Args | None) -> Args:
        self.calls.append(sent)
        return {"wanted": ["blog", "wiki"], "faults": {"remote": "git server is down"}}

    def _send_one(self, name: str, _found: object, remote: str) -> tuple[str, list[str]]:
        if name == "wiki":
            raise SourceError("it changed while it was read")
        return f"{remote}/{name}.source", ["a file is left out"]

    def _fixup_perms2(self, *_args: object, **_options: object) -> None:
        pass


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    for name in ("blog", "wiki"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text("app = 1\n")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "out").symlink_to("/etc/shadow")
    monkeypatch.setattr(flask_release, "remote_directory", lambda _action: "/tmp/remote")
    return Plugin(tmp_path)


def test_a_source_that_cannot_be_used_is_told_to_the_module(plugin: Plugin) -> None:
    apps = [{"name": name, "source": f"./{name}"} for name in ("shop", "blog")]
    found, faults = plugin._look({"apps": apps}, {})
    assert (list(found), sorted(faults)) == (["blog"], ["shop"])
    sent = flask_release._described(found, {}, faults)
    assert "/etc/shadow" in sent["shop"]["error"]
    assert sent["blog"]["type"] == "directory"


def test_a_source_that_cannot_be_sent_does_not_stop_the_others(plugin: Plugin) -> None:
    apps = [{"name": name, "source": f"./{name}"} for name in ("blog", "wiki")]
    found, _faults = plugin._look({"apps": apps}, {})
    plugin._send({"apps": apps}, found, {"remote": "git server is down"}, ["blog", "wiki"], {})
    (sent,) = plugin.calls
    assert sent["blog"]["payload"] == "/tmp/remote/blog.source"
    assert sent["blog"]["warnings"] == ["a file is left out"]
    assert sent["wiki"] == {"error": "it changed while it was read"}
    assert sent["remote"] == {"error": "git server is down"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {}),
        ({"nginx_acme": False, "nginx_acme_email": ""}, {}),
        ({"nginx_acme": True}, {"site_defaults": {"hsts": 60, "tls": {"mode": "acme"}}}),
    ],
)
def test_visitors_come_by_https_where_role_nginx_says_so(plugin: Plugin, variables: Args, expected: Args) -> None:
    plugin._templar = SimpleNamespace(template=lambda value: value)
    assert plugin._of_sites({"site_defaults": {"hsts": 60}}, variables) == expected


def test_a_variable_that_is_null_is_one_that_is_not_set(plugin: Plugin) -> None:
    assert plugin._settled({"apps": None, "keep": None, "site_defaults": None, "root": "/srv"}) == {
        "apps": [],
        "root": "/srv",
    }
    # The module says that they are missing.
    assert plugin._settled({"keep": 3}) == {"keep": 3}


def test_the_host_is_not_told_the_passwords_of_visitors() -> None:
    auth = {"users": [{"name": "alice", "password": "correct horse"}], "paths": ["/admin"]}
    shown = flask_release._shown({"name": "shop", "nginx": {"basic_auth": auth, "gzip": False}})
    assert shown["nginx"]["gzip"] is False
    # How it is probed through nginx depends on the paths.
    assert shown["nginx"]["basic_auth"] == {**auth, "users": [{"name": "alice", "password": "********"}]}
    for odd in ("alice:correct horse", {"users": "correct horse"}, {"users": ["correct horse"]}):
        assert "correct horse" not in str(flask_release._shown({"name": "shop", "nginx": {"basic_auth": odd}}))
