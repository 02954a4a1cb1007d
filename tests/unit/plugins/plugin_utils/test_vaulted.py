# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible Vault has encrypted is refused where an application would not keep it secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible.parsing.vault import EncryptedString, VaultHelper
from ansible_collections.flaskops.stack.plugins.plugin_utils._vaulted import encrypted_in, vaulted_faults

VAULTED = EncryptedString(ciphertext="$ANSIBLE_VAULT;1.1;AES256\n6162\n")
FILE = {"path": "app.cfg", "content": VAULTED}


@pytest.mark.parametrize(
    ("option", "value", "place"),
    [
        (
            "environment",
            {"DEBUG": "no", "API_KEY": VAULTED},
            "environment.API_KEY is encrypted with Ansible Vault, and ",
        ),
        ("environment", VAULTED, "environment is encrypted"),
        ("build_environment", {"TOKEN": VAULTED}, "move it to build_secrets"),
        ("app", VAULTED, "app is encrypted"),
        ("host_header", VAULTED, "host_header is encrypted"),
        ("gunicorn", {"config": {"raw_env": ["A=b", VAULTED]}}, "gunicorn.config.raw_env[1] is encrypted"),
        ("hooks", {"migrate": ["true", ["flask", VAULTED]]}, "hooks.migrate[1][1] is encrypted"),
        ("workers", [{"name": "mail", "command": [VAULTED]}], "workers[0].command[0] is encrypted"),
        ("timers", [{"name": "mail", "command": VAULTED}], "timers[0].command is encrypted"),
        ("files", [FILE], "files 'app.cfg': content is encrypted, and the file is not secret: set secret: true"),
        ("files", [{**FILE, "secret": "no"}], "files 'app.cfg': content is encrypted"),
    ],
)
def test_an_encrypted_text_is_refused_where_it_would_be_no_secret(option: str, value: t.Any, place: str) -> None:
    (fault,) = vaulted_faults("flask_apps", [{"name": "blog"}, {"name": "shop", option: value}], {})
    assert fault.startswith("app 'shop': ")
    assert place in fault


@pytest.mark.parametrize(
    ("option", "value", "place"),
    [
        ("environment", {"API_KEY": VAULTED}, "environment.API_KEY is encrypted with Ansible Vault, and values of "),
        ("app", VAULTED, "app is encrypted with Ansible Vault, and stands in files that every user"),
        ("host_header", VAULTED, "host_header is encrypted"),
        ("extra", {"raw_env": ["A=b", VAULTED]}, "extra.raw_env[1] is encrypted"),
        ("health", {"path": VAULTED}, "health.path is encrypted"),
    ],
)
def test_a_service_of_its_own_has_the_same_rule(option: str, value: t.Any, place: str) -> None:
    wiki = {"name": "wiki", "secrets": {"KEY": VAULTED}, option: value}
    (fault,) = vaulted_faults("gunicorn_services", [{"name": "blog"}, wiki], {})
    assert fault.startswith(f"service 'wiki': {place}")


@pytest.mark.parametrize("more", [{"state": "absent"}, {"state": "rolled_back"}, {"release": "/srv/wiki/releases/a-b"}])
def test_options_that_a_service_does_not_use_may_be_encrypted(more: dict[str, str]) -> None:
    wiki = {"name": "wiki", "environment": {"KEY": VAULTED}, **more}
    assert vaulted_faults("gunicorn_services", [wiki], {}) == []


@pytest.mark.parametrize(
    "app",
    [
        {"secrets": {"KEY": VAULTED}, "build_secrets": {"KEY": VAULTED}, "deploy_key": VAULTED, "source": VAULTED},
        {"packages": [VAULTED], "index_url": VAULTED, "extra_index_url": [VAULTED]},
        {"nginx": {"basic_auth": {"users": [{"name": "alice", "password": VAULTED}]}}},
        {"files": [{**FILE, "secret": True}, {**FILE, "secret": "yes"}, {"path": "b", "content": "plain"}]},
        {"environment": {"A": "b", "C": 1, "D": None}, "hooks": {"migrate": ["true"]}},
        # Others check the types.
        {"files": "no list", "environment": 1, "gunicorn": []},
    ],
)
def test_what_is_kept_secret_may_be_encrypted(app: dict[str, t.Any]) -> None:
    assert vaulted_faults("flask_apps", [{"name": "shop", **app}], {}) == []


