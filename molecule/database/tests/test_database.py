# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A schema is migrated once for two hosts, before either starts the code that needs it."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from testinfra import get_hosts
from testinfra.host import Host

from tools.molecule.protocols import Eventually, Shell, Visit

PLAYBOOK = Path(__file__).parents[3] / "playbooks" / "site.yml"
INVENTORY = os.environ["MOLECULE_INVENTORY_FILE"]
# As in molecule.yml.
PART = "zq4f1dqz"
MIGRATIONS = "canaille/backends/sql/migrations/*.py"
HISTORY = "/var/lib/flaskops/accounts/history.jsonl"
NOTE = "/var/lib/flaskops/accounts/migrated.json"


@pytest.fixture(scope="module")
def hosts() -> list[Host]:
    """Return both hosts, that of the database first."""
    return list(get_hosts([f"ansible://{group}?ansible_inventory={INVENTORY}" for group in ("first", "second")]))


def read(host: Host, command: str) -> str:
    """Return what a command says that has to succeed."""
    result = host.run(command)
    assert result.rc == 0, result.stderr
    return str(result.stdout).strip()


def name_of(host: Host) -> str:
    """Return the name of a host in the inventory."""
    return str(host.backend.get_hostname())


def deploy(hooks: t.Mapping[str, t.Any], *options: str) -> subprocess.CompletedProcess[str]:
    """Run the playbook on both hosts, one after the other."""
    variables = json.dumps({"accounts_hooks": hooks, "batch": 1})
    words = ["ansible-playbook", "-i", INVENTORY, str(PLAYBOOK), "--extra-vars", variables, *options]
    # Molecule forces colours on a terminal, and they stand in front of the names of hosts.
    env = {**os.environ, "NO_COLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, env=env)


def test_a_visitor_reaches_the_application(visit: Visit, eventually: Eventually) -> None:
    # The host of the database has just been restarted.
    eventually(lambda: visit("accounts.test", "/login").status == 200, 30)
    assert "Canaille" in visit("accounts.test", "/login").text


def test_links_are_where_nginx_reads_them_and_sockets_are_open_to_it(hosts: list[Host]) -> None:
    """The first host includes sites-enabled/*.conf, the second conf.d/*.conf only, and runs as user nginx."""
    places = ("/etc/nginx/sites-enabled/accounts.conf", "/etc/nginx/flaskops-sites/accounts")
    for host, place in zip(hosts, places, strict=True):
        assert read(host, f"readlink -e {place}").startswith("/etc/nginx/sites-available/accounts@")
    groups = [read(host, "stat --format %G /srv/accounts/current/run/0.sock") for host in hosts]
    assert groups == ["www-data", "nginx"]
    # The page that the package brings stays, and is the default of no site.
    assert "localhost" in read(hosts[1], "cat /etc/nginx/conf.d/default.conf")


def test_unknown_host_names_get_an_empty_reply_in_each_layout(visit: Visit) -> None:
    assert visit("nobody.test").error.startswith("RemoteDisconnected")


def test_the_schema_is_that_of_the_newest_migration(hosts: list[Host]) -> None:
    query = "cd / && runuser -u postgres -- psql -tA accounts -c 'select version_num from alembic_version'"
    version = read(hosts[0], query)
    for host in hosts:
        newest = read(host, f"ls /srv/accounts/current/venv/lib/python3*/site-packages/{MIGRATIONS}").splitlines()[-1]
        assert version == Path(newest).name.split("_")[0]


def test_it_was_made_once_and_from_one_host(hosts: list[Host]) -> None:
    log = read(hosts[0], "cat /var/log/postgresql/*.log").splitlines()
    made = [line for line in log if "CREATE TABLE alembic_version" in line]
    clients = {line.split("client=")[1].split(" ")[0] for line in log if "client=" in line and "ALTER TABLE" in line}
    assert len(made) == 1
    assert len(clients) == 1


def test_each_host_knows_that_it_was_and_one_knows_that_it_did_it(hosts: list[Host]) -> None:
    notes = [json.loads(read(host, f"cat {NOTE}")) for host in hosts]
    assert [note["here"] for note in notes] == [True, False]
    assert notes[0]["key"] == notes[1]["key"]
    # Their Pythons differ, and so do the releases.
    assert notes[0]["release"] != notes[1]["release"]


def test_the_first_host_served_before_the_second_began(hosts: list[Host]) -> None:
    first, second = (json.loads(read(host, f"head -1 {HISTORY}"))["when"] for host in hosts)
    assert first < second


def test_the_database_is_up_before_the_application_at_boot(hosts: list[Host]) -> None:
    units = read(hosts[0], "systemctl list-units --plain --no-legend 'postgresql@*.service' 'accounts@*.service'")
    names = [line.split()[0] for line in units.splitlines()]
    assert sorted(name.split("@")[0] for name in names) == ["accounts", "postgresql"]
    began = {
        name.split("@")[0]: [
            int(read(hosts[0], f"systemctl show --value --property {what} '{name}'"))
            for what in ("ActiveEnterTimestampMonotonic", "ExecMainStartTimestampMonotonic")
        ]
        for name in names
    }
    assert began["postgresql"][0] <= began["accounts"][1]


def test_a_migration_that_fails_costs_nothing_on_any_host(hosts: list[Host]) -> None:
    before = [read(host, "readlink /srv/accounts/current; cat " + NOTE) for host in hosts]
    broken = [["sh", "-c", "env; echo no such table; exit 3"]]
    done = deploy({"migrate": broken}, "-vvv", "--diff")
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "hook migrate" in output
    assert "failed with exit code 3" in output
    assert "no such table" in output
    assert PART not in output
    # Both hosts are reached before anything changes; a batch that fails stops the later ones.
    assert done.stdout.count("PLAY [Flask applications behind nginx and gunicorn]") == 1
    recap = done.stdout.partition("PLAY RECAP")[2].partition("SUMMARY")[0]
    line = next(line for line in recap.splitlines() if line.startswith(f"{name_of(hosts[1])} "))
    assert line.split()[2:4] == ["ok=1", "changed=0"]
    assert [read(host, "readlink /srv/accounts/current; cat " + NOTE) for host in hosts] == before


def test_the_password_is_nowhere_but_in_the_environment(sh: Shell) -> None:
    # The search is in the process list, too, and must not find itself.
    pattern = PART.replace("dqz", "d[q]z")
    assert sh(f"cat /proc/[0-9]*/cmdline | grep --count --text '{pattern}' || :") == "0"
    assert sh(f"journalctl --no-pager | grep --count '{pattern}' || :") == "0"
    found = sh(f"find / -xdev -type f -perm /o+r -exec grep -l '{pattern}' {{}} + 2>/dev/null || :")
    assert found == ""


def test_a_run_says_what_both_hosts_serve_and_is_refused_where_one_cannot_be_reached(hosts: list[Host]) -> None:
    done = deploy({"migrate": ["canaille db upgrade"], "before_switch": ["canaille db current"]})
    served = [Path(read(host, "readlink /srv/accounts/current")).name for host in hosts]
    assert done.returncode == 0, done.stdout + done.stderr
    summary = done.stdout.partition("SUMMARY")[2]
    assert all(release in summary for release in served), summary
    assert "http://accounts.test/" in summary
    dead = '{"app": "accounts", "ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}'
    words = ["ansible-playbook", "-i", INVENTORY, "-i", "lost,", str(PLAYBOOK.with_name("rollback.yml")), "-e", dead]
    refused = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert refused.returncode != 0
    assert "lost cannot be reached" in refused.stdout + refused.stderr
    assert "-e without_lost=true" in refused.stdout + refused.stderr
    assert [Path(read(host, "readlink /srv/accounts/current")).name for host in hosts] == served


def test_a_second_run_migrates_nothing(hosts: list[Host]) -> None:
    count = "grep --count 'statement:' /var/log/postgresql/*.log || :"
    before = read(hosts[0], count)
    done = deploy({"migrate": ["canaille db upgrade"], "before_switch": ["canaille db current"]})
    assert done.returncode == 0, done.stdout + done.stderr
    assert read(hosts[0], count) == before


def test_the_database_goes_back_when_both_hosts_have(hosts: list[Host]) -> None:
    query = "cd / && runuser -u postgres -- psql -tA accounts -c 'select version_num from alembic_version'"
    newest = read(hosts[0], query)
    hooks = {"migrate": ["canaille db upgrade"], "rollback": {"migrate_down": ["canaille db downgrade"]}}
    done = deploy(hooks)
    assert done.returncode == 0, done.stdout + done.stderr
    before = [read(host, "readlink /srv/accounts/current") for host in hosts]
    words = [
        "ansible-playbook",
        "-i",
        INVENTORY,
        str(PLAYBOOK.with_name("rollback.yml")),
        "--extra-vars",
        "app=accounts batch=1",
    ]
    back = subprocess.run([*words, "-e", "hook=down"], capture_output=True, text=True, timeout=300, check=False)
    assert "has no hook 'down' for a rollback: it has migrate_down" in back.stdout + back.stderr
    assert [read(host, "readlink /srv/accounts/current") for host in hosts] == before
    back = subprocess.run([*words, "-e", "hook=migrate_down"], capture_output=True, text=True, timeout=300, check=False)
    assert back.returncode == 0, back.stdout + back.stderr
    assert back.stdout.count("Hook rollback.migrate_down has run") == 1
    second = f"accounts on {name_of(hosts[1])}"
    assert back.stdout.index(second) < back.stdout.index("Hook rollback.migrate_down has run")
    assert read(hosts[0], query) != newest
    # The next deploy goes forward again.
    done = deploy(hooks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert read(hosts[0], query) == newest
