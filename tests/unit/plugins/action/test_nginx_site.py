# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.plugins.action import ActionBase
from ansible_collections.flaskops.stack.plugins.action import nginx_site
from ansible_collections.flaskops.stack.plugins.action.nginx_site import joined

Args = dict[str, t.Any]

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Sites
      flaskops.stack.nginx_site:
        {{ARGUMENTS}}
      check_mode: true
      diff: true
"""
MODULE_ARGUMENTS = {
    "binary": "/nonexistent/nginx",
    "config": "{tmp}/nginx.conf",
    "directory_enabled": "{tmp}/enabled",
    "directory_available": "{tmp}/available",
}


def played(tmp_path: Path, **arguments: object) -> tuple[int, str]:
    places = {key: value.format(tmp=tmp_path) for key, value in MODULE_ARGUMENTS.items()}
    text = json.dumps({**places, **arguments})
    (tmp_path / "play.yml").write_text(
        PLAY.replace("{{ARGUMENTS}}", text).replace("nginx_site:\n        {", "nginx_site: {")
    )
    repository = Path(__file__).parents[4]
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(repository / ".ansible/collections"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_NOCOLOR": "1",
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local"]
    command += [
        "-e",
        f"ansible_python_interpreter={sys.executable}",
        "-e",
        "domain=a.example.com",
        str(tmp_path / "play.yml"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings}, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_variable_that_is_null_stands_for_one_that_is_not_set(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("events {}")
    code, said = played(tmp_path, sites=[], purge=None, tolerate=None, metrics=None, metrics_directory=None)
    assert code == 0, said


def test_certificates_of_a_ca_are_part_of_the_result() -> None:
    entry = {"name": "shop", "path": "/p", "changed": False, "until_issued": True, "state": "self_signed"}
    other = {**entry, "name": "blog", "until_issued": False}
    published = {"changed": False, "in_place": True, "certificates": [entry, other], "warnings": ["a"], "diff": []}
    told = {"name": "shop", "state": "issued", "not_after": "2027-01-01", "error": ""}
    obtained = {"changed": True, "certificates": [told], "warnings": ["b"], "diff": [{"after": "x"}], "rc": 1}
    assert joined(published, obtained) == {
        "changed": True,
        "in_place": False,
        "certificates": [{**entry, **told}, other],
        "warnings": ["a", "b"],
        "diff": [{"after": "x"}],
    }
    failed = joined(published, {"failed": True, "msg": "the CA refuses", "changed": False})
    assert (failed["failed"], failed["msg"], failed["in_place"]) == (True, "the CA refuses", True)


class Publish(nginx_site.ActionModule):
    """The plugin, with modules that answer as the test has it."""

    def __init__(self, sites: list[Args], check: bool = False) -> None:
        self._task = SimpleNamespace(
            args={"sites": sites, "acme": {"email": "a@b.org"}}, check_mode=check, no_log=False
        )

    def _rendered(self, item: t.Mapping[str, t.Any], _variables: Args) -> Args:
        return dict(item)


@pytest.mark.parametrize(
    ("shop", "blog", "check", "published", "said"),
    [
        ("issued", "kept", False, [["plain", "plain", "c"], ["tls", "tls", "c"]], ""),
        ("issued", "failed", False, [["plain", "plain", "c"], ["tls", "plain", "c"]], "serving blog until then"),
        ("failed", "failed", False, [["plain", "plain", "c"]], "serving shop, blog until then"),
        ("stand_in", "stand_in", True, [["plain", "plain", "c"]], ""),
    ],
)
def test_a_site_leads_to_https_when_its_certificate_has_come(
    monkeypatch: pytest.MonkeyPatch, shop: str, blog: str, check: bool, published: list[list[str]], said: str
) -> None:
    sites = [{"name": name, "content": "plain", "when_issued": "tls"} for name in ("shop", "blog")]
    asked: list[list[str]] = []

    def execute(_action: object, module: str, args: Args, _variables: Args) -> Args:
        if module.endswith("nginx_site"):
            assert all("when_issued" not in site for site in args["sites"]) and "acme" not in args
            asked.append([site["content"] for site in args["sites"]])
            found = [{"name": site["name"], "until_issued": True} for site in args["sites"]]
            return {"changed": True, "in_place": False, "certificates": found, "warnings": [f"w{len(asked)}"]}
        states = [{"name": "shop", "state": shop}, {"name": "blog", "state": blog}]
        error = {"failed": True, "msg": "the CA refuses"} if "failed" in (shop, blog) else {}
        return {"changed": False, "certificates": states, **error}

    monkeypatch.setattr(ActionBase, "run", lambda *_args, **_kwargs: {})
    monkeypatch.setattr(nginx_site, "execute", execute)
    result = Publish([*sites, {"name": "other", "content": "c"}], check).run(task_vars={})
    assert asked == published
    assert result["warnings"] == [f"w{number}" for number in range(1, len(published) + 1)]
    assert [each["state"] for each in result["certificates"][:2]] == [shop, blog]
    assert bool(result.get("failed")) is bool(said) and said in result.get("msg", "")


KEPT = {"name": "shop", "state": "kept", "error": "the CA refuses new.shop.org"}


@pytest.mark.parametrize(
    "obtained",
    [
        {"changed": False, "certificates": [KEPT], "warnings": ["browsers refuse it for new.shop.org"]},
        {"changed": False, "failed": True, "msg": "another run holds the lock"},
    ],
)
def test_a_site_stays_with_plain_http_while_its_certificate_is_not_for_all_of_its_names(
    monkeypatch: pytest.MonkeyPatch, obtained: Args
) -> None:
    """One from an earlier time stays when the CA refuses; visitors of a further name would be led to it."""
    asked: list[list[str]] = []

    def execute(_action: object, module: str, args: Args, _variables: Args) -> Args:
        if module.endswith("nginx_certificate"):
            return obtained
        asked.append([site["content"] for site in args["sites"]])
        return {"changed": True, "certificates": [{"name": "shop", "until_issued": True, "state": "issued"}]}

    monkeypatch.setattr(ActionBase, "run", lambda *_args, **_kwargs: {})
    monkeypatch.setattr(nginx_site, "execute", execute)
    result = Publish([{"name": "shop", "content": "plain", "when_issued": "tls"}]).run(task_vars={})
    assert (asked, result["warnings"]) == ([["plain"]], obtained.get("warnings", []))
    assert result.get("failed", False) is ("Plain HTTP goes on serving shop" in result.get("msg", ""))


def test_a_site_that_is_refused_in_the_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(
        [
            {"changed": True, "certificates": [{"name": "shop"}, {"name": "blog"}]},
            {"certificates": [{"name": "shop", "state": "issued"}], "failed": True, "msg": "blog: the CA refuses"},
            {"failed": True, "msg": "nginx refuses it"},
        ]
    )
    monkeypatch.setattr(ActionBase, "run", lambda *_args, **_kwargs: {})
    monkeypatch.setattr(nginx_site, "execute", lambda *_args: next(answers))
    result = Publish([{"name": "shop", "content": "plain", "when_issued": "tls"}]).run(task_vars={})
    assert result["failed"] and result["msg"] == "blog: the CA refuses\nnginx refuses it"


@pytest.fixture(name="templates")
def make_templates(tmp_path: Path) -> Path:
    directory = tmp_path / "templates"
    directory.mkdir()
    os.mkfifo(directory / "fifo.j2")
    (directory / "part.j2").write_text("# part of {{ domain }}\n\n")
    text = ["# {{ ansible_managed }} {{ template_path }}", "{% include 'part.j2' %}", "{% if true %}"]
    (directory / "site.j2").write_text("\n".join([*text, "server_name {{ domain }};", "{% endif %}", ""]))
    return tmp_path


def test_templates_of_sites_and_files_are_rendered_on_the_controller(templates: Path) -> None:
    files = [{"path": f"{templates}/extra.conf", "template": "part.j2"}]
    code, said = played(templates, sites=[{"name": "a", "template": "site.j2"}], files=files)
    assert code == 0, said
    wanted = ["+# Ansible managed site.j2", "+# part of a.example.com", "+server_name a.example.com;"]
    assert [line for line in said.splitlines() if line.startswith("+") and line[1:2] != "+" and line != "+"] == [
        *wanted,
        wanted[1],
    ]


def test_a_single_site_may_have_a_template(templates: Path) -> None:
    code, said = played(templates, name="a", template="site.j2")
    assert code == 0, said
    assert "+server_name a.example.com;" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"template": "none.j2"}, "template 'none.j2' cannot be read"),
        ({"template": "fifo.j2"}, "is a FIFO (named pipe), not a file: name a regular file"),
        ({"template": "site.j2", "content": "x"}, "template 'site.j2' excludes content and src"),
    ],
)
def test_what_cannot_be_rendered_is_refused(templates: Path, arguments: dict[str, str], words: str) -> None:
    code, said = played(templates, name="a", **arguments)
    assert code != 0
    assert words in said
