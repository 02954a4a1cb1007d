# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gunicorn.conf.py and wsgi.py: both are Python, so they are run."""

from __future__ import annotations

import ast
import builtins
import importlib
import logging.config
import re
import sys
import types
import typing as t
from contextlib import nullcontext
from pathlib import Path
from urllib.request import parse_http_list

import hypothesis
import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._service.gunicorn_conf import (
    render_gunicorn_conf,
    with_request_id,
    with_root_quota,
    with_shared_imports,
)
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._service.wsgi import (
    check_app_path,
    complete_wsgi,
    render_wsgi,
)
from hypothesis import strategies as st

RELEASE = "/srv/shop/releases/3f2a91c-1b9e02d4"
Conf = t.Dict[str, t.Any]


@pytest.fixture
def read_conf(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., Conf]:
    """Run a gunicorn.conf.py as a gunicorn with the given settings would."""

    def read(raw: Conf, known: t.Iterable[str] = (), version: str = "27.0.1") -> Conf:
        gunicorn, config = types.ModuleType("gunicorn"), types.ModuleType("gunicorn.config")
        gunicorn.__dict__["__version__"] = version
        config.__dict__["KNOWN_SETTINGS"] = [types.SimpleNamespace(name=name) for name in known]
        monkeypatch.setitem(sys.modules, "gunicorn", gunicorn)
        monkeypatch.setitem(sys.modules, "gunicorn.config", config)
        monkeypatch.setattr(sys, "path", list(sys.path))
        names: Conf = {}
        exec(with_root_quota(with_request_id(render_gunicorn_conf(parse_settings(raw), RELEASE))), names)
        return names

    return read


def test_the_settings_arrive(read_conf: t.Callable[..., Conf]) -> None:
    conf = read_conf({"worker_class": "gevent", "workers": 3, "timeout": 40, "preload": True, "access_log": True})
    wanted = {"worker_class": "gevent", "workers": 3, "timeout": 40, "preload_app": True, "accesslog": "-"}
    assert {name: conf[name] for name in wanted} == wanted
    assert (conf["chdir"], conf["wsgi_app"], conf["proc_name"]) == (
        f"{RELEASE}/app",
        "flaskops_wsgi:application",
        "shop",
    )


@pytest.mark.parametrize(
    ("worker_class", "flask", "shared"),
    [
        ("gthread", "VALUE = 1", True),
        ("sync", "VALUE = 1", True),
        ("gevent", "VALUE = 1", False),
        ("tornado", "VALUE = 1", False),
        ("gthread", "raise ImportError", False),
        ("gthread", "raise RuntimeError", False),
    ],
)
def test_workers_share_flask_where_it_may_be_imported_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker_class: str, flask: str, shared: bool
) -> None:
    (tmp_path / "flask.py").write_text(flask)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "flask", raising=False)
    names: Conf = {"worker_class": worker_class}
    exec(with_shared_imports(""), names)
    assert (getattr(names.get("_flask"), "VALUE", 0) == 1) is shared
    sys.modules.pop("flask", None)


def test_modules_of_the_application_come_before_those_of_the_release(read_conf: t.Callable[..., Conf]) -> None:
    read_conf({})
    assert sys.path[-1] == RELEASE


def test_threads_are_for_gthread_only_because_they_change_the_worker_class(read_conf: t.Callable[..., Conf]) -> None:
    assert read_conf({"worker_class": "sync", "threads": 8})["threads"] == 1
    assert read_conf({"worker_class": "gthread", "threads": 8})["threads"] == 8


def test_a_setting_is_written_only_where_gunicorn_has_it(read_conf: t.Callable[..., Conf]) -> None:
    assert "control_socket_disable" not in read_conf({})
    assert read_conf({}, known=["control_socket_disable"])["control_socket_disable"] is True


@pytest.mark.parametrize(
    ("version", "worker_class", "max_requests"),
    [("20.1.0", "gthread", 0), ("23.0.0", "gthread", 0), ("24.1.1", "gthread", 10000), ("23.0.0", "sync", 10000)],
)
def test_workers_that_cannot_be_replaced_without_loss_are_not(
    read_conf: t.Callable[..., Conf], version: str, worker_class: str, max_requests: int
) -> None:
    conf = read_conf({"worker_class": worker_class}, version=version)
    assert conf["max_requests"] == max_requests
    assert ("on_starting" in conf) == (max_requests == 0)


