# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that imports an application, and the meaning of its errors. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

from .._input.tracebacks import split_chain

# gunicorn's own check loads the application, but not the worker class; and it waits for ever. This one exits right
# after the import: neither other threads nor functions registered with atexit are waited for. An application that is
# asynchronous can answer no request here, and would be found out by the health check, when its time is over.
PROGRAM = """
import faulthandler, inspect, os, sys, traceback
faulthandler.dump_traceback_later(float(sys.argv.pop(1)), exit=True)
from gunicorn.app.wsgiapp import WSGIApplication

def leave(code):
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    os._exit(code)

def of_user(app):
    for name, attribute in (("ProxyFix", "app"), ("_HostFrom", "_app"), ("_Files", "_app"), ("_Probe", "_app")):
        if type(app).__name__ in (name, "_" + name):
            app = getattr(app, attribute)
    return app

class Check(WSGIApplication):
    def load(self):
        try:
            app = of_user(super().load())
        except SystemExit:
            traceback.print_exc()
            leave(1)
        if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
            kind = type(app).__name__
            print(f"TypeError: this '{kind}' is an ASGI application, because it is asynchronous", file=sys.stderr)
            leave(1)
        leave(0)

try:
    app = Check(prog="gunicorn")
    app.cfg.worker_class
    app.run()
except SystemExit as exc:
    if isinstance(exc.code, str):
        print(exc.code, file=sys.stderr)
    leave(exc.code if isinstance(exc.code, int) and exc.code else 1)
except BaseException:
    traceback.print_exc()
leave(1)
"""

# Of what a program has said before it left, which is the reason.
_LAST_WORDS = 5
_LEFT = re.compile(r"^SystemExit: -?\d+$", re.MULTILINE)
_TRACEBACK = "Traceback (most recent call last):"
# It has read the arguments of gunicorn, or of the import check, as its own.
_ARGUMENTS = re.compile(r'/(?:argparse|optparse|click/core|click/parser|absl/flags/\w+)\.py", line \d+, in ')

_FRAME = re.compile(r'^  File "(?P<file>[^"]*)", line \d+')
_MACHINERY = ("<frozen importlib", "/importlib/__init__.py")

# The last frame before the application's own.
_ENTRY = "flaskops_wsgi.py"

# Where an application is that calls app.run(), or a server of its own: as long as it serves, or in the traceback of why
# it does not. faulthandler writes no comma.
_SERVES = re.compile(
    r"/(?:werkzeug/(?:serving|_reloader)|wsgiref/simple_server|socketserver|waitress/server|cheroot/server"
    r'|eventlet/wsgi|gevent/baseserver|uvicorn/server|hypercorn/run)\.py", line \d+,? in '
)

_BELOW_MAIN = "put its app.run() below 'if __name__ == \"__main__\":'"

# The signals with which the kernel or the sandbox ends a process, by their numbers in signal(7).
_ENDED_BY: t.Mapping[int, str] = {
    4: "SIGILL when it was imported: a compiled package is made for another processor: choose another version of it",
    6: "SIGABRT when it was imported: a compiled package has given up",
    9: (
        "SIGKILL when it was imported, as the kernel does when memory runs out: let it load less, or give the host "
        "more memory"
    ),
    11: (
        "SIGSEGV when it was imported: a compiled package is broken, or is not made for this host: choose another "
        "version of it"
    ),
    15: "SIGTERM when it was imported",
    31: (
        "SIGSYS when it was imported, as the sandbox does for a system call that it forbids: see "
        "gunicorn.sandbox.SystemCallFilter"
    ),
}

# faulthandler's order is the other way round than a traceback's.
_DUMP = "(most recent call first)"


