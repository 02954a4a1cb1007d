# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gunicorn.conf.py that an application brings."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._service.gunicorn_conf import render_gunicorn_conf
from ansible_collections.flaskops.stack.plugins.module_utils._service.own_conf import explain_unread
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import (
    identifying_settings,
    parse_settings,
)

KNOWN = (
    *("accesslog", "bind", "child_exit", "limit_request_line"),
    *("post_fork", "secure_scheme_headers", "timeout", "workers"),
)
Conf = dict[str, t.Any]


@pytest.fixture
def read_conf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Callable[..., Conf]:
    """Run a rendered gunicorn.conf.py beside an application's own, with a stand-in for gunicorn."""

    def read(own: str, **raw: object) -> Conf:
        gunicorn, config = ModuleType("gunicorn"), ModuleType("gunicorn.config")
        monkeypatch.setattr(gunicorn, "__version__", "27.0.0", raising=False)
        known = [SimpleNamespace(name=name) for name in KNOWN]
        monkeypatch.setattr(config, "KNOWN_SETTINGS", known, raising=False)
        monkeypatch.setitem(sys.modules, "gunicorn", gunicorn)
        monkeypatch.setitem(sys.modules, "gunicorn.config", config)
        monkeypatch.setattr(sys, "path", list(sys.path))
        (tmp_path / "app").mkdir()
        (tmp_path / "app" / "gunicorn.conf.py").write_text(own, encoding="utf-8")
        names: Conf = {}
        exec(render_gunicorn_conf(parse_settings(raw), str(tmp_path)), names)
        return names

    return read


def test_hooks_and_logging_of_the_file_are_honoured_and_share_its_names(read_conf: t.Callable[..., Conf]) -> None:
    own = "SEEN = []\ndef child_exit(server, worker):\n    SEEN.append(worker)\n    return SEEN\naccesslog = '-'\n"
    conf = read_conf(own, config_file="gunicorn.conf.py")
    assert conf["child_exit"](None, 1) == [1]
    assert conf["accesslog"] == "-"
    assert "SEEN" not in conf


def test_extra_has_the_last_word(read_conf: t.Callable[..., Conf]) -> None:
    own = "limit_request_line = 1"
    assert read_conf(own, config_file="gunicorn.conf.py", extra={"limit_request_line": 2})["limit_request_line"] == 2


def test_what_contradicts_the_release_is_refused_by_name(read_conf: t.Callable[..., Conf]) -> None:
    own = "bind = '0.0.0.0:80'\nworkers = 3\ntimeout = 30\nsecure_scheme_headers = {'X-A': 'b'}\n"
    with pytest.raises(SystemExit) as said:
        read_conf(own, config_file="gunicorn.conf.py", workers=2)
    assert "bind (use 'bind' of the service)" in str(said.value)
    assert "workers (use 'workers' of the service)" in str(said.value)
    assert "secure_scheme_headers (use nothing: nginx" in str(said.value)
    # It is what the release has.
    assert "timeout" not in str(said.value)


def test_the_file_is_not_read_unless_it_is_named(read_conf: t.Callable[..., Conf]) -> None:
    assert "child_exit" not in read_conf("def child_exit(server, worker): pass")


@pytest.mark.parametrize("path", ["conf/other.py", 'conf/"other\\.py'])
def test_a_file_that_is_not_there_is_named(read_conf: t.Callable[..., Conf], path: str) -> None:
    with pytest.raises(SystemExit) as said:
        read_conf("", config_file=path)
    assert path in str(said.value)


@pytest.mark.parametrize("path", ["/etc/gunicorn.conf.py", "../gunicorn.conf.py", "a/../../b.py", "gunicorn.toml"])
def test_a_path_outside_of_the_source_is_refused(path: str) -> None:
    with pytest.raises(InputError, match=r"config_file .* below the source"):
        parse_settings({"config_file": path})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def post_fork(server, worker): pass", "config_file: gunicorn.conf.py to have what it says of post_fork"),
        ("import os\ntimeout = int(os.environ['T'])", "timeout: use 'timeout' of the service"),
        ("bind: str = ':80'", "bind: use 'bind' of the service"),
        ("try:\n    import x\nexcept ImportError:\n    workers = 1", "workers: use"),
        ("if True:\n    accesslog = errorlog = '-'", "accesslog, errorlog"),
        ("workers = (", "Python cannot read it"),
    ],
)
def test_what_an_unread_file_sets_is_named_with_the_way_out(text: str, said: str) -> None:
    assert said in explain_unread(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from hooks import when_ready, helper", "what it says of when_ready"),
        ("from hooks import forked as post_fork", "what it says of post_fork"),
        ("from base import *", "what it says of 'from base import *'"),
        ("from .base import bind", "bind: use 'bind' of the service"),
    ],
)
def test_what_an_unread_file_imports_counts_where_gunicorn_would_take_it(text: str, said: str) -> None:
    assert explain_unread(text).endswith((said, f"({said})"))


@pytest.mark.parametrize(
    "text", ["", "# nothing", "import os", "_private = 1", "from multiprocessing import cpu_count", "import bind"]
)
def test_a_file_that_sets_nothing_is_not_worth_a_warning(text: str) -> None:
    assert explain_unread(text) == ""


def test_a_setting_that_came_later_changes_no_id_by_its_default() -> None:
    assert "config_file" not in identifying_settings(parse_settings({}))
    assert identifying_settings(parse_settings({"config_file": "a.py"}))["config_file"] == "a.py"