def test_a_request_line_that_fits_into_nginxs_buffer_is_accepted(read_conf: t.Callable[..., Conf]) -> None:
    assert read_conf({})["limit_request_line"] == 8192 - len("\r\n")


def test_the_access_log_ends_with_the_id_of_the_request(read_conf: t.Callable[..., Conf]) -> None:
    assert read_conf({})["access_log_format"].endswith('"%(f)s" "%(a)s" %({x-request-id}i)s')
    # The ids of releases are made of this text.
    assert "x-request-id" not in render_gunicorn_conf(parse_settings({}), RELEASE)


def test_extra_settings_arrive_and_win(read_conf: t.Callable[..., Conf]) -> None:
    extra = {"limit_request_line": 100, "access_log_format": "%(r)s", "raw_env": ["A=1"]}
    conf = read_conf({"extra": extra}, known=extra)
    assert {name: conf[name] for name in extra} == extra


def test_an_extra_setting_that_gunicorn_does_not_know_ends_it(read_conf: t.Callable[..., Conf]) -> None:
    with pytest.raises(SystemExit, match=r"gunicorn 27\.0\.1 has no setting 'no_such_setting'"):
        read_conf({"extra": {"no_such_setting": 1}})


@pytest.mark.parametrize(
    "where", ["system.slice/", "system.slice/shop.service/", ""], ids=["above", "own", "container"]
)
@pytest.mark.parametrize(
    ("affinity", "quota", "environment", "workers"),
    [
        (1, None, {}, 3),
        (2, None, {}, 5),
        (64, None, {}, 8),
        (64, "150000 100000", {}, 5),
        (64, "50000 100000", {}, 3),
        (2, "max 100000", {}, 5),
        (2, "not a quota", {}, 5),
        (2, None, {"WEB_CONCURRENCY": "6"}, 6),
        (2, None, {"WEB_CONCURRENCY": "0"}, 5),
        (2, None, {"WEB_CONCURRENCY": "many"}, 5),
    ],
)
def test_the_number_of_workers_follows_the_cpus(
    read_conf: t.Callable[..., Conf],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    affinity: int,
    quota: str | None,
    environment: dict[str, str],
    workers: int,
    where: str,
) -> None:
    limit, group = tmp_path / "cpu.max", tmp_path / "cgroup"
    group.write_text("1:name=x:/elsewhere\n0::/system.slice/shop.service\n")
    if quota is not None:
        limit.write_text(quota)
    files = {"/proc/self/cgroup": group, f"/sys/fs/cgroup/{where}cpu.max": limit}
    real = builtins.open
    monkeypatch.setattr(builtins, "open", lambda path, *rest: real(files.get(path, tmp_path / "none"), *rest))
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(affinity)))
    monkeypatch.setattr("os.environ", environment)
    assert read_conf({})["workers"] == workers


def load(app: str, hops: int = 0, header: str = "") -> t.Any:
    names: Conf = {"__file__": "/none/wsgi.py"}
    exec(render_wsgi(app, hops, header), names)
    return names["application"]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """An importable module with applications, good and bad."""
    module = types.ModuleType("shop")
    exec(
        "def app(environ, start_response): return [environ.get('HTTP_HOST', '').encode()]\n"
        "def create_app(name='x', debug=False): return lambda environ, start: [f'{name} {debug}'.encode()]\n"
        "def broken(): return None\n"
        "class Web: wsgi = staticmethod(app)\n"
        "number = 3\n",
        module.__dict__,
    )
    monkeypatch.setitem(sys.modules, "shop", module)
    return module


