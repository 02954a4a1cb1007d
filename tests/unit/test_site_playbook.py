# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main playbook, run for a part only."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).parents[2]
PLAY = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text())[-1]
TAGS = {
    task["ansible.builtin.import_role"]["name"].rpartition(".")[2]: set(task["tags"])
    for task in PLAY["tasks"][0]["block"]
    if "ansible.builtin.import_role" in task
}


def test_whoever_asks_for_services_gets_the_releases_that_they_run() -> None:
    assert {*TAGS["gunicorn"], "gunicorn_service"} <= TAGS["flask"]


# A run of one host, with the defaults of role gunicorn.
RUN: dict[str, object] = {
    "ansible_play_hosts_all": ["a"],
    "ansible_run_tags": ["all"],
    "ansible_skip_tags": [],
    "gunicorn_services": [],
    "gunicorn_overlap": "refuse",
}


def rendered(name: str, **variables: object) -> object:
    """Return what a variable of the play is in a run with these variables."""
    own = {key: trust_as_template(text) if isinstance(text, str) else text for key, text in PLAY["vars"].items()}
    return Templar(DataLoader(), variables={**RUN, **own, **variables}).template(own[name])


def test_a_directory_of_applications_that_is_null_or_empty_is_not_set() -> None:
    files = [*(ROOT / "playbooks").rglob("*.yml"), *(ROOT / "roles").glob("*/tasks/*.yml")]
    texts = "".join(path.read_text(encoding="utf-8") for path in files)
    uses = re.findall(r"(?:flask|gunicorn)_root\b(?: \| default\([^)]*\))?", texts)
    assert len(uses) > 10
    assert {use.partition("_root")[2] for use in uses} == {" | default('/srv', true)", " | default(omit, true)"}


def test_one_task_builds_and_deploys() -> None:
    assert rendered("__flask_serve") is True
    assert (
        rendered("__flask_serve", flask_apps=[{"name": "shop"}, {"name": "blog", "gunicorn": {"workers": 2}}]) is True
    )


def test_no_condition_reaches_a_task_that_ansible_would_warn_of() -> None:
    # Tags choose known.yml, too, and a task of meta has no conditions.
    imported = [task for task in PLAY["tasks"][0]["block"] if "ansible.builtin.import_role" in task]
    assert len(imported) == 3
    assert not [task["name"] for task in imported if "when" in task]


@pytest.mark.parametrize("name", ["reach", "site", "deploy", "rollback", "status"])
def test_a_strategy_of_the_user_lets_no_host_run_ahead(name: str) -> None:
    plays = yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text())
    own = [play for play in plays if "hosts" in play]
    assert own
    assert all(play["strategy"] == "linear" for play in own)


@pytest.mark.parametrize("tag", ["gunicorn", "gunicorn_service", "deploy", "tagged"])
def test_whoever_asks_for_services_gets_a_deploy(tag: str) -> None:
    assert rendered("__flask_serve", ansible_run_tags=[tag]) is True


@pytest.mark.parametrize(
    "variables",
    [
        {"ansible_run_tags": ["flask"]},
        {"ansible_run_tags": ["flask_build", "nginx"]},
        # A fleet builds on all hosts before the first one switches.
        {"ansible_play_hosts_all": ["a", "b"]},
        # Services of the user's own are deployed together with the applications.
        {"gunicorn_services": [{"name": "own"}]},
        # The old release may be stopped before the new one is started.
        {"gunicorn_overlap": "fallback"},
        {"gunicorn_overlap": "never"},
        {"flask_apps": [{"name": "shop"}, {"name": "blog", "gunicorn": {"overlap": "never"}}]},
    ],
)
def test_a_task_that_builds_does_not_deploy_where_something_comes_in_between(variables: dict[str, object]) -> None:
    assert rendered("__flask_serve", **variables) is False


def test_the_same_applications_are_published_when_one_fails_whichever_task_deploys() -> None:
    services = [{"name": "shop", "error": ""}, {"name": "blog", "error": "answered 500"}]
    apps = [{"name": "shop"}, {"name": "blog"}, {"name": "wiki"}]
    releases = [{"name": "shop"}, {"name": "blog"}]
    failed = {"failed": True, "services": services}
    one = {"flask_apps": apps, "__flask_build": {"releases": releases, **failed}}
    # With another failure in the build, the second task runs in the rescue.
    two = {
        "flask_apps": apps,
        "ansible_play_hosts_all": ["a", "b"],
        "__flask_build": {"failed": True, "releases": releases},
        "__gunicorn_run": failed,
    }
    for variables in (one, two):
        assert rendered("__stack_others", **variables) == [services[0]]
        assert rendered("__stack_failed", **variables) == ["blog", "wiki"]
        assert rendered("__nginx_complete", **variables) is False


def test_a_build_of_which_nothing_is_left_fails_all_applications() -> None:
    variables = {"flask_apps": [{"name": "shop"}], "__flask_build": {"failed": True, "releases": []}}
    assert rendered("__stack_others", **variables) == []
    assert rendered("__stack_failed", **variables) == ["shop"]


