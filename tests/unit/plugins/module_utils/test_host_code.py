# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code of modules that stays on the host."""

from __future__ import annotations

import gc
import os
import re
import shutil
import subprocess
import sys
import time
import typing as t
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible_collections.flaskops.stack.plugins.doc_fragments._host_code import ModuleDocFragment
from ansible_collections.flaskops.stack.plugins.module_utils import _host_code
from ansible_collections.flaskops.stack.plugins.module_utils._host_code import (
    CODE_SPEC,
    PACKAGE,
    HostCodeError,
    digest,
    find_code,
    find_system_programs,
    load,
    read_code,
    with_remedy,
    work,
)
from ansible_collections.flaskops.stack.plugins.plugin_utils._host_code import execute

CODE = {
    "__init__.py": b"",
    "_task.py": (
        b"from ._more import word\n\n"
        b"def run(params, check, diff):\n    return {word: params, 'check': check, 'diff': diff}\n"
    ),
    "_more.py": b"word = 'said'\n",
}
NAME = digest(CODE)
SOURCE = str(Path(_host_code.__file__).parent)


def test_what_the_controller_says_of_the_code_is_documented() -> None:
    options = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert all(option.pop("description") for option in options.values())
    assert options == CODE_SPEC


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_host_code, "ROOT", str(tmp_path / "lib" / "code"))
    return tmp_path / "lib" / "code"