@pytest.mark.parametrize("apps", [None, "", {}, ["shop"], [None]])
def test_what_are_no_applications_is_left_to_those_who_check_it(apps: object) -> None:
    assert vaulted_faults("flask_apps", apps, {"flask_apps": apps}) == []


class Decrypted(str):
    """What C(!vault) is once Ansible has decrypted it."""

    __slots__ = ()


@pytest.fixture(name="hidden")
def make_hidden(monkeypatch: pytest.MonkeyPatch) -> Decrypted:
    def ciphertext(value: object, **_more: object) -> str | None:
        return "$ANSIBLE_VAULT;1.1;AES256" if isinstance(value, Decrypted) else None

    monkeypatch.setattr(VaultHelper, "get_ciphertext", ciphertext)
    return Decrypted("hunter2-hunter2")


URL = "postgresql://shop:{{ password }}@db/shop"
OPENED = "postgresql://shop:hunter2-hunter2@db/shop"


@pytest.mark.parametrize(
    ("written", "opened", "more"),
    [
        ({"environment": {"URL": URL}}, {"environment": {"URL": OPENED}}, {}),
        ({"environment": {"URL": "{{ url }}"}}, {"environment": {"URL": OPENED}}, {"url": URL}),
        (
            {"environment": "{{ everything }}"},
            {"environment": {"URL": OPENED}},
            {"everything": {"URL": "{{ url }}"}, "url": URL},
        ),
        ({"environment": "{{ {'URL': url} }}"}, {"environment": {"URL": OPENED}}, {"url": URL}),
        (
            {"hooks": {"migrate": ["true", "m {{ password | trim }}"]}},
            {"hooks": {"migrate": ["true", "m hunter2-hunter2"]}},
            {},
        ),
    ],
)
def test_a_text_that_is_composed_with_an_encrypted_one_is_refused(
    written: dict[str, t.Any], opened: dict[str, t.Any], more: dict[str, t.Any], hidden: Decrypted
) -> None:
    variables = {"password": hidden, "flask_apps": "{{ apps }}", "apps": [{"name": "shop", **written}], **more}
    (fault,) = vaulted_faults("flask_apps", [{"name": "shop", **opened}], variables)
    assert "has a text in it that is encrypted with Ansible Vault" in fault
    assert "hunter2" not in fault


def test_a_text_of_a_service_that_is_composed_with_an_encrypted_one_is_refused(hidden: Decrypted) -> None:
    variables = {"password": hidden, "gunicorn_services": [{"name": "wiki", "environment": {"URL": URL}}]}
    (fault,) = vaulted_faults("gunicorn_services", [{"name": "wiki", "environment": {"URL": OPENED}}], variables)
    assert fault.startswith("service 'wiki': environment.URL has a text in it that is encrypted with Ansible Vault")
    assert "hunter2" not in fault


def test_a_text_that_only_names_an_encrypted_one_is_not_refused(hidden: Decrypted) -> None:
    written = {"name": "shop", "environment": {"HAS": "{{ password | length }}", "PLAIN": "hunter2-hunter2"}}
    variables = {"password": hidden, "flask_apps": [written]}
    assert (
        vaulted_faults(
            "flask_apps", [{"name": "shop", "environment": {"HAS": "15", "PLAIN": "hunter2-hunter2"}}], variables
        )
        == []
    )


@pytest.mark.parametrize("apps", ["{{ [app] + [] }}", ["{{ app | combine({}) }}"]])
def test_of_an_application_that_a_template_makes_whole_values_are_known(apps: object, hidden: Decrypted) -> None:
    app = {"name": "shop", "environment": {"URL": URL, "KEY": "{{ password }}"}}
    opened = {"name": "shop", "environment": {"URL": OPENED, "KEY": hidden}}
    (fault,) = vaulted_faults("flask_apps", [opened], {"password": hidden, "app": app, "flask_apps": apps})
    assert "environment.KEY is encrypted" in fault