# What os.environ raises, and that it was that.
_MISSING = re.compile(r"^KeyError: '([A-Za-z_][A-Za-z0-9_]*)'$", re.MULTILINE)
# The messages of Flask, environs, python-decouple and many applications about a missing environment variable.
_TOLD = re.compile(
    r"""^[\w.]+: .*\b[Ee]nvironment variable ["']?(?P<name>[A-Za-z_]\w*)["']? (?:is )?(?:not set|missing|required)"""
    r"""|^[\w.]*UndefinedValueError: (?P<undefined>[A-Za-z_]\w*) not found""",
    re.MULTILINE,
)
_ENVIRON = re.compile(r"<frozen os>|/os\.py\"|environ")


def shorten_traceback(text: str, lines: int = 20) -> str:
    """Return the end of a traceback without the frames of the server and of Python's import machinery.

    Of the exceptions that it was raised from the last lines stay.
    """
    causes, last = split_chain(text.strip().splitlines())
    said = _last_words(text) if _LEFT.search(text) else []
    return "\n".join([*said, *causes, *_without_machinery(last, _DUMP in text)[-lines:]]) or "nothing"


def _last_words(text: str) -> list[str]:
    """Return what was said before an application left its import, in place of an exception."""
    before = text.partition(_TRACEBACK)[0]
    return [line for line in before.splitlines() if line.strip()][-_LAST_WORDS:]


def _without_machinery(lines: t.Sequence[str], is_dump: bool) -> list[str]:
    kept: list[str] = []
    wanted = True
    for line in lines:
        frame = _FRAME.match(line)
        if frame:
            wanted = not any(part in frame.group("file") for part in _MACHINERY)
            if frame.group("file").endswith(_ENTRY):
                if is_dump:
                    break
                kept, wanted = [], False
        elif not line.startswith("    "):
            wanted = True
        if wanted:
            kept.append(line)
    return kept


def explain_check(said: str, app: str, timeout: int, code: int = 1) -> str:
    """Return the cause in one sentence; C(said) is the output of the check, C(code) how it ended."""
    if code < 0 or not said.strip():
        return _explain_end(app, code)
    if "Timeout (" in said and _DUMP in said:
        return _explain_late(said, app, timeout)
    if _SERVES.search(said):
        return (
            f"'{app}' serves requests itself when it is imported, and that failed: {_BELOW_MAIN}; the end of the output"
        )
    if _LEFT.search(said) and _ARGUMENTS.search(said):
        return (
            f"'{app}' reads the command line when it is imported, and that is gunicorn's: import it in a file of "
            "'files', such as served.py, after sys.argv = ['shop'] or with the arguments that it needs, and set app to "
            "served:app; the end of the output"
        )
    missing = _missing_variable(said)
    if missing:
        return (
            f"'{app}' needs the environment variable {missing}, which is not set: add it to environment, or to "
            "secrets if it is secret; the end of the output"
        )
    return f"'{app}' cannot be loaded; the end of the output"


def _missing_variable(said: str) -> str:
    """Return the environment variable that an application misses; an empty text for another error."""
    missing = _MISSING.findall(said) if _ENVIRON.search(said) else []
    told = _TOLD.search(said)
    if told:
        return told.group("name") or told.group("undefined")
    return missing[-1] if missing else ""


def _explain_late(said: str, app: str, timeout: int) -> str:
    """Return why an application was not loaded in time, of which C(said) has the place."""
    if _SERVES.search(said):
        return (
            f"'{app}' serves requests itself when it is imported, and was not loaded within {timeout} s: {_BELOW_MAIN}"
            "; it was here when the time was over"
        )
    return f"'{app}' is not loaded within health.timeout, {timeout} s; it was here when the time was over"


def _explain_end(app: str, code: int) -> str:
    """Return how the process ended that imported an application, where it says nothing itself."""
    if code >= 0:
        return (
            f"'{app}' ends its process when it is imported, with exit code {code} and without a word, as os._exit() "
            "does: put what does so below 'if __name__ == \"__main__\":'; the end of the output"
        )
    how = _ENDED_BY.get(-code, f"signal {-code} when it was imported")
    return f"'{app}' was ended by {how}; the end of the output"