def pack(path: Path, files: t.Mapping[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{PACKAGE}/{name}", content)
    return str(path)


@pytest.fixture
def archive(tmp_path: Path) -> str:
    return pack(tmp_path / "code.zip", CODE)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import nothing that another test has imported under the same name."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        monkeypatch.delitem(sys.modules, name)


def test_the_name_tells_of_all_contents_and_of_nothing_else() -> None:
    assert digest(dict(reversed(CODE.items()))) == NAME
    assert digest({**CODE, "_more.py": b"word = 'else'\n"}) != NAME
    assert digest({"a": b"b 1\nc"}) != digest({"a": b"", "b": b"c"})


def test_it_is_asked_for_once(root: Path, archive: str) -> None:
    assert find_code(NAME) == ""
    path = find_code(NAME, archive)
    assert path == str(root / NAME)
    os.unlink(archive)
    assert find_code(NAME) == path
    assert os.listdir(root) == [NAME]
    assert oct(os.stat(path).st_mode)[-3:] == "755"


def test_what_another_run_removes_meanwhile_is_asked_for_again(
    root: Path, archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = find_code(NAME, archive)
    os.utime(path, (1, 1))
    is_kept = _host_code.is_kept

    def look(place: str) -> bool:
        found = is_kept(place)
        shutil.rmtree(root / NAME)
        return found

    monkeypatch.setattr(_host_code, "is_kept", look)
    assert find_code(NAME) == ""


def test_check_mode_does_not_note_that_it_is_used(archive: str, root: Path) -> None:
    path = find_code(NAME, archive)
    os.utime(path, (1, 1))
    assert find_code(NAME, keep=False) == path == str(root / NAME)
    assert os.stat(path).st_mtime == 1


@pytest.mark.usefixtures("root", "fresh")
def test_it_runs_from_where_it_stays(archive: str) -> None:
    assert load(find_code(NAME, archive), "_task")({"a": 1}, True, False) == {
        "said": {"a": 1},
        "check": True,
        "diff": False,
    }


@pytest.mark.usefixtures("fresh")
def test_check_mode_leaves_the_host_as_it_is(root: Path, archive: str) -> None:
    path = find_code(NAME, archive, keep=False)
    assert load(path, "_task")({}, True, False)["check"] is True
    assert not root.exists()


def test_a_disk_on_which_it_cannot_stay_keeps_nobody_from_working(
    root: Path, archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_words: object, **_more: object) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_host_code, "_unpack", full)
    assert find_code(NAME, archive) == archive
    assert os.listdir(root) == []


class EndedError(Exception):
    """The module has ended with a result."""


class Module:
    """Ansible's module, whose results are raised."""

    check_mode = _diff = False

    def __init__(self, archive: str = "") -> None:
        self.params = {"code": NAME, "code_archive": archive}

    def exit_json(self, **result: t.Any) -> t.NoReturn:
        raise EndedError(result)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("damage", ["remove", "empty"])
@pytest.mark.parametrize("name", ["_task.py", "_more.py"])
def test_damaged_code_is_asked_for_and_replaced(root: Path, archive: str, name: str, damage: str) -> None:
    file = Path(find_code(NAME, archive), PACKAGE, name)
    file.unlink() if damage == "remove" else file.write_bytes(b"")
    with pytest.raises(EndedError) as ended:
        work(t.cast(t.Any, Module()), "_task")
    assert ended.value.args == ({"changed": False, "code_is_missing": True},)
    assert find_code(NAME, archive, keep=False) == archive
    assert find_code(NAME, archive) == str(root / NAME)
    assert file.read_bytes() == CODE[name]
    assert os.listdir(root) == [NAME]


def test_whole_code_is_not_replaced_while_others_may_use_it(archive: str, root: Path) -> None:
    before = os.stat(find_code(NAME, archive)).st_ino
    assert find_code(NAME, archive) == str(root / NAME)
    assert os.stat(root / NAME).st_ino == before


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_what_others_could_have_written_is_not_run(root: Path, archive: str, mode: int) -> None:
    path = find_code(NAME, archive)
    os.chmod(path, mode)
    assert find_code(NAME) == ""
    # Nor is it replaced: it may have been made so on purpose.
    assert find_code(NAME, archive) == archive
    assert [name for name in os.listdir(root) if name != NAME] == []


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("/usr/local/bin:/usr/bin:/bin", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"),
        ("/opt/bin:/usr/sbin:/usr/bin", "/opt/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/sbin"),
        ("/usr/local/sbin:/usr/sbin:/sbin", "/usr/local/sbin:/usr/sbin:/sbin"),
        # What a program without this variable looks through.
        ("", f"{os.defpath}:/usr/local/sbin:/usr/sbin:/sbin"),
    ],
)
def test_programs_of_the_system_are_found_whatever_path_su_and_sudo_give(
    given: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", given)
    find_system_programs()
    assert os.environ["PATH"] == found


def test_an_error_of_a_task_without_the_rights_of_root_says_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    error = with_remedy("shop: [Errno 13] Permission denied: '/run/flaskops/_locks/shop.lock'")
    assert "set 'become: true' on the play, and no become_user but root (or connect as" in error.splitlines()[1]
    assert with_remedy(error) == error
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert with_remedy("the disk is full") == "the disk is full"


def test_code_without_a_name_is_refused() -> None:
    with pytest.raises(HostCodeError, match="run it as a task of Ansible"):
        find_code("")


def test_other_code_than_that_which_was_meant_is_refused(root: Path, tmp_path: Path) -> None:
    other = pack(tmp_path / "other.zip", {**CODE, "_more.py": b""})
    with pytest.raises(HostCodeError, match=f"is not the code {NAME}"):
        find_code(NAME, other)
    Path(other).write_bytes(Path(other).read_bytes()[:-30])
    with pytest.raises(HostCodeError, match="did not arrive whole"):
        find_code(NAME, other)
    assert os.listdir(root) == []


def test_another_run_may_have_been_faster(root: Path, archive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = _host_code._unpack

    def slow(name: str, source: str, package: str) -> None:
        real(name, source, package)
        if not (root / NAME).exists():
            shutil.copytree(os.path.dirname(package), root / NAME)
            os.chmod(root / NAME, 0o755)

    monkeypatch.setattr(_host_code, "_unpack", slow)
    assert find_code(NAME, archive) == str(root / NAME)
    assert os.listdir(root) == [NAME]


def test_what_no_run_has_used_for_long_goes_when_something_comes(root: Path, archive: str, tmp_path: Path) -> None:
    long_ago = time.time() - 8 * 24 * 3600
    for name in ("unused", ".flaskops-killed", "used"):
        (root / name).mkdir(parents=True)
        os.utime(root / name, (long_ago, long_ago))
    find_code("used")
    find_code(NAME, archive)
    assert sorted(os.listdir(root)) == sorted(["used", NAME])


def test_what_is_being_removed_is_never_taken_for_whole(
    root: Path, archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Path(find_code(NAME, archive))
    long_ago = time.time() - 8 * 24 * 3600
    os.utime(old, (long_ago, long_ago))

    def killed(path: str) -> t.NoReturn:
        (Path(path) / PACKAGE / "_task.py").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    (root / "used").mkdir()
    with pytest.raises(KeyboardInterrupt):
        find_code("used")
    monkeypatch.undo()
    monkeypatch.setattr(_host_code, "ROOT", str(root))
    assert find_code(NAME) == ""
    assert Path(find_code(NAME, archive), PACKAGE, "_task.py").exists()


@pytest.mark.parametrize(("age", "left"), [(3600, False), (60, True)])
def test_what_a_killed_run_has_left_goes_when_nobody_can_be_at_work_with_it(
    root: Path, archive: str, age: int, left: bool
) -> None:
    find_code(NAME, archive)
    abandoned = root / ".flaskops-killed"
    abandoned.mkdir()
    os.utime(abandoned, (time.time() - age, time.time() - age))
    find_code(NAME, keep=False)
    assert abandoned.exists()
    find_code(NAME)
    assert abandoned.exists() is left


def test_all_that_the_modules_need_is_in_it(tmp_path: Path) -> None:
    """It runs on hosts that have Python and nothing of Ansible's."""
    code = pack(tmp_path / "code.zip", read_code(SOURCE))
    for task in ("flask_release", "gunicorn_service", "nginx_site", "preflight"):
        program = f"import sys; sys.path.insert(0, {code!r}); import {PACKAGE}._entrypoints.{task} as task; task.run"
        subprocess.run([sys.executable, "-I", "-c", program], check=True)


@pytest.mark.parametrize(
    ("task", "late"),
    [
        (
            "flask_release",
            {"http.client", "difflib", f"{PACKAGE}._deploy.deployer", f"{PACKAGE}._site.model"},
        ),
        # What asks applications through a site that has changed.
        ("nginx_site", {"http.client", "ssl", "ipaddress", f"{PACKAGE}._release.proxy_probe"}),
        ("preflight", {"http.client", "ssl", "ipaddress"}),
    ],
)
def test_what_only_some_runs_need_is_not_read_before(tmp_path: Path, task: str, late: set[str]) -> None:
    code = pack(tmp_path / "code.zip", read_code(SOURCE))
    program = f"import sys; sys.path.insert(0, {code!r}); import {PACKAGE}._entrypoints.{task}; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-I", "-c", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert late & set(said.split()) == set()


@pytest.mark.parametrize("name", ["flask_release", "gunicorn_service", "nginx_site", "preflight"])
def test_ansible_sends_little_more_than_the_interface(name: str) -> None:
    """The host compiles anew all that comes with it, in each run."""
    utils = Path(_host_code.__file__).parent
    relative = re.compile(r"^\s*from (?:\.\.module_utils\.|\.)(\w[\w.]*) import", re.MULTILINE)
    wanted = relative.findall((utils.parent / "modules" / f"{name}.py").read_text())
    texts = [(utils / f"{used.replace('.', '/')}.py").read_text() for used in wanted]
    assert [relative.findall(text) for text in texts] == [[]] * len(texts)
    assert sum(map(len, texts)) < 12_000


class Action:
    """An action plugin whose host lacks the code until it is sent."""

    def __init__(self) -> None:
        self.has: set[str] = set()
        self.calls: list[dict[str, t.Any]] = []
        self.tmpdir: str | None = None
        self._task = SimpleNamespace(async_val=0, delegate_to=None, environment=None)
        self._connection = self
        self._shell = self

    def join_path(self, *parts: str) -> str:
        return "/".join(parts)

    def _is_pipelining_enabled(self, style: str) -> bool:
        assert style == "new"
        return False

    def _execute_module(self, _name: str, args: dict[str, t.Any], task_vars: object) -> dict[str, t.Any]:
        assert task_vars is None
        self.calls.append(args)
        if args["code"] in self.has or args.get("code_archive"):
            self.has.add(args["code"])
            return {"changed": True}
        return {"changed": False, "code_is_missing": True}

    def _make_tmp_path(self) -> str:
        # Ansible removes the last one that was made.
        assert self.tmpdir is None
        self.tmpdir = "/remote"
        return self.tmpdir

    def _transfer_file(self, local: str, remote: str) -> None:
        with zipfile.ZipFile(local) as archive:
            names = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        assert (digest(names), remote) == (self.calls[0]["code"], "/remote/code.zip")

    def _fixup_perms2(self, paths: t.Sequence[str]) -> None:
        assert tuple(paths) == ("/remote", "/remote/code.zip")


def test_nobody_looks_through_all_of_ansible_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    monkeypatch.setattr(gc, "freeze", lambda: steps.append("freeze"))
    action: t.Any = Action()
    action.has.add(digest(read_code(SOURCE)))

    def executed(*_args: object, **_more: object) -> dict[str, t.Any]:
        steps.append("execute")
        return {}

    action._execute_module = executed
    execute(action, "m", {}, None)
    assert steps == ["freeze", "execute"]


def test_a_time_of_yaml_is_the_same_text_with_and_without_pipelining() -> None:
    given = yaml.safe_load("services: [{name: shop, version: 2026-01-02 03:04:05, environment: {DAY: 2026-01-02}}]")
    action: t.Any = Action()
    execute(action, "m", given, None)
    (service,) = action.calls[0]["services"]
    assert service == {"name": "shop", "version": "2026-01-02 03:04:05", "environment": {"DAY": "2026-01-02"}}


@pytest.mark.parametrize("given", [None, [], [{"http_proxy": "http://proxy:3128"}], {"LANG": "C"}])
def test_a_module_names_files_in_utf_8_whatever_the_locale_of_the_host(given: object) -> None:
    action: t.Any = Action()
    action.has.add(digest(read_code(SOURCE)))
    action._task.environment = given
    execute(action, "m", {}, None)
    before = given if isinstance(given, list) else [given] if given else []
    assert action._task.environment == [*before, {"PYTHONUTF8": "1"}]


@pytest.mark.parametrize("tmpdir", [None, "/remote"])
def test_a_host_gets_what_it_lacks_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmpdir: str | None
) -> None:
    monkeypatch.setattr("ansible.constants.DEFAULT_LOCAL_TMP", str(tmp_path))
    action: t.Any = Action()
    # Without pipelining the module itself was there.
    action.tmpdir = tmpdir
    assert execute(action, "m", {"a": 1}, None) == {"changed": True}
    assert [bool(call.get("code_archive")) for call in action.calls] == [False, True]
    assert (action.tmpdir, os.listdir(tmp_path)) == ("/remote", [])
    assert execute(action, "m", {"a": 1}, None) == {"changed": True}
    assert len(action.calls) == 3