def test_content_of_a_file_is_looked_at_as_well(hidden: Decrypted) -> None:
    file = {"path": "a", "content": "key={{ password }}\n"}
    variables = {"password": hidden, "flask_apps": [{"name": "shop", "files": [file]}]}
    opened = {"path": "a", "content": "key=hunter2-hunter2\n"}
    (fault,) = vaulted_faults("flask_apps", [{"name": "shop", "files": [opened]}], variables)
    said = "content has a text in it that is encrypted, and the file is not secret: set secret: true"
    assert fault == f"app 'shop': files 'a': {said}"
    assert vaulted_faults("flask_apps", [{"name": "shop", "files": [{**opened, "secret": True}]}], variables) == []


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{{ db.password }}", [("db", "hunter2-hunter2")]),
        ("{{ db['password'] | trim }} {{ db }}", [("db", "hunter2-hunter2")] * 2),
        ("{{ db.values() | join }}", [("db", "hunter2-hunter2")]),
        ("{{ db[which] }}", [("db", "hunter2-hunter2")]),
        ("{{ listed[1] }}", [("listed", "hunter2-hunter2")]),
        # Only another part is used, which may have the same text in it.
        ("{{ db.user }} {{ db['user'] }} {{ deep.plain.user }}", []),
        ("{{ deep.db.password }}", [("deep", "hunter2-hunter2")]),
        ("{% for each in listed %}{{ each }}{% endfor %}", [("listed", "hunter2-hunter2")]),
        ("{{ alias }}", [("alias", "hunter2-hunter2")]),
        ("{{ around }} {{ other.db }} db {# db #} {{ hostvars }}", []),
    ],
)
def test_the_encrypted_texts_that_a_template_may_use_are_found(
    template: str, found: list[tuple[str, str]], hidden: Decrypted
) -> None:
    variables: dict[str, t.Any] = {
        "db": {"user": "shop", "password": hidden},
        "listed": ["a", hidden],
        "alias": "{{ db['password'] }}",
        "around": "{{ around }}",
        "other": {"db": "x"},
        "deep": {"plain": {"user": "shop"}, "db": "{{ db }}"},
        "hostvars": 1,
    }
    assert encrypted_in(template, variables) == found


PROGRAMS = Path(sys.executable).parent
ROLE = {"ansible.builtin.import_role": {"name": "flaskops.stack.gunicorn", "tasks_from": "service.yml"}}


@pytest.mark.parametrize(
    ("more", "task"),
    [
        ({"gunicorn_services_derived": []}, {"name": "The role alone", **ROLE}),
        ({"__stack_run": True}, {"name": "The first task of site.yml", "flaskops.stack.preflight": {"packages": []}}),
    ],
    ids=["role", "site"],
)
def test_what_ansible_has_decrypted_for_a_service_reaches_no_host(
    tmp_path: Path, more: dict[str, t.Any], task: dict[str, t.Any]
) -> None:
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(Path(__file__).parents[4] / ".ansible/collections"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_VAULT_PASSWORD_FILE": str(tmp_path / "password"),
        "ANSIBLE_NOCOLOR": "1",
    }

    def run(*command: str) -> str:
        words = [str(PROGRAMS / command[0]), *command[1:]]
        environment = {**os.environ, **settings}
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
        return done.stdout + (done.stderr if command[0] == "ansible-playbook" else "")

    def play(environment: dict[str, str], secrets: dict[str, str]) -> str:
        places = {"app": "wiki:app", "directory": "/opt/wiki", "virtualenv": "/opt/wiki/.venv"}
        wiki = {"name": "wiki", **places, "environment": environment, "secrets": secrets}
        play = {"hosts": "all", "gather_facts": False, "vars": {"gunicorn_services": [wiki], **more}, "tasks": [task]}
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        # No host is reached when the variables are wrong, and this one cannot be.
        return run("ansible-playbook", "-i", "host.invalid,", "--check", "play.yml")

    (tmp_path / "password").write_text("password")
    (tmp_path / "group_vars").mkdir()
    line = run("ansible-vault", "encrypt_string", "--name", "hidden", "hunter2-hunter2")
    (tmp_path / "group_vars" / "all.yml").write_text(line)
    answer = play({"KEY": "{{ hidden }}", "URL": "http://{{ hidden }}/"}, {})
    assert "service 'wiki': environment.KEY is encrypted with Ansible Vault, and values of environment may" in answer
    assert "service 'wiki': environment.URL has a text in it that is encrypted with Ansible Vault" in answer
    assert "hunter2" not in answer
    assert "UNREACHABLE" not in answer
    assert "UNREACHABLE" in play({"KEY": "plain"}, {"KEY": "{{ hidden }}", "URL": "http://{{ hidden }}/"})
