# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of an application that cannot be loaded."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build.import_check import (
    PROGRAM,
    explain_check,
    shorten_traceback,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.way_out import AppPaths, ways_out
from ansible_collections.flaskops.stack.plugins.module_utils._service.wsgi import complete_wsgi, render_wsgi

TRACEBACK = """
Error while loading the application:

Traceback (most recent call last):
  File "<release>/venv/lib/python3.13/site-packages/gunicorn/util.py", line 420, in import_app
    mod = importlib.import_module(module)
  File "<frozen importlib._bootstrap>", line 488, in _call_with_frames_removed
  File "<release>/flaskops_wsgi.py", line 11, in _load
    module = importlib.import_module('web')
  File "/usr/lib/python3.13/importlib/__init__.py", line 88, in import_module
    return _bootstrap._gcd_import(name[level:], package, level)
           ~~~~~~~~~~~~~~~~~~~~~~^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "<frozen importlib._bootstrap>", line 1387, in _gcd_import
  File "<release>/app/web.py", line 1, in <module>
    import missing
ModuleNotFoundError: No module named 'missing'
"""

DUMP = """Timeout (0:00:02)!
Thread 0x00007fa0e4051780 (most recent call first):
  File "<release>/app/web.py", line 2 in <module>
  File "<frozen importlib._bootstrap>", line 488 in _call_with_frames_removed
  File "<release>/flaskops_wsgi.py", line 11 in _load
  File "<release>/venv/lib/python3.13/site-packages/gunicorn/util.py", line 420 in import_app
"""


def test_only_the_application_s_part_of_a_traceback_is_shown() -> None:
    assert shorten_traceback(TRACEBACK).splitlines() == [
        '  File "<release>/app/web.py", line 1, in <module>',
        "    import missing",
        "ModuleNotFoundError: No module named 'missing'",
    ]


def test_of_an_application_that_hangs_the_place_is_shown() -> None:
    assert shorten_traceback(DUMP).splitlines()[-1] == '  File "<release>/app/web.py", line 2 in <module>'
    assert "within health.timeout, 2 s" in explain_check(DUMP, "web:app", 2)


def test_an_application_that_serves_itself_at_its_import_is_told_so() -> None:
    frame = '  File "<release>/venv/lib/python3.13/site-packages/werkzeug/serving.py", line 1129 in run_simple\n'
    said = DUMP.replace('  File "<release>/app/web.py"', frame + '  File "<release>/app/web.py"')
    assert "put its app.run() below 'if __name__ == \"__main__\":'" in explain_check(said, "web:app", 2)


@pytest.mark.parametrize(
    "place", ["werkzeug/serving.py", "waitress/server.py", "wsgiref/simple_server.py", "gevent/baseserver.py"]
)
def test_an_application_that_cannot_serve_itself_at_its_import_is_told_that_it_tried(place: str) -> None:
    said = f"""Address already in use
Port 80 is in use by another program.
Traceback (most recent call last):
  File "<release>/flaskops_wsgi.py", line 11, in _load
  File "<release>/app/web.py", line 5, in <module>
    app.run(port=80)
  File "<release>/venv/lib/python3.13/site-packages/{place}", line 1097, in run_simple
OSError: [Errno 98] Address already in use
"""
    assert "serves requests itself when it is imported, and that failed" in explain_check(said, "web:app", 2)


@pytest.mark.parametrize(
    ("code", "said", "why"),
    [
        (3, "", "with exit code 3 and without a word"),
        (-9, "", "was ended by SIGKILL when it was imported, as the kernel does when memory runs out"),
        (-11, "half a line", "was ended by SIGSEGV when it was imported: a compiled package"),
        (-31, "", "gunicorn.sandbox.SystemCallFilter"),
        (-15, "", "was ended by SIGTERM when it was imported; the end"),
        (-63, "", "was ended by signal 63 when"),
    ],
)
def test_how_a_process_ended_is_told_where_it_says_nothing_itself(code: int, said: str, why: str) -> None:
    assert why in explain_check(said, "web:app", 2, code)