@pytest.mark.parametrize(
    ("app", "body"),
    [
        ("shop:app", b""),
        ("shop:Web.wsgi", b""),
        ("shop:create_app()", b"x False"),
        ("shop:create_app('a\"b', debug=True)", b'a"b True'),
    ],
)
def test_an_application_or_what_a_factory_returns_is_served(shop: types.ModuleType, app: str, body: bytes) -> None:
    assert load(app)({}, None) == [body]


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("shop:create_app", r"is a factory.*write 'shop:create_app\(\)'"),
        ("shop:create", "'shop:create': there is no 'create' in module 'shop'"),
        ("shop:Web.asgi", "there is no 'asgi'"),
        ("shop:number", "'shop:number' is not callable: it is of type 'int'"),
        ("shop:number()", r"of type 'int', leave out the \(\)"),
        ("shop:broken()", "returned what is not callable"),
        ("no_such_module:app", "no_such_module"),
    ],
)
def test_what_is_no_application_is_said_at_the_start(shop: types.ModuleType, app: str, says: str) -> None:
    if app == "shop:create_app":
        # One that cannot be called like an application; with two optional arguments that is not known.
        shop.__dict__["create_app"] = eval("lambda: None")
    with pytest.raises((AttributeError, ImportError, TypeError), match=says):
        load(app)


def test_the_named_header_gives_the_host(shop: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "werkzeug.middleware.proxy_fix", _fake_werkzeug())
    application = load("shop:app", 1, "X-Original-Host")
    assert application({"HTTP_HOST": "a", "HTTP_X_ORIGINAL_HOST": "shop.test:8080"}, None) == [b"shop.test:8080"]
    assert application({"HTTP_HOST": "a"}, None) == [b"a"]


@pytest.mark.parametrize("hops", [1, 2])
def test_exactly_the_trusted_hops_are_believed(
    shop: types.ModuleType, monkeypatch: pytest.MonkeyPatch, hops: int
) -> None:
    fake = _fake_werkzeug()
    monkeypatch.setitem(sys.modules, "werkzeug.middleware.proxy_fix", fake)
    load("shop:app", hops)
    assert fake.__dict__["seen"] == {"x_for": hops, "x_proto": 1, "x_host": 1}


def _fake_werkzeug() -> types.ModuleType:
    module = types.ModuleType("werkzeug.middleware.proxy_fix")

    def proxy_fix(app: t.Any, **options: int) -> t.Any:
        module.__dict__["seen"] = options
        return app

    module.__dict__["ProxyFix"] = proxy_fix
    return module


class ProxyFix:
    """What Werkzeug's does with the list of a header, by the library that it used for that."""

    def __init__(self, app: t.Any, **trusted: int) -> None:
        self.app, self.trusted = app, trusted

    def _get_real_value(self, trusted: int, value: str | None) -> str | None:
        values = [one.strip('"') for one in parse_http_list(value or "")]
        return values[-trusted] if trusted and len(values) >= trusted else None


@hypothesis.given(trusted=st.integers(0, 3), value=st.none() | st.text(st.sampled_from('ab1.:[] ,"\\\t'), max_size=12))
@hypothesis.example(trusted=1, value="192.0.2.1")
@hypothesis.example(trusted=1, value=" ")
@hypothesis.example(trusted=2, value="192.0.2.1")
def test_a_plain_header_is_read_as_werkzeug_reads_it(trusted: int, value: str | None) -> None:
    werkzeug = types.ModuleType("werkzeug.middleware.proxy_fix")
    werkzeug.__dict__["ProxyFix"] = ProxyFix
    names: Conf = {"__file__": "/nowhere/wsgi.py"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "werkzeug.middleware.proxy_fix", werkzeug)
        patch.setitem(sys.modules, "empty", types.ModuleType("empty"))
        sys.modules["empty"].__dict__["app"] = len
        exec(complete_wsgi(render_wsgi("empty:app", 2, "")), names)
    application = names["application"]
    assert type(application).__name__ == "_ProxyFix"
    assert application.trusted == {"x_for": 2, "x_proto": 1, "x_host": 1}
    theirs = ProxyFix(None)._get_real_value(trusted, value)
    assert (application._get_real_value(trusted, value) or None) == (theirs or None)


