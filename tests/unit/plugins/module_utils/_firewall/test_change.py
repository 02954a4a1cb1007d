# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole changes of a simulated host: what is loaded, what is kept, and what is back after a failure."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints import nginx_firewall, preflight
from ansible_collections.flaskops.stack.plugins.module_utils._firewall.change import confirm, revert_pending
from ansible_collections.flaskops.stack.plugins.module_utils._firewall.plan import FirewallRequest, make_plan
from ansible_collections.flaskops.stack.plugins.module_utils._firewall.record import Record, read_record, write_record
from ansible_collections.flaskops.stack.plugins.module_utils._firewall.tools import FirewallError, Ufw
from ansible_collections.flaskops.stack.plugins.module_utils._system import host as system_host
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils._firewall.fake_firewall import (
    POSTGRES,
    FakeFirewall,
)

Result = dict[str, t.Any]
USUAL = ["allow 22/tcp comment 'flaskops'", "allow 80/tcp comment 'flaskops'", "allow 443/tcp comment 'flaskops'"]


def params(backend: str, **given: t.Any) -> Result:
    return {"backend": backend, "ports": [], "allow": [], "close": [], "revert_after": 60, "confirm": "", **given}


@pytest.fixture
def run(fake: FakeFirewall, monkeypatch: pytest.MonkeyPatch, tmp_path: t.Any) -> t.Callable[..., Result]:
    """Run the module, and confirm what it has changed unless told not to."""
    monkeypatch.setattr(nginx_firewall, "Host", lambda: fake.host)
    monkeypatch.setattr(nginx_firewall, "LOCKS", str(tmp_path))

    def ask(backend: str, check: bool = False, confirms: bool = True, **given: t.Any) -> Result:
        result = nginx_firewall.run(params(backend, **given), check)
        if confirms and result.get("confirm"):
            assert nginx_firewall.run(params(backend, **{**given, "confirm": result["confirm"]}), False) == {
                "changed": True
            }
        return result

    return ask