@pytest.mark.parametrize(("text", "shown"), [("", "nothing"), ("extra: no setting 'x'", "extra: no setting 'x'")])
def test_other_texts_are_shown_as_they_are(text: str, shown: str) -> None:
    assert shorten_traceback(text) == shown


def test_long_texts_are_cut_at_their_beginning() -> None:
    assert shorten_traceback("\n".join(map(str, range(99))), lines=2) == "97\n98"


MISSING = """Traceback (most recent call last):
  File "/srv/shop/releases/x/flaskops_wsgi.py", line 9, in _load
    module = importlib.import_module('shop')
  File "/srv/shop/releases/x/app/shop.py", line 7, in create_app
    token = os.environ["TOKEN"]
  File "<frozen os>", line 685, in __getitem__
KeyError: 'TOKEN'
"""


def test_a_variable_that_is_not_set_is_named_with_the_way_out() -> None:
    said = explain_check(MISSING, "shop:create_app()", 2)
    assert "needs the environment variable TOKEN, which is not set: add it to environment, or to secrets" in said


@pytest.mark.parametrize(
    "said",
    [
        "RuntimeError: The environment variable 'TOKEN' is not set and as such configuration could not be loaded.",
        'environs.exceptions.EnvError: Environment variable "TOKEN" not set',
        "decouple.UndefinedValueError: TOKEN not found. Declare it as envvar or define a default value.",
        "SystemExit: environment variable TOKEN is missing",
    ],
)
def test_a_variable_that_a_library_misses_is_named_with_the_way_out(said: str) -> None:
    said = MISSING.replace("KeyError: 'TOKEN'", said)
    assert "needs the environment variable TOKEN, which is not set" in explain_check(said, "shop:app", 2)


def test_another_missing_key_is_no_variable() -> None:
    said = MISSING.replace('os.environ["TOKEN"]', 'settings["TOKEN"]').replace("<frozen os>", "settings.py")
    assert "environment variable" not in explain_check(said, "shop:create_app()", 2)


LEFT = """usage: shop [-h] [--port PORT]
shop: error: unrecognized arguments: --check-config -c gunicorn.conf.py
Traceback (most recent call last):
  File "/srv/shop/releases/x/flaskops_wsgi.py", line 9, in _load
    module = importlib.import_module('shop')
  File "/srv/shop/releases/x/app/shop.py", line 7, in <module>
    options = parser.parse_args()
  File "/usr/lib/python3.13/argparse.py", line 2659, in exit
    _sys.exit(status)
SystemExit: 2
"""


def test_an_application_that_reads_the_command_line_of_gunicorn_is_told_what_to_do() -> None:
    assert "reads the command line when it is imported" in explain_check(LEFT, "shop:app", 2)
    assert "after sys.argv = ['shop']" in explain_check(LEFT, "shop:app", 2)


def test_what_an_application_says_before_it_leaves_is_shown() -> None:
    shown = shorten_traceback(LEFT).splitlines()
    assert shown[:2] == LEFT.splitlines()[:2]
    assert shown[-1] == "SystemExit: 2"
    other = LEFT.replace("argparse.py", "shop.py")
    assert "cannot be loaded" in explain_check(other, "shop:app", 2)
    assert shorten_traceback(other.replace("SystemExit: 2", "ValueError: 2")).splitlines()[0].startswith("  File")


GUNICORN = """
import sys

class WSGIApplication:
    def __init__(self, prog):
        self.cfg = type("Config", (), {"worker_class": object})

    def load(self):
        import app
        return getattr(app, "application", None)

    def run(self):
        try:
            self.load()
        except Exception:
            import traceback
            print("Error while loading the application:", file=sys.stderr)
            traceback.print_exc()
            sys.exit(1)
        sys.exit(0)
"""