@pytest.mark.parametrize("called", ["", "()"])
@pytest.mark.parametrize("fails", [False, True])
def test_an_application_that_configures_logging_does_not_silence_gunicorn(called: str, fails: bool) -> None:
    """As Alembic's env.py does, so that nobody was told why a worker ended."""
    loud = logging.getLogger("gunicorn.error")
    module = types.ModuleType("silencer")

    def load(*_words: object) -> t.Callable[[], None]:
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
        assert loud.disabled
        if fails:
            raise ValueError("no luck")
        return lambda: None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loud, "disabled", False)
        patch.setitem(sys.modules, "silencer", module)
        module.__dict__["app"] = load
        if not called:
            patch.setattr(importlib, "import_module", lambda _name: (load(), module)[1])
        text = complete_wsgi(render_wsgi(f"silencer:app{called}", 0, ""))
        with pytest.raises(ValueError, match="no luck") if fails else nullcontext():
            exec(text, {"__file__": "/nowhere/wsgi.py"})
        assert not loud.disabled


@pytest.mark.parametrize("prefix", ["", "/blog"])
def test_only_what_reads_the_headers_and_loads_is_completed(prefix: str) -> None:
    plain = render_wsgi("shop:app", 0, "", prefix=prefix)
    assert "_ProxyFix" not in complete_wsgi(plain)
    assert "logging" not in plain
    trusting = render_wsgi("shop:app", 1, "", prefix=prefix)
    assert "application = _ProxyFix(application" in complete_wsgi(trusting)
    assert "_ProxyFix" not in trusting


def test_without_werkzeug_the_way_out_is_named(shop: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("werkzeug", "werkzeug.middleware", "werkzeug.middleware.proxy_fix"):
        monkeypatch.setitem(sys.modules, name, None)
    load("shop:app", 0)
    with pytest.raises(ImportError, match="add werkzeug to the packages, or set trusted_hops: 0"):
        load("shop:app", 1)


@pytest.mark.parametrize(
    "app",
    [
        *(
            "shop",
            "shop:",
            "shop: ",
            "shop:app(",
            "shop:app(name)",
            "shop:app[0]",
            "../shop:app",
            "shop:f(**{})",
            ":app",
        ),
        *("shop:f(1e999)", "shop:f([-1e999])", "shop:f({1e999: 1})", "shop:f(a={1e999})", "shop:f(1e999j)"),
        *("shop:f({[1]: 2})", f"shop:f({'-' * 5000}1)"),
    ],
)
def test_a_path_that_names_nothing_is_refused(app: str) -> None:
    with pytest.raises(InputError, match="write module:app"):
        check_app_path(app)


@pytest.mark.parametrize(
    ("app", "write"),
    [
        ("main.py:app", "main:app"),
        ("./main.py:app", "main:app"),
        ("shop/web.py:create_app()", "shop.web:create_app()"),
        ("shop/web:app", "shop.web:app"),
    ],
)
def test_a_file_in_place_of_a_module_is_refused_with_its_module(app: str, write: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"is not the name of a Python module: write '{write}'")):
        check_app_path(app)


@pytest.mark.parametrize("module", ["2fa", "my-shop", "größe", "shop.2fa", "_shop", "py", "web.pyx"])
def test_a_module_is_what_importlib_imports(module: str) -> None:
    assert check_app_path(f"{module}:app").module == module
    compile(render_wsgi(f"{module}:app", 1, ""), "wsgi.py", "exec")


@pytest.mark.parametrize(
    ("hops", "header", "says"),
    [(-1, "", "'-1'"), (0, "X-Host", "trusted_hops is 0"), (1, "X_Host", "without '_'"), (1, "a b", "'a b'")],
)
def test_a_header_without_a_trusted_proxy_is_refused(hops: int, header: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        render_wsgi("shop:app", hops, header)


def test_a_set_has_the_same_text_in_each_run() -> None:
    text = render_wsgi("shop:f({'c', 'a', 'b'}, [{2: {'e', 'd'}}], ({1},), {'y': 1, 'x': 2})", 1, "")
    assert "made = target(*({'a', 'b', 'c'}, [{2: {'d', 'e'}}], ({1},), {'y': 1, 'x': 2}), **{})" in text


@pytest.mark.parametrize("app", ['shop:f(\'"""\')', "shop:f('\\\\')", "shop:f('{x}')", "shop:f('\\n')"])
def test_no_argument_breaks_out_of_the_text(app: str) -> None:
    ast.parse(render_wsgi(app, 1, "X-Host"))
