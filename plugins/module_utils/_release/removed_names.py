# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions of a package still have a name that an import looks for. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t

# By the top module: patterns for C(module:name), or for C(module) alone, and the constraint; the first one counts.
_REMOVED: t.Mapping[str, t.Sequence[tuple[str, str]]] = {
    "werkzeug": (
        (r"werkzeug:__version__", "werkzeug<3.1"),
        (r"werkzeug:\w+|werkzeug\.contrib\b.*|\.wsgi:(?:Dispatcher|SharedData)Middleware", "werkzeug<1"),
        (r"\._compat.*|\.posixemulation.*|\.http:bytes_to_wsgi", "werkzeug<2"),
        (
            r"\.wrappers:(?:Base\w+|\w+Mixin)|\.wrappers\.\w+(?::\w+)?|\.security:(?:safe_str_cmp|pbkdf2_\w+)",
            "werkzeug<2.1",
        ),
        (
            r"\.urls:Href|\.(?:useragents|filesystem)(?::\w+)?|\.local:get_ident|\.serving:run_with_reloader",
            "werkzeug<2.1",
        ),
        (r"\.utils:(?:unescape|format_string|\w+_arguments|ArgumentValidationError)", "werkzeug<2.1"),
        (r"\.wsgi:(?:\w+_path_info|get_script_name)|\.formparser:exhaust_stream", "werkzeug<2.3"),
        (r"\.urls:\w+|\.http:parse_\w+_header|\.wsgi:make_(?:chunk|line)_iter|\._internal:_to_str", "werkzeug<3"),
    ),
    "flask": (
        (r"\.ext\b.*|flask:Module", "flask<1"),
        (r"\._compat.*", "flask<2"),
        (r"(?:flask|\.helpers):(?:safe_join|total_seconds)", "flask<2.1"),
        (r"\.json:(?:JSON(?:En|De)coder|htmlsafe_dumps?)|\.helpers:get_env", "flask<2.3"),
        (r"flask:(?:escape|Markup)|(?:flask|\.globals|\.ctx):_(?:request|app)_ctx_stack", "flask<3"),
        (r"\.scaffold.*|\.helpers:locked_cached_property|\.signals:signals_available", "flask<3"),
    ),
    "jinja2": (
        (r"\._compat.*|\.asyncsupport.*|\.utils:soft_unicode", "jinja2<3"),
        (
            r"(?:jinja2|\.utils|\.filters):(?:escape|Markup|(?:context|evalcontext|environment)(?:filter|function))",
            "jinja2<3.1",
        ),
        (r"\.ext:(?:WithExtension|AutoEscapeExtension|with_|autoescape)", "jinja2<3.1"),
    ),
    "markupsafe": ((r"\._compat.*", "markupsafe<2"), (r".*:soft_unicode", "markupsafe<2.1")),
    "itsdangerous": ((r".*:json|.*:\w*JSONWebSignatureSerializer|\.jws.*", "itsdangerous<2.1"),),
    "click": (
        (r"\._bashcomplete.*", "click<8"),
        (r"click:get_(?:terminal_size|os_args)|\._unicodefun.*", "click<8.1"),
    ),
    "sqlalchemy": (
        (r"\.orm\.query:_\w+Entity|\.engine.*:RowProxy|\.ext\.declarative\.(?:base|clsregistry).*", "sqlalchemy<1.4"),
        (r"\.sql\.sqltypes:Binary", "sqlalchemy<1.4"),
        (r"\.databases.*|\.sql\.expression:_\w+|\.orm:(?:relation|eagerload)|\.exc:RemovedIn20Warning", "sqlalchemy<2"),
        (r"sqlalchemy:__all__", "sqlalchemy<2"),
        (r"\.orm:(?:DeclarativeBase\w*|Mapped|mapped_column|MappedAsDataclass)", "sqlalchemy>=2"),
    ),
    "flask_sqlalchemy": (
        (
            r".*:(?:BaseQuery|get_debug_queries|Pagination|Model|SignallingSession|models_committed)",
            "flask-sqlalchemy<3.1",
        ),
        (r"flask_sqlalchemy:DefaultMeta|.*:before_models_committed", "flask-sqlalchemy<3.1"),
        (r"\._compat.*|.*:(?:get_state|camel_to_snake_case|\w+SignalEvents|SignalTracker)", "flask-sqlalchemy<3"),
    ),
    "wtforms": (
        (r".*:TextField|\.validators:Required|\.widgets.*:HTMLString|\.fields\.core:\w+Field", "wtforms<3"),
        (r"\.(?:compat|ext)\b.*|.*\.html5.*", "wtforms<3"),
    ),
    "flask_wtf": ((r".*:CsrfProtect", "flask-wtf<1"),),
    "flask_migrate": ((r".*:MigrateCommand", "flask-migrate<3"),),
    "flask_jwt_extended": (
        (
            r".*:(?:jwt_optional|\w+_jwt_required|jwt_refresh_token_required|get_raw_jwt\w*|verify_\w+_optional)",
            "flask-jwt-extended<4",
        ),
    ),
    "marshmallow": (
        (r"\.compat.*|\.fields:(?:LocalDateTime|FormattedString)|marshmallow:UnmarshalResult", "marshmallow<3"),
        (r"\.base.*|\.utils:_Missing|marshmallow:(?:pprint|__version__)", "marshmallow<4"),
    ),
    "urllib3": ((r"\.util\.ssl_:DEFAULT_CIPHERS|\.packages\b.*|\.contrib\.(?:appengine|ntlmpool).*", "urllib3<2"),),
    "pydantic": ((r"\.fields:ModelField", "pydantic<2"),),
    "jwt": ((r"jwt:ExpiredSignature|\.contrib\b.*", "pyjwt<2"),),
    "packaging": ((r"\.version:LegacyVersion", "packaging<22"),),
    "celery": ((r"\.(?:task|decorators)\b.*", "celery<5"),),
}
# By class and attribute.
_ATTRIBUTES = (
    (r"'Flask' object .* '(?:before_first_request\w*|json_(?:en|de)coder)'", "flask<2.3"),
    (r"'Blueprint' object .* '(?:before_app_first_request|json_(?:en|de)coder)'", "flask<2.3"),
    (r"'Engine' object .* 'execute'", "sqlalchemy<2"),
)


def constraint_for(module: str, name: str = "") -> str:
    """Return the constraint under which a package has a name, or a module; an empty text when none is known."""
    top, _dot, rest = module.partition(".")
    wanted = f"{module}:{name}" if name else module
    below = f".{rest}:{name}" if name else f".{rest}"
    for pattern, constraint in _REMOVED.get(top, ()):
        if re.fullmatch(pattern, wanted) or (rest and re.fullmatch(pattern, below)):
            return constraint
    return ""


def constraint_for_attribute(said: str) -> str:
    """Return the constraint under which an object has the attribute that C(said) misses; an empty text otherwise."""
    return next((constraint for pattern, constraint in _ATTRIBUTES if re.match(pattern, said)), "")