def load(tmp_path: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Let the check load an application; gunicorn's part is played."""
    (tmp_path / "gunicorn/app").mkdir(parents=True)
    (tmp_path / "gunicorn/__init__.py").touch()
    (tmp_path / "gunicorn/app/__init__.py").touch()
    (tmp_path / "gunicorn/app/wsgiapp.py").write_text(GUNICORN)
    (tmp_path / "app.py").write_text(code)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "20"], cwd=tmp_path, timeout=30, check=False, text=True, capture_output=True
    )


THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(15,)).start()\n"
AT_EXIT = "import atexit, time\natexit.register(time.sleep, 15)\n"


@pytest.mark.parametrize("waits", [THREAD, AT_EXIT], ids=["thread", "atexit"])
def test_loaded_is_loaded_whatever_would_keep_the_process(tmp_path: Path, waits: str) -> None:
    began = time.monotonic()
    done = load(tmp_path, f"{waits}print('said')\n")
    assert (done.returncode, done.stdout) == (0, "said\n"), done.stderr
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("code", "says"),
    [("raise KeyError('x')", "KeyError: 'x'"), ("import sys; sys.exit(0)", "SystemExit: 0"), ("exit()", "SystemExit")],
)
def test_what_ends_at_its_import_is_not_loaded_and_says_why_at_once(tmp_path: Path, code: str, says: str) -> None:
    began = time.monotonic()
    done = load(tmp_path, f"{THREAD}{code}\n")
    assert done.returncode == 1
    assert says in done.stderr
    assert time.monotonic() - began < 10


def within(code: str) -> str:
    """Return a module that makes what it has of an application, as wsgi.py of a release does."""
    return (
        f"{code}\nclass _Probe:\n    def __init__(self, app):\n        self._app = app\n    def __call__(self): pass\n"
        "class _ProxyFix:\n    def __init__(self, app):\n        self.app = app\n    def __call__(self): pass\n"
        "application = _ProxyFix(_Probe(made))\n"
    )


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("async def made(environ, start_response): pass", "function"),
        ("class Quart:\n    async def __call__(self, scope, receive, send): pass\nmade = Quart()", "Quart"),
        # It holds a Flask application, as that of connexion does.
        ("class Connexion:\n    app = 1\n    async def __call__(self, *of): pass\nmade = Connexion()", "Connexion"),
    ],
)
def test_an_asgi_application_is_not_loaded_and_waits_for_no_health_check(tmp_path: Path, code: str, name: str) -> None:
    done = load(tmp_path, within(code))
    assert (done.returncode, done.stderr.strip()) == (
        1,
        f"TypeError: this '{name}' is an ASGI application, because it is asynchronous",
    )
    shop = AppPaths("shop", "shop", "/srv/shop/releases", "/srv/shop/shared", (), "shop", "app")
    assert [way.partition(",")[0] for way in ways_out(done.stderr, shop)] == ["this is an ASGI application"]


def test_a_wsgi_application_is_loaded_whatever_it_holds(tmp_path: Path) -> None:
    code = "async def view(): pass\nclass Flask:\n    app = _app = view\n    def __call__(self, environ, start): pass\n"
    assert load(tmp_path, within(f"{code}made = Flask()")).returncode == 0


@pytest.mark.parametrize("hops", [0, 1, 2])
def test_the_application_is_found_within_what_a_release_puts_around_it(tmp_path: Path, hops: int) -> None:
    text = complete_wsgi(render_wsgi("served:Quart()", hops, "X-Site" if hops else "", [("/up/", "up", "")]))
    (tmp_path / "served.py").write_text("class Quart:\n    async def __call__(self, scope, receive, send): pass\n")
    (tmp_path / "werkzeug/middleware").mkdir(parents=True)
    (tmp_path / "werkzeug/middleware/proxy_fix.py").write_text(
        "class ProxyFix:\n    def __init__(self, app, **hops):\n        self.app = app\n    def __call__(self): pass\n"
    )
    done = load(tmp_path, text)
    assert (done.returncode, "is an ASGI application" in done.stderr) == (1, True), done.stderr
