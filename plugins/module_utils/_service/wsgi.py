# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of wsgi.py: the user's application behind exactly the trusted proxies. Private to flaskops.stack."""

from __future__ import annotations

import ast
import cmath
import re
import typing as t
from dataclasses import dataclass, field

from .._input.values import InputError
from .._release.shared_files import Place, render_files

# importlib takes names that an import statement does not: '2fa', 'my-shop'.
_MODULE = re.compile(r"\w[\w-]*(?:\.\w[\w-]*)*")
# A file in place of a module, as the command line of Python takes it.
_FILE = re.compile(r"(?:\./)?(?P<path>\w[\w-]*(?:[./]\w[\w-]*)*?)(?:\.py)?")
# A token of RFC 9110, which is what a header's name is; '_' is left out because nginx drops such headers.
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")
_REMEDY = "write module:app, module:factory() or module:factory('argument', key=1)"

_HEAD = '''\
# Written by flaskops.stack for this release and never edited: change the settings and deploy a new release.
"""The WSGI application that gunicorn serves, behind exactly the trusted proxies."""

import hmac
import importlib
import inspect
import json
import os

_APP = {app!r}


def _load():
    module = importlib.import_module({module!r})
    target = module
    for name in {attribute!r}.split("."):
        if not hasattr(target, name):
            raise AttributeError(f"app {{_APP!r}}: there is no {{name!r}} in module {{module.__name__!r}}")
        target = getattr(target, name)
{load}

'''

_OBJECT = """\
    if not callable(target):
        raise TypeError(f"app {{_APP!r}} is not callable: it is of type {{type(target).__name__!r}}")
    if inspect.isfunction(target):
        try:
            inspect.signature(target).bind({{}}, None)
        except TypeError:
            raise TypeError(f"app {{_APP!r}} is a factory and no WSGI application: write '{{_APP}}()'") from None
    return target
"""

_FACTORY = """\
    if not callable(target):
        raise TypeError(f"app {{_APP!r}} is not callable: it is of type {{type(target).__name__!r}}, leave out the ()")
    made = target(*{args}, **{kwargs})
    if not callable(made):
        raise TypeError(f"app {{_APP!r}} returned what is not callable: it is of type {{type(made).__name__!r}}")
    return made
"""

_HOST_HEADER = '''\
class _HostFrom:
    """Take the host that the visitor asked for from {header}, which the outermost proxy must always set."""

    def __init__(self, app):
        self._app = app

    def __call__(self, environ, start_response):
        host = environ.get({key!r}, "").split(",")[-1].strip()
        if host:
            environ["HTTP_HOST"] = environ["SERVER_NAME"] = host
            name, colon, port = host.rpartition(":")
            if colon and port.isdigit():
                environ["SERVER_NAME"], environ["SERVER_PORT"] = name, port
        return self._app(environ, start_response)


'''

_PROBE = '''\
class _Probe:
    """Tell whoever has this release's token what the application would be told; nobody else notices anything."""

    def __init__(self, app):
        self._app = app
        path = os.path.join(os.path.dirname(os.path.realpath(__file__)), "probe.json")
        try:
            with open(path, encoding="utf-8") as stream:
                self._token = json.load(stream)["token"].encode()
        except (OSError, ValueError, KeyError):
            self._token = b""

    def __call__(self, environ, start_response):
        if "HTTP_X_FLASKOPS_PROBE" not in environ or not self._token:
            return self._app(environ, start_response)
        if not hmac.compare_digest(environ["HTTP_X_FLASKOPS_PROBE"].encode("utf-8", "replace"), self._token):
            return self._app(environ, start_response)
        host, scheme = environ.get("HTTP_HOST", ""), environ.get("wsgi.url_scheme", "")
        seen = {"address": environ.get("REMOTE_ADDR", ""), "scheme": scheme, "host": host}
        body = json.dumps({"believed": seen}).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        start_response("200 OK", list(headers.items()))
        return [body]


'''

_PROXY_FIX = """
try:
    from werkzeug.middleware.proxy_fix import ProxyFix
except ImportError as exc:
    raise ImportError(
        "trusted_hops is {hops} and needs Werkzeug's ProxyFix, but Werkzeug is not installed in the virtualenv: add "
        "werkzeug to the packages, or set trusted_hops: 0 when the application handles X-Forwarded headers itself"
    ) from exc

# nginx adds one address to X-Forwarded-For for each hop and sends exactly one scheme and host.
application = ProxyFix(application, x_for={hops}, x_proto=1, x_host=1)
"""

# Put before that when a release is written; its id was made without it, so that those of earlier versions stay.
_TRUST = "\n# nginx adds one address"
_PLAIN_FIRST = '''

class _ProxyFix(ProxyFix):
    """Werkzeug's, which reads each header letter by letter; the one plain value that nginx sends needs no reading."""

    def _get_real_value(self, trusted, value):
        if trusted == 1 and value and "," not in value and '"' not in value:
            return value.strip() or None
        return super()._get_real_value(trusted, value)

'''

# The same holds of this line.
_LOADS = "application = _Probe(_load())\n"
_LOADS_LOUDLY = """\
import logging

try:
    application = _Probe(_load())
finally:
    # A logging configuration of the application may have disabled it, and it says why a worker ends.
    logging.getLogger("gunicorn.error").disabled = False
"""