def test_the_first_task_is_the_only_check_of_variables() -> None:
    # Ansible would put a task before each role that has an argument specification: users pay for each task in each run.
    others = yaml.safe_load((ROOT / "playbooks" / "tasks" / "others.yml").read_text())
    imported = [*PLAY["pre_tasks"], *PLAY["tasks"][0]["block"], *others[0]["block"], *others[1:]]
    roles = [task[key] for task in imported for key in task if key.endswith(("import_role", "include_role"))]
    whole = [role for role in roles if "tasks_from" not in role]
    assert len(whole) == 5
    assert all(role["rolespec_validate"] is False for role in whole)


def test_what_few_runs_need_is_one_task_that_others_skip() -> None:
    # Each skipped task costs its user a quarter of a second in each run: the budget is seven tasks.
    finish = PLAY["tasks"][0]["block"][-1]
    assert finish["when"] == "__stack_formers | length > 0 or __nginx_firewall_due"
    assert finish["ansible.builtin.include_tasks"]["apply"]["tags"] == finish["tags"] == ["nginx", "nginx_firewall"]
    stages = yaml.safe_load((ROOT / "roles" / "nginx" / "tasks" / "main.yml").read_text())
    assert "known.yml' if __stack_looks" in stages[-1]["ansible.builtin.import_tasks"]
    others = yaml.safe_load((ROOT / "playbooks" / "tasks" / "others.yml").read_text())
    assert others[-1]["ansible.builtin.import_tasks"] == "../../roles/nginx/tasks/firewall.yml"


def test_sites_are_not_published_on_a_host_that_nothing_has_looked_at() -> None:
    # As with --start-at-task and --skip-tags: they would be rendered for the newest nginx.
    variables = yaml.safe_load((ROOT / "roles" / "nginx" / "vars" / "main.yml").read_text())
    text = trust_as_template(variables["__nginx_published"])
    known = Templar(DataLoader(), variables={"__nginx_configs": ["one"], "__nginx_state": {"nginx_version": ""}})
    assert known.template(text) == ["one"]
    unknown = Templar(DataLoader(), variables={"__nginx_configs": ["one"], "__nginx_state": {}})
    with pytest.raises(AnsibleError, match="nothing is known of nginx on this host"):
        unknown.template(text)


@pytest.mark.parametrize(
    "variables",
    [
        # A tag may leave out the build, and not what reads them.
        {"flask_apps": [{"name": "shop"}], "ansible_skip_tags": ["flask_build"]},
        {"flask_apps": [{"name": "shop"}], "ansible_skip_tags": ["flask"]},
        {"flask_apps": [{"name": "shop"}], "__flask_build": {"failed": True, "msg": "..."}},
        {},
    ],
)
def test_the_services_are_known_to_be_none_as_long_as_nothing_was_built(variables: dict[str, object]) -> None:
    assert rendered("gunicorn_services_derived", **variables) == []


def test_a_run_that_begins_after_the_build_says_that_it_has_nothing_to_deploy() -> None:
    with pytest.raises(AnsibleError, match=r"no release of blog, shop was built in this run: .*--start-at-task"):
        rendered("gunicorn_services_derived", flask_apps=[{"name": "shop"}, {"name": "blog"}])


def test_the_task_that_deploys_is_left_to_the_build_only_where_there_was_one() -> None:
    (deploy,) = yaml.safe_load((ROOT / "roles" / "gunicorn" / "tasks" / "service.yml").read_text())
    for variables, runs in (
        ({"__flask_serve": True, "__flask_build": {}}, False),
        # As with --start-at-task.
        ({"__flask_serve": True}, True),
        ({"__flask_serve": False, "__flask_build": {}}, True),
        ({}, True),
    ):
        text = trust_as_template(f"{{{{ {deploy['when']} }}}}")
        assert Templar(DataLoader(), variables=variables).template(text) is runs


def test_services_and_sites_are_derived_with_the_same_defaults() -> None:
    for name in ("gunicorn_services_derived", "nginx_sites_derived"):
        assert "nginx_site_defaults" in PLAY["vars"][name]


def test_a_host_that_fails_stops_all_later_batches() -> None:
    for name in ("site", "deploy", "rollback"):
        plays = yaml.safe_load((Path(__file__).parents[2] / "playbooks" / f"{name}.yml").read_text())
        assert plays[0]["ansible.builtin.import_playbook"] == "reach.yml"
        assert plays[-1]["max_fail_percentage"] == (
            "{{ max_failed_percentage | default(max_fail_percentage | default(0, true), true) }}"
        )
        assert plays[-1]["vars"]["__stack_run"] is True


def test_a_play_that_fails_is_told_of_in_notices() -> None:
    for name in ("site", "deploy", "rollback", "reach"):
        plays = yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text())
        assert all(play["vars"]["__stack_run"] for play in plays if "tasks" in play)
        # What ansible.builtin.fail says is in no notice.
        assert "builtin.fail:" not in (ROOT / "playbooks" / f"{name}.yml").read_text()


