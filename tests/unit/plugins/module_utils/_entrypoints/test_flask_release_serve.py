# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.service import DeployOptions
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints import (
    flask_release_serve as _flask_release_serve,
)
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.flask_release_serve import (
    deploy_built,
    sites_of,
)
from ansible_collections.flaskops.stack.plugins.module_utils._input.result import join

OPTIONS = DeployOptions("/etc/systemd/system")
RELEASE = "/srv/shop/releases/3f2a91c-1b9e02d4"
BUILT: dict[str, t.Any] = {
    "changed": True,
    "releases": [{"name": "shop", "path": RELEASE}],
    "removed": [],
    "diff": [{"after": "release"}],
}


class Services:
    """Stands for what a host would do."""

    pending: t.ClassVar[list[dict[str, str]]] = []

    def __init__(self, *_given: object) -> None:
        pass

    def due_migrations(self) -> list[dict[str, str]]:
        return self.pending

    def plan(self) -> str:
        return "planned"

    def apply(self) -> str:
        return "applied"


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_flask_release_serve, "read_requests", lambda services, _root, _check: services)
    monkeypatch.setattr(_flask_release_serve, "Services", Services)
    monkeypatch.setattr(_flask_release_serve, "report", lambda how: {"changed": False, "services": [how], "diff": [{}]})


def test_what_was_built_serves_in_the_same_task() -> None:
    result = deploy_built(BUILT, "/srv", OPTIONS, check=False)
    assert (result["changed"], result["services"], len(result["diff"])) == (True, ["applied"], 2)
    assert result["releases"] == BUILT["releases"]


def test_check_mode_only_plans() -> None:
    assert deploy_built(BUILT, "/srv", OPTIONS, check=True)["services"] == ["planned"]


def test_what_one_host_has_to_migrate_for_all_is_left_to_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Services, "pending", [{"name": "shop", "key": "1"}])
    assert deploy_built(BUILT, "/srv", OPTIONS, check=False) == {
        **BUILT,
        "unserved": [{"name": "shop", "release": RELEASE}],
    }
    # Nothing migrates in check mode.
    assert deploy_built(BUILT, "/srv", OPTIONS, check=True)["services"] == ["planned"]


def test_a_deploy_that_fails_fails_the_task_with_all_that_was_done() -> None:
    result = join(BUILT, {"failed": True, "msg": "/ answered 500", "changed": True, "services": []})
    assert (result["failed"], result["msg"], result["changed"]) == (True, "/ answered 500", True)
    assert result["diff"] == BUILT["diff"]


def test_a_build_that_failed_fails_the_task_with_what_the_others_have_got() -> None:
    built = {**BUILT, "failed": True, "msg": "app 'blog': cannot install"}
    result = deploy_built(built, "/srv", OPTIONS, check=False)
    assert (result["failed"], result["msg"], result["services"]) == (True, "app 'blog': cannot install", ["applied"])
    both = join(built, {"failed": True, "msg": "shop: no answer"})
    assert both["msg"].splitlines() == ["app 'blog': cannot install", "shop: no answer"]


def test_how_visitors_reach_an_application_is_told_where_it_is_known() -> None:
    apps: list[dict[str, t.Any]] = [
        {"name": "shop", "domains": ["shop.test"]},
        {"name": "hidden"},
        {"name": "odd", "domains": ["odd.test"], "nginx": {"no_such_key": 1}},
    ]
    assert {name: site["host"] for name, site in sites_of(apps, "/srv", {}).items()} == {"shop": "shop.test"}
    assert sites_of(apps[:1], "/srv", {"http_port": 8080})["shop"]["port"] == 8080