# What is different below a prefix.
_SEEN = '"scheme": scheme, "host": host}'
_SEEN_BELOW = '"scheme": scheme, "host": host}\n        seen["prefix"] = environ.get("SCRIPT_NAME", "")'
_FIXED = "x_proto=1, x_host=1)"
_FIXED_BELOW = "x_proto=1, x_host=1, x_prefix=1)"


@dataclass(frozen=True)
class Target:
    """What C(module:attribute) or C(module:factory(...)) names."""

    module: str
    attribute: str
    called: bool = False
    args: tuple[object, ...] = ()
    kwargs: t.Mapping[str, object] = field(default_factory=dict)


def check_app_path(app: str) -> Target:
    """Return what an application path names, as gunicorn and Flask's command line read it; raise InputError."""
    module, colon, rest = app.partition(":")
    if not colon or not rest.strip():
        raise InputError(f"app '{app}' does not say which object of the module it is: {_REMEDY}")
    if not _MODULE.fullmatch(module) or module.endswith(".py"):
        raise InputError(f"app '{app}': '{module}' is not the name of a Python module: {_suggest(module, rest)}")
    try:
        expression = ast.parse(rest.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        raise InputError(f"app '{app}': '{rest}' is not Python: {_REMEDY}") from None
    if not isinstance(expression, ast.Call):
        return Target(module, _attribute(app, expression))
    if any(keyword.arg is None for keyword in expression.keywords):
        raise InputError(f"app '{app}': '**' is not possible here: {_REMEDY}")
    return Target(
        module,
        _attribute(app, expression.func),
        True,
        tuple(_argument(app, argument) for argument in expression.args),
        {str(keyword.arg): _argument(app, keyword.value) for keyword in expression.keywords},
    )


def _suggest(module: str, rest: str) -> str:
    """Return what to write for what is no module: where it is a file, its module."""
    found = _FILE.fullmatch(module)
    return f"write '{found.group('path').replace('/', '.')}:{rest}'" if found else _REMEDY


def _attribute(app: str, expression: ast.expr) -> str:
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        return f"{_attribute(app, expression.value)}.{expression.attr}"
    raise InputError(f"app '{app}' must end with a name or a call of one: {_REMEDY}")


def _argument(app: str, expression: ast.expr) -> object:
    try:
        return _ordered(ast.literal_eval(expression))
    except (ValueError, TypeError, RecursionError):
        raise InputError(f"app '{app}': arguments must be literals, such as 'text', 1 or None: {_REMEDY}") from None


class _Set(t.FrozenSet[object]):
    """A set whose text is the same in each run: the id of a release is made of it."""

    def __repr__(self) -> str:
        """Return its text."""
        return "{" + ", ".join(sorted(map(repr, self))) + "}" if self else "set()"


def _ordered(value: object) -> object:
    """Return a literal with an order in its sets; what is in a set itself has one."""
    if isinstance(value, dict):
        return {_ordered(key): _ordered(content) for key, content in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_ordered, value))
    for number in value if isinstance(value, (set, frozenset)) else [value]:
        if isinstance(number, (float, complex)) and not cmath.isfinite(number):
            # Its text is no literal: 1e999 would become the name inf.
            raise ValueError
    return _Set(value) if isinstance(value, set) else value


def render_wsgi(
    app: str, trusted_hops: int, host_header: str, places: t.Sequence[Place] = (), prefix: object = ""
) -> str:
    """Return the wsgi.py whose C(application) is the user's, with forwarded headers of so many proxies believed.

    It answers for the static files of C(places) itself. With a C(prefix) the proxies say below which path it is.
    """
    target = check_app_path(app)
    if host_header and not _HEADER.fullmatch(host_header):
        raise InputError(f"host_header '{host_header}' must be a header's name without '_', such as X-Original-Host")
    if trusted_hops < 0:
        raise InputError(f"trusted_hops '{trusted_hops}' must be 0 or more")
    if host_header and not trusted_hops:
        raise InputError(f"host_header '{host_header}' comes from a proxy, but trusted_hops is 0: set it to 1 or more")
    text = _HEAD.format(app=app, module=target.module, attribute=target.attribute, load=_load_text(target))
    probe, fix = _PROBE, _PROXY_FIX
    if prefix:
        probe, fix = probe.replace(_SEEN, _SEEN_BELOW), fix.replace(_FIXED, _FIXED_BELOW)
    text += _host_class(host_header) + probe + render_files(places) + _LOADS
    text += "application = _Files(application)\n" if places else ""
    if host_header:
        text += "application = _HostFrom(application)\n"
    return text + (fix.format(hops=trusted_hops) if trusted_hops else "")


def complete_wsgi(text: str) -> str:
    """Return the wsgi.py that is written for one of C(render_wsgi), whose text the id of a release is made of."""
    head, trust, rest = text.replace(_LOADS, _LOADS_LOUDLY, 1).partition(_TRUST)
    return head + _PLAIN_FIRST + trust + rest.replace("= ProxyFix(", "= _ProxyFix(", 1) if trust else head


def _load_text(target: Target) -> str:
    if not target.called:
        return _OBJECT.format()
    return _FACTORY.format(args=repr(target.args), kwargs=repr(dict(target.kwargs)))


def _host_class(header: str) -> str:
    key = "HTTP_" + header.upper().replace("-", "_")
    return _HOST_HEADER.format(header=header, key=key) if header else ""