def test_nftables_is_loaded_confirmed_kept_and_changed_once(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    result = run("nftables", confirms=False)
    assert result["changed"]
    assert result["ssh_ports"] == [22]
    assert "tcp dport { 22 } accept" in fake.table
    # Not kept for the next boot before the controller has connected again.
    assert fake.files == set()
    assert fake.timer
    confirm(fake.host, result["confirm"])
    assert fake.timer == ""
    assert fake.files == {"firewall.nft", "unit", "drop-in", "firewall.json"}
    assert "flaskops-firewall.service" in fake.active_units & fake.enabled_units
    again = run("nftables")
    assert not again["changed"]
    assert again["diff"]["before"] == again["diff"]["after"] == result["diff"]["after"]


def test_what_is_not_confirmed_is_reverted(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    run("nftables")
    before, files = fake.table, fake.files
    token = run("nftables", confirms=False, allow=[{"port": 5432}])["confirm"]
    assert "5432" in fake.table
    fake.fire_timer()
    assert fake.table == before
    assert fake.files == files
    with pytest.raises(FirewallError, match="not confirmed in time over a new connection, so the old ones are back"):
        confirm(fake.host, token)


def test_a_run_that_was_killed_is_reverted_by_the_next_one(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    run("nftables", confirms=False)
    assert run("none") == {
        "changed": False,
        "backend": "none",
        "ssh_ports": [],
        "closed": [],
        "diff": {"before": "", "after": ""},
        "warnings": ["the last change was never confirmed, and was reverted"],
        "confirm": "",
    }
    assert fake.table == ""
    assert not revert_pending(fake.host)


def test_the_word_of_another_run_confirms_nothing(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    run("nftables", confirms=False)
    with pytest.raises(FirewallError):
        confirm(fake.host, "0123")
    assert fake.timer


@pytest.mark.parametrize("failing", ["nft --file", "systemd-run", "ufw --force delete"])
def test_whatever_fails_leaves_the_old_rules(fake: FakeFirewall, run: t.Callable[..., Result], failing: str) -> None:
    run("ufw")
    rules = list(fake.ufw_rules)
    fake.failing = {failing}
    result = run("nftables")
    assert result["failed"]
    assert result["msg"].startswith("The firewall is as it was: ")
    assert fake.table == "" or failing == "ufw --force delete"
    assert fake.ufw_rules == rules
    assert read_record().backend == "ufw"


def test_old_rules_that_do_not_come_back_are_not_said_to_be_there(
    fake: FakeFirewall, run: t.Callable[..., Result]
) -> None:
    run("nftables")
    fake.failing = {"nft --file", "sh "}
    result = run("nftables", allow=[{"port": 5432}])
    assert result["msg"].startswith("The firewall could not be changed: ")
    assert "nft --file " in result["msg"]
    assert "its old rules could not be loaded again, either: " in result["msg"]
    assert f"sh {fake.root}/pending/revert.sh now" in result["msg"]
    assert (fake.root / "pending" / "revert.sh").is_file()


def test_each_step_of_a_revert_is_tried(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    run("ufw", confirms=False)
    script = (fake.root / "pending" / "revert.sh").read_text().splitlines()
    steps = [line for line in script if line.startswith(("cp ", "/usr/sbin/ufw"))]
    assert len(steps) == 3
    assert all(line.endswith(" || failed=1") for line in steps)
    assert script[-1] == "exit ${failed:-0}"


def test_rules_that_nft_refuses_change_nothing(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    fake.nft_refuses = "Error: Could not process rule: Operation not supported"
    result = run("nftables")
    assert "nft refuses the rules, so the old ones stay: Error: Could not process" in result["msg"]
    assert "no nf_tables" in result["msg"]
    assert not [line for line in fake.ran if line.startswith(("nft --file", "systemd-run"))]


def test_a_host_without_nft_is_refused_and_shown_in_check_mode(
    fake: FakeFirewall, run: t.Callable[..., Result]
) -> None:
    (fake.root / "nft").unlink()
    assert "install the package nftables" in run("nftables")["msg"]
    fake.failing = {"ss"}
    assert run("nftables", check=True)["changed"]


def test_check_mode_changes_nothing(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    result = run("nftables", check=True)
    assert result["changed"]
    assert "confirm" not in result
    assert fake.table == ""
    assert not fake.timer
    assert fake.files == set()


@pytest.mark.parametrize("backend", ["nftables", "ufw"])
def test_no_port_that_others_reach_is_closed_unasked(
    fake: FakeFirewall, run: t.Callable[..., Result], backend: str
) -> None:
    fake.sockets["postgres"] = POSTGRES
    result = run(backend)
    assert "the firewall would close them: 5432/tcp (postgres). List in nginx_firewall_allow" in result["msg"]
    assert fake.table == ""
    assert fake.ufw_rules == []
    assert run(backend, allow=[{"port": 5432, "from": ["10.0.0.0/8"]}])["closed"] == []
    # What the user has taken away himself is closed, and named.
    last = run(backend)
    assert last["closed"] == ["5432/tcp"]
    assert last["warnings"] == ["these ports are closed now: 5432/tcp (postgres)"]
    assert run(backend)["warnings"] == []


def test_a_port_that_may_be_closed_is_closed(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    fake.sockets["postgres"] = POSTGRES
    assert run("nftables", close=["5432/tcp"])["warnings"] == []


def test_a_table_that_somebody_has_changed_is_loaded_again(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    run("nftables")
    right, fake.table = fake.table, "table inet flaskops {\n}\n"
    assert run("nftables")["changed"]
    assert fake.table == right
    fake.enabled_units.clear()
    assert run("nftables")["changed"]


@pytest.mark.parametrize("path", ["firewall.nft", "unit", "nftables.service.d/drop-in"])
def test_a_file_that_somebody_has_edited_in_any_encoding_is_written_again(
    fake: FakeFirewall, run: t.Callable[..., Result], path: str
) -> None:
    run("nftables")
    file = fake.root / "host" / path
    right = file.read_bytes()
    file.write_bytes(right + b"# f\xfcr heute\n")
    assert run("nftables")["changed"]
    assert file.read_bytes() == right
    file.write_bytes(right + b"# f\xfcr heute\n")
    assert run("none")["changed"]


def test_what_nginx_listens_on_is_open(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    fake.sockets["nginx"] = fake.sockets["nginx"].replace(":80", ":8080")
    fake.sockets["quic"] = 'udp UNCONN 0 0 0.0.0.0:443 0.0.0.0:* users:(("nginx",pid=9,fd=6))'
    run("nftables", ports=["8443/tcp"])
    assert "tcp dport { 80, 443, 8080, 8443 } accept" in fake.table
    assert "udp dport { 443 } accept" in fake.table


def test_none_removes_all_of_it(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    run("nftables")
    assert run("none")["changed"]
    assert fake.table == ""
    assert fake.files == set()
    assert not run("none")["changed"]


def test_rules_that_nothing_can_remove_any_more_are_named(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    run("nftables")
    (fake.root / "nft").unlink()
    result = run("none")
    assert result["warnings"] == ["nft is not there any more: rules that are loaded stay until the host restarts"]
    assert fake.files == set()


def test_tables_of_others_that_drop_are_named(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    fake.other_chains = "table inet filter {\n type filter hook input priority filter; policy drop;\n"
    assert "tables of others drop what they do not let in themselves (inet filter)" in run("nftables")["warnings"][0]
    assert run("nftables")["warnings"] == []


def test_a_host_without_ssh_is_named(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    fake.sockets, fake.sshd = {}, ""
    assert run("nftables")["warnings"] == ["no server for SSH was found on this host: no port is opened for one"]
    assert run("nftables")["warnings"] == []


# ufw


def test_ufw_gets_rules_before_it_is_enabled(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    assert run("ufw")["changed"]
    assert fake.ufw_rules == USUAL
    assert fake.ufw_active
    enabled = fake.ran.index("ufw --force enable")
    assert max(fake.ran.index(line) for line in fake.ran if line.startswith("ufw allow")) < enabled
    assert read_record().enabled_ufw
    assert not run("ufw")["changed"]
    assert run("none")["changed"]
    assert fake.ufw_rules == []
    assert not fake.ufw_active


def test_rules_and_policy_of_an_active_ufw_stay(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    fake.ufw_active, fake.ufw_rules = True, ["limit 22/tcp", "allow 5000/tcp"]
    fake.sockets["postgres"] = POSTGRES
    assert run("ufw")["warnings"] == []
    assert fake.ufw_rules == ["limit 22/tcp", "allow 5000/tcp", *USUAL[1:]]
    assert not [line for line in fake.ran if line.startswith(("ufw default", "ufw --force enable"))]
    run("none")
    assert fake.ufw_rules == ["limit 22/tcp", "allow 5000/tcp"]
    assert fake.ufw_active


def test_the_last_rule_for_ssh_of_an_active_ufw_stays(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    fake.ufw_active, fake.ufw_rules = True, ["allow 5000/tcp"]
    run("ufw")
    result = run("none")
    assert "no other rule lets in SSH: 22/tcp stays open" in result["warnings"][0]
    assert fake.ufw_rules == ["allow 5000/tcp", USUAL[0]]
    assert not run("none")["changed"]


def test_rules_for_outgoing_connections_let_in_neither_ssh_nor_visitors(
    fake: FakeFirewall, run: t.Callable[..., Result]
) -> None:
    fake.ufw_rules = ["allow out to 192.0.2.1 port 22", "allow out on eth0"]
    fake.sockets["postgres"] = POSTGRES
    assert "would close them: 5432/tcp (postgres)" in run("ufw")["msg"]
    fake.ufw_active = True
    run("ufw")
    assert "22/tcp stays open" in run("none")["warnings"][0]


def test_a_policy_that_lets_all_in_is_changed_only_with_what_we_enable(
    fake: FakeFirewall, run: t.Callable[..., Result]
) -> None:
    defaults = fake.root / "ufw-defaults"
    defaults.write_text('DEFAULT_INPUT_POLICY="ACCEPT"\n')
    run("ufw")
    assert Ufw(fake.host).setting("DEFAULT_INPUT_POLICY") == "drop"
    run("none")
    assert Ufw(fake.host).setting("DEFAULT_INPUT_POLICY") == "accept"
    fake.ufw_active = True
    assert "it closes nothing" in run("ufw")["warnings"][0]
    assert Ufw(fake.host).setting("DEFAULT_INPUT_POLICY") == "accept"


def test_ufw_that_fails_in_the_middle_is_as_it_was(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    fake.ufw_rules = ["allow 5000/tcp"]
    fake._write_ufw()
    fake.failing = {"ufw --force enable"}
    assert "'ufw --force enable' failed with exit code 1" in run("ufw")["msg"]
    assert fake.ufw_rules == ["allow 5000/tcp"]
    assert not fake.ufw_active


def test_a_rule_of_others_that_closes_a_port_of_ours_is_refused(
    fake: FakeFirewall, run: t.Callable[..., Result]
) -> None:
    fake.ufw_active, fake.ufw_rules = True, ["allow 22/tcp", "deny 80/tcp"]
    assert "ufw has rules that close what is to be opened: 'ufw deny 80/tcp'" in run("ufw")["msg"]
    assert fake.ufw_rules == ["allow 22/tcp", "deny 80/tcp"]


def test_ufw_that_would_remove_the_rules_of_others_is_not_enabled(
    fake: FakeFirewall, run: t.Callable[..., Result]
) -> None:
    (fake.root / "ufw-defaults").write_text("MANAGE_BUILTINS=yes\n")
    assert "MANAGE_BUILTINS=yes" in run("ufw")["msg"]


def test_the_change_from_one_to_the_other_is_one_change(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    run("ufw")
    run("nftables")
    assert not fake.ufw_active
    assert fake.ufw_rules == []
    assert "{ 22 }" in fake.table
    run("ufw")
    assert fake.table == ""
    assert fake.ufw_active
    assert fake.files == {"firewall.json"}


def test_two_firewalls_at_once_are_refused(fake: FakeFirewall, run: t.Callable[..., Result]) -> None:
    fake.ufw_active = True
    assert "ufw is active on this host" in run("nftables")["msg"]
    fake.active_units.add("firewalld.service")
    for backend in ("nftables", "ufw"):
        assert "firewalld is active on this host" in run(backend)["msg"]
    # What removes nothing asks for no confirmation.
    assert not run("none")["changed"]


def test_ufw_of_a_host_that_has_none_yet_is_shown(fake: FakeFirewall) -> None:
    (fake.root / "ufw").unlink()
    plan = make_plan(fake.host, FirewallRequest.from_params(params("ufw")), True)
    assert plan.shown_after.splitlines() == ["ufw enable", "ufw allow 22/tcp", "ufw allow 80/tcp", "ufw allow 443/tcp"]


def test_a_record_that_cannot_be_read_is_as_good_as_none(fake: FakeFirewall) -> None:
    write_record(Record("nftables", listing="x"))
    assert read_record() == Record("nftables", listing="x")
    (fake.root / "host" / "firewall.json").write_text("{}")
    assert read_record() == Record()


def test_wrong_values_are_said_by_the_module(run: t.Callable[..., Result]) -> None:
    assert 'allow: port "x" must be a port' in run("nftables", allow=[{"port": "x"}])["msg"]


def test_all_refusals_come_before_anything_changes(fake: FakeFirewall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_host, "Host", lambda: fake.host)
    assert preflight.firewall_fact({}) == ("", False)
    assert preflight.firewall_fact({"backend": "nftables"}) == ("", True)
    assert preflight.firewall_fact({"backend": "ufw"}) == ("", True)
    fake.nft_refuses = "Error: Could not process rule: Operation not supported"
    fault, _is_pending = preflight.firewall_fact({"backend": "nftables"})
    assert fault.startswith("nginx_firewall: nft refuses the rules") and "Operation not supported" in fault
    fake.nft_refuses = ""
    fake.sockets["postgres"] = POSTGRES
    assert "5432/tcp (postgres)" in preflight.firewall_fact({"backend": "nftables"})[0]
    assert preflight.firewall_fact({"backend": "nftables", "close": ["all"]}) == ("", True)
    fake.active_units = {"firewalld.service"}
    assert "firewalld is active" in preflight.firewall_fact({"backend": "ufw", "close": ["all"]})[0]
    assert fake.table == "" and fake.files == set() and fake.ufw_rules == []


def test_a_firewall_that_is_in_place_is_not_pending(
    fake: FakeFirewall, run: t.Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_host, "Host", lambda: fake.host)
    run("nftables", ports=["8080/tcp"])
    assert preflight.firewall_fact({"backend": "nftables", "ports": ["8080/tcp"]}) == ("", False)
    assert preflight.firewall_fact({"backend": "nftables", "ports": []}) == ("", True)
