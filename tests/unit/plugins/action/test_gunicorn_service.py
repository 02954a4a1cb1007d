# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of one run: one migrates, the others wait, and no host starts what was not migrated."""

from __future__ import annotations

import os
import threading
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.flaskops.stack.plugins.action.gunicorn_service import ActionModule, _asked_hooks, _undeployed
from ansible_collections.flaskops.stack.plugins.modules import gunicorn_service
from ansible_collections.flaskops.stack.plugins.plugin_utils._run_once import RunOnceLock

Args = dict[str, t.Any]

OLD, NEW = "1111111-11111111", "2222222-22222222"


class Fleet:
    """Hosts as their modules would answer, and what they did, in order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.error = ""
        self.recorded: set[str] = set()
        self.lost = False
        # Why no service can be deployed at all.
        self.refusal = ""

    def answer(self, host: str, args: Args) -> Args:
        if args.get("migrate"):
            assert args["migrate"] == {"shop": "v1"}
            self.log.append(f"{host} migrates")
            if self.lost:
                raise ConnectionError("unreachable")
            done = {} if self.error else {"shop": [{"hook": "migrate"}]}
            refused = [{"name": "shop", "release": NEW, "previous": OLD, "error": self.error}] if self.error else []
            unmigrated = {"shop": self.error} if self.error else {}
            return {"changed": True, "services": refused, "migrated": done, "unmigrated": unmigrated}
        names = [service["name"] for service in args["services"]]
        if "shop" in names and host not in self.recorded and "shop" not in args.get("migrated", []):
            return {
                "changed": False,
                "services": [],
                "migrations": [{"name": "shop", "key": self.key(host), "seen": "v1"}],
            }
        if self.refusal:
            return {"failed": True, "msg": self.refusal}
        self.log.append(f"{host} starts {'+'.join(names)}")
        return {"changed": True, "services": [{"name": name, "hooks": []} for name in names]}

    def key(self, host: str) -> str:
        return host.split("-", maxsplit=1)[0]

    def run(self, host: str) -> Args:
        plugin = Plugin(self, host)
        shop = {"name": "shop", "release": f"/srv/shop/releases/{NEW}"}
        args = {"services": [shop, {"name": "wiki"}], "expected": {"shop": OLD}}
        answer = self.answer(host, {**args, "fleet": True})
        due = {one["name"]: one for one in answer.get("migrations", [])}
        return plugin._migrate_first(args, due, {"inventory_hostname": host}) if due else answer


class Plugin(ActionModule):
    """The plugin for one host, whose module answers at once."""

    def __init__(self, fleet: Fleet, host: str) -> None:
        self._fleet, self._host = fleet, host

    def _call(self, args: Args, task_vars: Args | None) -> Args:
        assert task_vars
        return self._fleet.answer(self._host, args)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return Fleet()


def test_the_first_host_migrates_and_all_start(fleet: Fleet) -> None:
    results = [fleet.run(f"db1-{number}") for number in range(4)]
    assert fleet.log == ["db1-0 migrates", *(f"db1-{number} starts shop+wiki" for number in range(4))]
    assert not any(result.get("failed") for result in results)
    assert results[0]["services"][0]["hooks"] == [{"hook": "migrate"}]


def test_when_it_fails_no_host_starts_it_in_any_batch_but_the_rest_goes_on(fleet: Fleet) -> None:
    fleet.error = "hook migrate 'flask db upgrade' failed. It said:\nno such table"
    first, second, third = (fleet.run(f"db1-{number}") for number in range(3))
    assert fleet.log == ["db1-0 migrates", *(f"db1-{number} starts wiki" for number in range(3))]
    assert first["failed"]
    assert first["msg"].endswith("no such table")
    for other in (second, third):
        assert other["failed"]
        assert other["msg"] == (
            "shop: not started here, because its migration failed on db1-0, whose output has the cause: "
            "hook migrate 'flask db upgrade' failed"
        )


def test_the_result_has_each_service_also_one_whose_migration_failed(fleet: Fleet) -> None:
    fleet.error = "hook migrate 'flask db upgrade' failed"
    first, second = (fleet.run(f"db1-{number}") for number in range(2))
    for result, said in ((first, fleet.error), (second, "not started here, because its migration failed on db1-0")):
        wiki, shop = result["services"]
        assert (wiki["name"], shop["name"], shop["release"], shop["previous"]) == ("wiki", "shop", NEW, OLD)
        assert shop["error"].startswith(said)


def test_the_result_has_each_service_also_when_the_others_were_refused(fleet: Fleet) -> None:
    fleet.error, fleet.refusal = "hook migrate 'flask db upgrade' failed", "not enough memory"
    result = fleet.run("db1-0")
    assert {service["name"]: service["error"] for service in result["services"]} == {
        "shop": fleet.error,
        "wiki": fleet.refusal,
    }
    assert result["msg"] == f"shop: {fleet.error}\n{fleet.refusal}"


def test_a_service_that_was_not_begun_has_all_keys_of_a_result() -> None:
    documented = yaml.safe_load(gunicorn_service.RETURN)["services"]["contains"]
    assert set(_undeployed({"services": [{"name": "shop"}]}, "shop")) == set(documented)


def test_hosts_with_another_database_migrate_that(fleet: Fleet) -> None:
    for host in ("db1-0", "db2-0", "db1-1", "db2-1"):
        fleet.run(host)
    assert [line for line in fleet.log if "migrates" in line] == ["db1-0 migrates", "db2-0 migrates"]


def test_a_host_that_was_lost_while_it_migrated_may_be_at_it_still(fleet: Fleet) -> None:
    fleet.lost = True
    with pytest.raises(ConnectionError):
        fleet.run("db1-0")
    assert "could not be reached" in fleet.run("db1-1")["msg"]
    assert fleet.log == ["db1-0 migrates", "db1-1 starts wiki"]


def test_a_host_that_knows_that_it_was_migrated_asks_nobody(fleet: Fleet) -> None:
    fleet.recorded = {"db1-0"}
    fleet.run("db1-0")
    assert fleet.log == ["db1-0 starts shop+wiki"]


def test_the_others_wait_for_the_one_who_is_at_it(tmp_path: Path) -> None:
    seen: list[str] = []
    with RunOnceLock(str(tmp_path), "migrate shop") as turn:

        def other() -> None:
            with RunOnceLock(str(tmp_path), "migrate shop") as later:
                seen.extend(later.outcomes)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.1)
        assert not seen
        turn.finish("key", {"host": "one", "error": ""})
    thread.join(5)
    assert seen == ["key"]


def test_the_death_of_the_one_who_is_at_it_lets_the_next_one(tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        RunOnceLock(str(tmp_path), "migrate shop").__enter__()
        os._exit(1)
    os.waitpid(child, 0)
    with RunOnceLock(str(tmp_path), "migrate shop") as turn:
        assert turn.outcomes == {}


class GoingBack(Fleet):
    """Hosts that have gone back, and the hook of what they have left."""

    def __init__(self, hosts: int) -> None:
        super().__init__()
        self.hosts = [f"db1-{number}" for number in range(hosts)]
        self.ill: set[str] = set()
        self.each_host = False
        self.lost_amid = False
        self.names = ["shop"]

    def answer(self, host: str, args: Args) -> Args:
        if args.get("left"):
            assert args["services"] == [{"name": "shop", "state": "rolled_back", "release": "v1", "hook": "down"}]
            self.log.append(f"{host} runs down of {args['left']['shop']}")
            if self.lost_amid:
                raise AnsibleConnectionFailure("unreachable")
            return {
                "ran": {"shop": [{"hook": "rollback.down"}]},
                "unsuccessful": {"shop": self.error} if self.error else {},
            }
        if self.lost:
            raise AnsibleConnectionFailure("unreachable")
        self.log.append(f"{host} goes back")
        services = [{"name": "shop", "release": "v1", "hooks": []}]
        if host in self.ill:
            return {"changed": True, "services": services, "failed": True, "msg": "shop: no answer"}
        due = {"name": "shop", "left": "v2", "key": self.key(host), "each_host": self.each_host}
        return {"changed": True, "services": services, "left": [due]}

    def run(self, host: str) -> Args:
        args = {"services": [{"name": name, "state": "rolled_back", "hook": "down"} for name in self.names]}
        variables = {"inventory_hostname": host, "ansible_play_hosts_all": self.hosts}
        return Plugin(self, host)._run_services(args, _asked_hooks(args), variables)


@pytest.fixture
def going_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoingBack:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return GoingBack(3)


def test_the_hook_of_a_rollback_runs_on_the_last_host_that_has_gone_back(going_back: GoingBack) -> None:
    results = [going_back.run(host) for host in going_back.hosts]
    assert going_back.log == [*(f"{host} goes back" for host in going_back.hosts), "db1-2 runs down of v2"]
    assert [result["services"][0]["hooks"] for result in results] == [[], [], [{"hook": "rollback.down"}]]
    assert not any(result.get("failed") or "left" in result for result in results)


def test_no_hook_runs_below_a_host_that_has_not_gone_back(going_back: GoingBack) -> None:
    going_back.ill = {"db1-1"}
    results = [going_back.run(host) for host in going_back.hosts]
    assert not [line for line in going_back.log if "runs" in line]
    assert [result.get("failed", False) for result in results] == [False, True, True]
    assert results[2]["msg"].startswith("shop: hook 'down' was not run on any host, because db1-1 did not roll back")


def test_no_hook_runs_when_a_host_is_lost(going_back: GoingBack) -> None:
    going_back.lost = True
    with pytest.raises(AnsibleConnectionFailure):
        going_back.run("db1-0")
    going_back.lost = False
    assert [going_back.run(host).get("failed", False) for host in ("db1-1", "db1-2")] == [False, True]
    assert not [line for line in going_back.log if "runs" in line]


@pytest.mark.parametrize("number", [0, 2])
def test_a_host_that_is_lost_says_that_no_hook_runs_also_when_nobody_comes_after_it(
    going_back: GoingBack, number: int
) -> None:
    for host in going_back.hosts[:number]:
        going_back.run(host)
    going_back.lost = True
    with pytest.raises(AnsibleConnectionFailure) as failure:
        going_back.run(f"db1-{number}")
    assert str(failure.value) == (
        "unreachable\nshop: hook 'down' was not run here, and on no other host unless each has a database of its own, "
        f"because it is unknown whether db1-{number} was rolled back. When all were, ask for it again with the release "
        "that serves: -e release=ID -e hook=down"
    )


def test_a_host_that_is_lost_says_so_of_each_hook(going_back: GoingBack) -> None:
    going_back.lost, going_back.names, going_back.hosts = True, ["shop", "wiki"], ["db1-0"]
    with pytest.raises(
        AnsibleConnectionFailure, match=r"\nshop: hook 'down' was not run.*\nwiki: hook 'down' was not run"
    ):
        going_back.run("db1-0")


def test_a_host_that_is_lost_while_the_hook_runs_says_how_to_find_out(going_back: GoingBack) -> None:
    going_back.hosts, going_back.lost_amid = ["db1-0"], True
    told = r"unreachable\nshop: .* hook 'down' was run.*-u flaskops-hook-shop' .*_hooks/shop\.log .*migrate down twice"
    with pytest.raises(AnsibleConnectionFailure, match=told):
        going_back.run("db1-0")


def test_a_refusal_on_all_hosts_speaks_for_itself(going_back: GoingBack) -> None:
    going_back.ill = set(going_back.hosts)
    assert {going_back.run(host)["msg"] for host in going_back.hosts} == {"shop: no answer"}


def test_a_hook_that_fails_is_told_by_the_host_that_ran_it(going_back: GoingBack) -> None:
    going_back.error = "release v1 serves, but hook rollback.down failed"
    results = [going_back.run(host) for host in going_back.hosts]
    assert [result.get("msg", "") for result in results] == ["", "", f"shop: {going_back.error}"]


def test_hosts_with_databases_of_their_own_run_it_each(going_back: GoingBack) -> None:
    going_back.each_host = True
    for host in going_back.hosts:
        going_back.run(host)
    assert len([line for line in going_back.log if "runs" in line]) == 3


def test_a_database_that_may_be_another_one_is_named(going_back: GoingBack) -> None:
    going_back.hosts = ["db1-0", "db2-0"]
    results = [going_back.run(host) for host in going_back.hosts]
    assert going_back.log[-1] == "db2-0 runs down of v2"
    assert "By their environment db1-0 may have another one" in results[1]["msg"]
