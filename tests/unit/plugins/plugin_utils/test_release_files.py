# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of applications are read and rendered on the controller, before anything changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.plugin_utils._release_files import with_contents

PROGRAMS = Path(sys.executable).parent
SHOP: dict[str, t.Any] = {"name": "shop", "source": "flask==3.1", "app": "shop:app"}


def test_applications_without_files_are_left_as_they_are() -> None:
    action: t.Any = None
    assert with_contents(action, [SHOP], {}) == ([SHOP], [])


@pytest.fixture(name="project")
def make_project(tmp_path: Path) -> Path:
    for name, text in (
        ("templates/app.cfg.j2", "{% include 'part.j2' %}\nhost = {{ inventory_hostname }}\n"),
        ("templates/part.j2", "greeting = {{ greeting }}"),
        ("templates/undefined.j2", "a\nb = {{ nowhere }}\n"),
        ("templates/broken.j2", "a\n{% if x %}\n"),
        ("files/app.bin", "plain\n"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def played(project: Path, files: list[dict[str, t.Any]], words: t.Sequence[str] = (), **more: t.Any) -> str:
    """Return what the first task of the playbook says of an application with these files."""
    variables = {"flask_apps": [{**SHOP, "files": files, **more}], "greeting": "hello", "__stack_run": True}
    task = {"name": "Look", "flaskops.stack.preflight": {"packages": []}, "register": "found"}
    play = [{"hosts": "all", "gather_facts": False, "vars": variables, "tasks": [task]}]
    (project / "play.yml").write_text(json.dumps(play))
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(Path(__file__).parents[4] / ".ansible/collections"),
        "ANSIBLE_LOCAL_TEMP": str(project / "local"),
        "ANSIBLE_NOCOLOR": "1",
    }
    # No host is reached when the variables are wrong, and this one cannot be.
    command = [str(PROGRAMS / "ansible-playbook"), "-i", "host.invalid,", "--check", "play.yml", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=project, env={**os.environ, **settings}, check=False
    )
    return done.stdout + done.stderr


def test_templates_with_includes_and_files_are_found_beside_the_playbook(project: Path) -> None:
    files = [{"path": "app.cfg", "template": "app.cfg.j2"}, {"path": "app.bin", "src": "app.bin"}]
    assert "UNREACHABLE" in played(project, files)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({"template": "undefined.j2"}, "undefined.j2, line 2: 'nowhere' is undefined: set it for this host"),
        ({"template": "broken.j2"}, "broken.j2, line 2: Syntax error in template"),
        ({"template": "none.j2"}, "files 'app.cfg': template 'none.j2' cannot be read"),
        ({"src": "none"}, "files 'app.cfg': src 'none' cannot be read"),
    ],
)
def test_what_cannot_be_read_reaches_no_host(project: Path, file: dict[str, t.Any], said: str) -> None:
    answer = played(project, [{"path": "app.cfg", **file}])
    assert said in answer
    assert "app 'shop': files 'app.cfg'" in answer
    assert "UNREACHABLE" not in answer


def test_what_is_no_file_is_neither_waited_for_nor_rendered(project: Path) -> None:
    os.mkfifo(project / "templates" / "fifo.j2")
    (project / "templates" / "zero.j2").symlink_to("/dev/zero")
    files = [
        {"path": "one", "template": "fifo.j2"},
        {"path": "two", "template": "zero.j2"},
        {"path": "three", "src": "files"},
    ]
    answer = played(project, files)
    assert f"files 'one': template 'fifo.j2' cannot be read: {project}/templates/fifo.j2 is a FIFO" in answer
    assert f"files 'two': template 'zero.j2' cannot be read: {project}/templates/zero.j2 is a device" in answer
    assert f"files 'three': src 'files' cannot be read: {project}/files is a directory, not a file" in answer
    assert "UNREACHABLE" not in answer


def test_what_is_rendered_is_looked_at_for_secrets(project: Path) -> None:
    answer = played(project, [{"path": "app.cfg", "template": "app.cfg.j2"}], secrets={"KEY": "hello-hello"})
    assert "UNREACHABLE" in answer
    answer = played(project, [{"path": "app.cfg", "template": "app.cfg.j2"}], secrets={"KEY": "greeting = hello"})
    assert "has the value of secrets.KEY in it" in answer
    assert "UNREACHABLE" not in answer


@pytest.fixture(name="vault")
def make_vault(project: Path) -> list[str]:
    """Encrypt what the project has, and return the words that let Ansible read it."""
    (project / "password").write_text("password")
    words = ["--vault-password-file", "password"]
    names = ["templates/part.j2", "files/app.bin"]
    subprocess.run([str(PROGRAMS / "ansible-vault"), "encrypt", *words, *names], cwd=project, check=True)
    return words


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ({"src": "app.bin"}, "src 'app.bin'"),
        ({"template": "part.j2"}, "template 'part.j2'"),
    ],
)
def test_what_vault_has_encrypted_is_for_the_application_alone(
    project: Path, vault: list[str], file: dict[str, t.Any], what: str
) -> None:
    said = f"app 'shop': files 'app.cfg': {what} is encrypted, and the file is not secret: set secret: true"
    assert said in played(project, [{"path": "app.cfg", **file}], vault)
    assert said in played(project, [{"path": "app.cfg", **file, "secret": "no"}], vault)
    assert "UNREACHABLE" in played(project, [{"path": "app.cfg", **file, "secret": True}], vault)


def encrypted(project: Path, vault: list[str], name: str, value: str) -> str:
    """Return the line of YAML that C(ansible-vault encrypt_string) makes of a variable."""
    command = [str(PROGRAMS / "ansible-vault"), "encrypt_string", *vault, "--name", name, value]
    return subprocess.run(command, cwd=project, check=True, capture_output=True, text=True).stdout


def test_an_encrypted_value_is_for_the_application_alone(project: Path, vault: list[str]) -> None:
    (project / "group_vars").mkdir()
    (project / "group_vars" / "all.yml").write_text(encrypted(project, vault, "hidden", "hunter2-hunter2"))
    files = [{"path": "app.cfg", "content": "{{ hidden }}", "secret": False}]
    # As a whole value, also through another variable.
    environment = "{{ {'A': 'b'} | combine({'KEY': hidden}) }}"
    answer = played(project, files, vault, environment=environment)
    assert "app 'shop': environment.KEY is encrypted with Ansible Vault, and values of environment may" in answer
    assert "app 'shop': files 'app.cfg': content is encrypted, and the file is not secret: set secret: true" in answer
    assert "hunter2" not in answer
    assert "UNREACHABLE" not in answer
    (project / "templates" / "open.j2").write_text("url = http://{{ hidden }}/\n")
    answer = played(project, [{"path": "app.cfg", "template": "open.j2", "secret": False}], vault)
    assert "template 'open.j2' has a text of variable 'hidden' in it that is encrypted, and the file is not" in answer
    answer = played(project, [], vault, environment={"URL": "http://{{ hidden }}/"})
    assert "environment.URL has a text in it that is encrypted with Ansible Vault, and values" in answer
    assert "UNREACHABLE" not in answer
    secret = [{**files[0], "secret": True}, {"path": "other.cfg", "template": "open.j2", "secret": True}]
    assert "UNREACHABLE" in played(project, secret, vault, secrets={"KEY": "{{ hidden }}"})