@pytest.mark.parametrize(
    ("target", "hosts"),
    [
        (None, "33"),
        ("web", "22"),
        ("a", "01"),
        (["a", "c"], "22"),
        (["a"], "01"),
        ("web:!a", "01"),
        ("localhost", "01"),
    ],
)
def test_what_only_fleets_need_is_left_out_for_a_single_host(tmp_path: Path, target: object, hosts: str) -> None:
    inventory = tmp_path / "hosts.ini"
    inventory.write_text("[web]\na\nb\n[db]\nc\n")
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    words = [program, "-i", str(inventory), str(ROOT / "playbooks" / "deploy.yml"), "--list-hosts"]
    given = ["-e", json.dumps({"target": target})] if target else []
    said = subprocess.run([*words, *given], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "".join(re.findall(r"hosts \((\d+)\)", said)) == hosts


@pytest.mark.parametrize("playbook", ["site", "deploy", "rollback", "status", "maintenance", "remove"])
@pytest.mark.parametrize("target", ["stagging", ["c", "d"], "web:!web", "~stag.*"])
def test_a_target_that_no_host_has_is_no_success(tmp_path: Path, playbook: str, target: object) -> None:
    """Ansible ends with 0 when no host matches, and a job of a CI would be told that all is deployed."""
    done = run_here(playbook, tmp_path, "a", "b", target=target, app="shop", maintenance="on")
    assert done.returncode != 0
    said = target if isinstance(target, str) else "c,d"
    assert f"no host of the inventory matches -e target={said}: " in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("playbook", ["site", "status"])
@pytest.mark.parametrize("target", ["a", "a,b"])
def test_a_limit_that_leaves_none_of_the_target_is_no_success(tmp_path: Path, playbook: str, target: str) -> None:
    done = run_here(playbook, tmp_path, "a", "b", "c", limit="c", target=target)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert f"no host of the inventory matches -e target={target} and --limit c: " in said


def run_here(
    playbook: str, directory: Path, *hosts: str, limit: object = "", **variables: object
) -> subprocess.CompletedProcess[str]:
    """Run a playbook on this machine, which it has to leave alone."""
    given = directory / "variables.json"
    given.write_text(json.dumps(variables), encoding="utf-8")
    command = [sys.executable, "-m", "ansible", "playbook", str(ROOT / "playbooks" / f"{playbook}.yml")]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible/collections"), "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(
        [
            *command,
            "--inventory",
            f"{','.join(hosts or ['localhost'])},",
            "--connection",
            "local",
            "--extra-vars",
            f"@{given}",
            *(["--limit", str(limit)] if limit else []),
        ],
        capture_output=True,
        check=False,
        cwd=directory,
        env=environment,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("app", [None, "", ["shop"]])
def test_a_rollback_of_no_application_says_how_to_name_one(tmp_path: Path, app: object) -> None:
    run = run_here("rollback", tmp_path, **({} if app is None else {"app": app}))
    assert run.returncode == 2
    said = run.stdout + run.stderr
    assert "Name the application to roll back: -e app=NAME" in said
    assert "Finalization" not in said
    assert said.count("TASK [") == 1


@pytest.mark.parametrize("app", ["shop.com", "shop-", ["shop"]])
def test_what_can_be_no_application_is_not_removed_in_part(tmp_path: Path, app: object) -> None:
    run = run_here("remove", tmp_path, app=app)
    assert run.returncode == 2
    said = run.stdout + run.stderr
    assert "Name the application to remove as flask_apps does: -e app=NAME" in said
    assert said.count("TASK [") == 1


def test_a_rollback_of_no_application_of_a_fleet_says_so_once(tmp_path: Path) -> None:
    run = run_here("rollback", tmp_path, "one", "two", ansible_become=False, app="")
    assert run.returncode == 2
    said = run.stdout + run.stderr
    assert "Name the application to roll back: -e app=NAME" in said
    assert (said.count("fatal: ["), "Read the releases" in said) == (1, False)


@pytest.mark.parametrize("playbook", ["site", "deploy"])
def test_a_run_with_malformed_variables_ends_with_a_few_lines(playbook: str, tmp_path: Path) -> None:
    app = {"name": "shop", "source": "./shop", "app": "shop:app", "domain": "a.test", "keep": "five"}
    run = run_here(playbook, tmp_path, flask_apps=[{**app, "nginx": {"static": "/static/"}}])
    assert run.returncode == 2
    said = run.stdout + run.stderr
    faults = said.partition("Action failed: ")[2].partition("\nOrigin: ")[0]
    assert [line.partition(":")[2].partition(":")[0] for line in faults.splitlines()] == [
        " unknown option 'domain'",
        ' keep must be a whole number, not "five"',
        ' nginx.static must be a list, not "/static/"',
    ]
    assert len(faults.encode()) < 1000
    assert "Finalization" not in said
    assert len(said.encode()) < 2000
