# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks: what can be said, which program is meant, what is told of one that fails."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import identify, migration_key, parse_app
from ansible_collections.flaskops.stack.plugins.module_utils._build.hook_programs import (
    check_hook_programs,
    find_program,
)
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import migrate as _migrate
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.migrate import (
    is_due,
    is_due_in_fleet,
    note_migration,
)
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._input.hooks import (
    HookError,
    Hooks,
    explain_hook_failure,
    hook_environment,
    parse_hooks,
)
from ansible_collections.flaskops.stack.plugins.module_utils._input.processes import command_words
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._release import migration as _migration
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest

RELEASE = "3f2a91c-1b9e02d4"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("flask db upgrade", ("flask", "db", "upgrade")),
        ("sh -c 'a && b'", ("sh", "-c", "a && b")),
        (["flask", "say", "a b", "$HOME"], ("flask", "say", "a b", "$HOME")),
        (["sleep", 1], ("sleep", "1")),
        (r"find . -name '*;' -exec rm {} \;", ("find", ".", "-name", "*;", "-exec", "rm", "{}", ";")),
        ('flask sql \'select 1; select "2;\' "|"', ("flask", "sql", 'select 1; select "2;', "|")),
        ("curl http://127.0.0.1/?a=1&b=2;c", ("curl", "http://127.0.0.1/?a=1&b=2;c")),
        ("pip check flask >= 3 werkzeug>3 >=1", ("pip", "check", "flask", ">=", "3", "werkzeug>3", ">=1")),
    ],
)
def test_a_command_is_split_into_words_without_a_shell(command: object, words: tuple[str, ...]) -> None:
    assert parse_hooks({"migrate": [command]}).migrate == (words,)


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("flask db upgrade; flask seed", "upgrade;"),
        ("flask db upgrade &&flask seed", "&&flask"),
        ("npm ci&& npm run build", "ci&&"),
        ("flask export |gzip", "|gzip"),
        ("flask seed >/dev/null", ">/dev/null"),
        ("flask seed 2>>seed.log", "2>>seed.log"),
        ("flask seed &>seed.log", "&>seed.log"),
        ("flask serve&", "serve&"),
    ],
)
def test_a_command_that_needs_a_shell_is_refused_also_without_blanks(command: str, word: str) -> None:
    says = re.escape(f"needs a shell for '{word}'")
    with pytest.raises(InputError, match=says):
        parse_hooks({"migrate": [command]})
    with pytest.raises(InputError, match=says):
        command_words("workers 'mail':", command)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ([], "dictionary"),
        ({"migrations": []}, "no 'migrations': use build, migrate"),
        ({"build": {"run": "npm run build"}}, "hooks.build must be a list, not a dictionary with the keys run: write"),
        ({"build": ["npm ci && npm run build"]}, "shell for '&&'.*'sh', '-c'"),
        ({"build": ["echo 'a"]}, "close its quotes"),
        ({"build": [""]}, "empty command"),
        ({"build": [[]]}, "empty command"),
        ({"build": [3]}, "'3' must be a command"),
        ({"build": [["a", "b\0"]]}, "NUL"),
        (
            {"build": [["a", None]]},
            r"hooks.build: each word of a command must be a text, not nothing \(null\): write it",
        ),
        ({"migrate": [["a", {"b": 1}]]}, "must be a text, not a dictionary with the keys b"),
        ({"rollback": {"down": [["a", True]]}}, "hooks.rollback.down: each word of a command must be a text, not true"),
        ({"rollback": ["flask db downgrade"]}, "hooks.rollback .* must be a dictionary of names"),
        ({"rollback": {"migrate_down": {"a": 1}}}, "hooks.rollback.migrate_down must be a list"),
        ({"rollback": {"migrate_down": []}}, "hooks.rollback.migrate_down has no command"),
        ({"rollback": {"Down!": ["a"]}}, "hooks.rollback 'Down!' must be a name"),
        ({"timeout": 0}, "hooks.timeout .* 1 or more, not 0"),
        ({"timeout": "soon"}, 'hooks.timeout .*, not "soon"'),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_way_out(raw: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_hooks(raw)


def test_what_the_manifest_keeps_is_what_was_said() -> None:
    hooks = parse_hooks({"migrate": ["flask db upgrade"], "timeout": 5, "migrate_each_host": True})
    assert parse_hooks(hooks.to_json()) == hooks
    assert Hooks(timeout=5).to_json() == {}


def test_hooks_of_a_rollback_have_names_and_nothing_depends_on_them_where_there_are_none() -> None:
    hooks = parse_hooks({"rollback": {"migrate_down": ["flask db downgrade 3f2a"]}})
    assert hooks.commands("rollback.migrate_down") == (("flask", "db", "downgrade", "3f2a"),)
    assert parse_hooks(hooks.to_json()) == hooks
    assert "rollback" not in parse_hooks({"build": ["make"]}).to_json()


@pytest.fixture
def release(tmp_path: Path) -> str:
    for name in ("venv/bin/flask", "app/bin/assets"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text("")
        path.chmod(0o755)
    (tmp_path / "app/notes").write_text("")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("first", "found"),
    [
        ("flask", "{}/venv/bin/flask"),
        ("./bin/assets", "{}/app/./bin/assets"),
        ("bin/assets", "{}/app/bin/assets"),
        ("/bin/sh", "/bin/sh"),
    ],
)
def test_a_program_is_one_of_the_virtualenv_of_the_source_or_of_the_host(release: str, first: str, found: str) -> None:
    assert find_program("build", (first,), release) == found.format(release)


@pytest.mark.parametrize(
    ("first", "says"),
    [
        ("FLASK_DEBUG=1", "'FLASK_DEBUG=1 x' cannot be run: it begins with a variable, .*write 'env' before it"),
        ("SHOP=/srv/shop", "begins with a variable"),
        ("flaks", "hook migrate 'flaks x'.*no program 'flaks' in the virtualenv.*add the package.*system_packages"),
        ("./bin/none", "<release>/app/./bin/none does not exist; correct hooks.migrate"),
        ("./notes", "is not executable"),
        ("/no/such/program", "/no/such/program does not exist"),
    ],
)
def test_a_program_that_does_not_exist_is_named_with_its_hook_and_the_way_out(
    release: str, first: str, says: str
) -> None:
    with pytest.raises(HookError, match=says):
        check_hook_programs(parse_hooks({"migrate": [[first, "x"]]}), release)


def test_a_hook_sees_which_release_it_is_for_but_the_application_decides_for_itself() -> None:
    assert hook_environment(f"/srv/shop/releases/{RELEASE}", "shop:app", {"FLASK_APP"}, "90b1c7e-77aa01f2") == {
        "FLASKOPS_RELEASE": RELEASE,
        "FLASKOPS_PREVIOUS": "90b1c7e-77aa01f2",
    }


def test_of_a_long_output_the_end_is_told() -> None:
    said = explain_hook_failure("build", ("make", "all"), "failed", "\n".join(map(str, range(100))))
    assert said.startswith("hook build 'make all' failed. It said:\n70\n")
    assert said.endswith("\n99")


ITEM = {"name": "shop", "source": "./shop", "app": "shop:app"}


def app_with(**changes: t.Any) -> t.Any:
    return parse_app({**ITEM, **changes}, "/srv")


def identity(**changes: t.Any) -> str:
    return identify(app_with(**changes), "directory", "a" * 64, "3.13.5")


def test_hooks_are_part_of_the_release_and_none_are_nothing() -> None:
    assert identity() == identity(hooks={}) == identity(hooks={"timeout": 5})
    ids = {identity(), identity(hooks={"build": ["a"]}), identity(hooks={"migrate": ["a"]})}
    assert len(ids) == 3


def test_hosts_with_one_database_know_the_migration_by_one_name_also_with_other_settings() -> None:
    hooks = {"migrate": ["flask db upgrade"]}
    first = app_with(hooks=hooks, secrets={"URL": "one"})
    other = app_with(hooks=hooks, secrets={"URL": "one"}, gunicorn={"workers": 9}, python="3.11")
    elsewhere = app_with(hooks=hooks, secrets={"URL": "two"})
    assert migration_key(first, "r") == migration_key(other, "r")
    assert migration_key(first, "r") not in (migration_key(elsewhere, "r"), migration_key(first, "s"))


def manifest(key: str, **hooks: object) -> Manifest:
    source = {"type": "git", "location": "", "version": "", "revision": ""}
    extra = {"hooks": {"migrate": [["flask", "migrate"]], **hooks}, "migration": key}
    return Manifest("shop", RELEASE, "u", "g", source, "", "a:b", Settings(), extra=extra)


def test_a_migration_is_due_until_it_is_known_to_have_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_migration, "STATE", str(tmp_path / "lib"))
    layout = Layout(str(tmp_path), "shop")
    assert is_due_in_fleet(layout, manifest("one"))
    note_migration(layout, manifest("one"))
    assert not is_due(layout, manifest("one"))
    assert is_due(layout, manifest("two"))
    _migration.forget_migration("shop")
    assert is_due(layout, manifest("one"))


def test_a_host_with_a_database_of_its_own_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_migration, "STATE", str(tmp_path / "lib"))
    layout, own = Layout(str(tmp_path), "shop"), manifest("one", migrate_each_host=True)
    assert is_due(layout, own)
    assert not is_due_in_fleet(layout, own)


def test_the_release_that_serves_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_migrate, "current_id", lambda _layout: RELEASE)
    assert not is_due(Layout(str(tmp_path), "shop"), manifest("one"))
