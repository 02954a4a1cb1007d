# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import grp
import pwd
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.nginx_site import (
    layout_of,
    run,
    workers_group,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.layout import read_site_paths
from ansible_collections.flaskops.stack.plugins.modules.nginx_site import ARGUMENTS


def params(tmp_path: Path, **given: t.Any) -> dict[str, t.Any]:
    """Return the parameters as the module gets them."""
    (tmp_path / "nginx.conf").write_text("events {}\n")
    paths = {"config": str(tmp_path / "nginx.conf"), "directory_available": str(tmp_path / "available")}
    checked = ArgumentSpecValidator(**ARGUMENTS).validate({"name": "shop", "content": "", **paths, **given})
    assert not checked.error_messages
    return dict(checked.validated_parameters)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mode": "rw-r--r--"}, "mode 'rw-r--r--' must be an octal string like '0644'"),
        ({"mode": "-1"}, "mode '-1' must be an octal string"),
        # What YAML makes of 0644 and 0640 without quotes.
        ({"mode": 420}, "mode '420' must be an octal string like '0644', and give nobody more than the owner"),
        ({"mode": 416}, "mode '416' must be an octal string"),
        ({"files": [{"path": "a", "content": "", "mode": 420}]}, "a.conf: mode '420' must be an octal string"),
        ({"files": [{"path": "", "content": ""}]}, "file '' must be a name that does not begin with '.'"),
        ({"files": [{"path": "..", "content": ""}]}, "file '..' must be a name that does not begin with '.'"),
        ({"owner": "nobody-there"}, "owner 'nobody-there' and group 'root' must be known on this host"),
        ({"directory_available": "nginx/sites"}, "directory_available 'nginx/sites' must be an absolute path"),
        ({"directory_enabled": "sites"}, "directory_enabled 'sites' must be an absolute path"),
        ({"prefix": "opt/nginx"}, "prefix 'opt/nginx' must be an absolute path"),
        ({"config": "nginx.conf"}, "config 'nginx.conf' must be an absolute path"),
        ({"content": "\ufeffserver {}"}, "site 'shop': the content begins with a byte order mark"),
        ({"keep": 0}, "keep 0 must be 1 or more"),
        ({"metrics": "textfile", "metrics_directory": "/var/lib/node exporter"}, "metrics: the path '/var/lib/node"),
        ({"metrics": "textfile", "metrics_directory": "textfile"}, "metrics: the path 'textfile' is not absolute"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_changes(tmp_path: Path, given: t.Any, said: str) -> None:
    result = run(params(tmp_path, **given), check=False)
    assert result["failed"] and said in result["msg"]
    assert not (tmp_path / "available").exists()


def test_an_empty_prefix_is_none(tmp_path: Path) -> None:
    given = params(tmp_path, prefix="", directory_enabled=str(tmp_path / "enabled"))
    places = read_site_paths(given["config"])
    assert layout_of(given, places) == layout_of({**given, "prefix": None}, places)


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("user daemon;\n", "daemon"),
        ("user nobody daemon;\n", "daemon"),
        # Its group has another name.
        ("user nobody;\n", grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name),
        ("events {}\n", "www-data"),
    ],
)
def test_passwords_are_for_the_group_of_nginx(tmp_path: Path, text: str, group: str) -> None:
    given = {**params(tmp_path), "binary": "no-nginx"}
    (tmp_path / "nginx.conf").write_text(text)
    assert workers_group(given) == grp.getgrnam(group).gr_gid
    (tmp_path / "nginx.conf").write_text("")
    planned = {"path": given["config"], "content": text, "src": None, "template": None, "state": "present"}
    assert workers_group({**given, "files": [planned]}) == grp.getgrnam(group).gr_gid
