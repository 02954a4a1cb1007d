# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that a package no longer has, and the constraint that brings them back.

Each was imported from the last release that has it and the first that does not.
"""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._release.import_ways import import_way
from ansible_collections.flaskops.stack.plugins.module_utils._release.removed_names import constraint_for

SITE = "/srv/shop/releases/x/venv/lib/python3.13/site-packages"


@pytest.mark.parametrize(
    ("module", "name", "wanted"),
    [
        ("werkzeug", "secure_filename", "werkzeug<1"),
        ("werkzeug", "__version__", "werkzeug<3.1"),
        ("werkzeug.contrib", "", "werkzeug<1"),
        ("werkzeug.contrib.fixers", "", "werkzeug<1"),
        ("werkzeug.wsgi", "DispatcherMiddleware", "werkzeug<1"),
        ("werkzeug._compat", "", "werkzeug<2"),
        ("werkzeug.wrappers", "BaseResponse", "werkzeug<2.1"),
        ("werkzeug.wrappers", "ETagRequestMixin", "werkzeug<2.1"),
        ("werkzeug.wrappers.json", "", "werkzeug<2.1"),
        ("werkzeug.security", "safe_str_cmp", "werkzeug<2.1"),
        ("werkzeug.urls", "Href", "werkzeug<2.1"),
        ("werkzeug.useragents", "", "werkzeug<2.1"),
        ("werkzeug.wsgi", "pop_path_info", "werkzeug<2.3"),
        ("werkzeug.urls", "url_quote", "werkzeug<3"),
        ("werkzeug.urls", "url_parse", "werkzeug<3"),
        ("werkzeug.http", "parse_authorization_header", "werkzeug<3"),
        ("werkzeug.wsgi", "make_line_iter", "werkzeug<3"),
        ("flask._compat", "", "flask<2"),
        ("flask.ext", "", "flask<1"),
        ("flask.ext.login", "", "flask<1"),
        ("flask.helpers", "safe_join", "flask<2.1"),
        ("flask", "safe_join", "flask<2.1"),
        ("flask.json", "JSONEncoder", "flask<2.3"),
        ("flask.helpers", "get_env", "flask<2.3"),
        ("flask", "escape", "flask<3"),
        ("flask", "Markup", "flask<3"),
        ("flask", "_request_ctx_stack", "flask<3"),
        ("flask.globals", "_app_ctx_stack", "flask<3"),
        ("flask.scaffold", "", "flask<3"),
        ("jinja2._compat", "", "jinja2<3"),
        ("jinja2", "contextfilter", "jinja2<3.1"),
        ("jinja2", "Markup", "jinja2<3.1"),
        ("jinja2.utils", "escape", "jinja2<3.1"),
        ("jinja2.ext", "autoescape", "jinja2<3.1"),
        ("markupsafe", "soft_unicode", "markupsafe<2.1"),
        ("itsdangerous", "TimedJSONWebSignatureSerializer", "itsdangerous<2.1"),
        ("itsdangerous", "json", "itsdangerous<2.1"),
        ("click", "get_terminal_size", "click<8.1"),
        ("click._unicodefun", "", "click<8.1"),
        ("click._bashcomplete", "", "click<8"),
        ("sqlalchemy.engine", "RowProxy", "sqlalchemy<1.4"),
        ("sqlalchemy.ext.declarative.clsregistry", "", "sqlalchemy<1.4"),
        ("sqlalchemy.orm", "relation", "sqlalchemy<2"),
        ("sqlalchemy.databases", "", "sqlalchemy<2"),
        ("sqlalchemy.orm", "DeclarativeBase", "sqlalchemy>=2"),
        ("flask_sqlalchemy", "BaseQuery", "flask-sqlalchemy<3.1"),
        ("flask_sqlalchemy._compat", "", "flask-sqlalchemy<3"),
        ("wtforms", "TextField", "wtforms<3"),
        ("wtforms.fields.html5", "", "wtforms<3"),
        ("wtforms.validators", "Required", "wtforms<3"),
        ("wtforms.fields.core", "StringField", "wtforms<3"),
        ("wtforms.ext", "", "wtforms<3"),
        ("flask_wtf.csrf", "CsrfProtect", "flask-wtf<1"),
        ("flask_migrate", "MigrateCommand", "flask-migrate<3"),
        ("flask_jwt_extended", "jwt_optional", "flask-jwt-extended<4"),
        ("marshmallow.base", "", "marshmallow<4"),
        ("marshmallow", "pprint", "marshmallow<4"),
        ("marshmallow.compat", "", "marshmallow<3"),
        ("urllib3.util.ssl_", "DEFAULT_CIPHERS", "urllib3<2"),
        ("urllib3.packages.six.moves", "", "urllib3<2"),
        ("pydantic.fields", "ModelField", "pydantic<2"),
        ("jwt.contrib", "", "pyjwt<2"),
        ("packaging.version", "LegacyVersion", "packaging<22"),
        ("celery.task", "", "celery<5"),
    ],
)
def test_a_removed_name_names_the_last_version_that_has_it(module: str, name: str, wanted: str) -> None:
    assert constraint_for(module, name) == wanted
    said = f"cannot import name '{name}' from '{module}' ({SITE}/x.py)" if name else f"No module named '{module}'"
    kind = "ImportError" if name else "ModuleNotFoundError"
    assert f"'{wanted}' to constraints" in import_way(f'  File "{SITE}/y.py", line 1\n{kind}: {said}', "shop")
    if name:
        said = f"AttributeError: module '{module}' has no attribute '{name}'"
        assert f"'{wanted}' to constraints" in import_way(said, "shop")


@pytest.mark.parametrize(
    ("module", "name"),
    [("werkzeug.utils", "redirect"), ("flask", "Flask"), ("shop", "x"), ("sqlalchemy.orm", "mapper"), ("flask", "")],
)
def test_of_other_names_nothing_is_known(module: str, name: str) -> None:
    assert constraint_for(module, name) == ""


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("'Flask' object has no attribute 'before_first_request'", "flask<2.3"),
        ("'Blueprint' object has no attribute 'before_app_first_request'", "flask<2.3"),
        ("'Flask' object has no attribute 'json_encoder'", "flask<2.3"),
        ("'Engine' object has no attribute 'execute'", "sqlalchemy<2"),
        ("module 'sqlalchemy' has no attribute '__all__'", "sqlalchemy<2"),
    ],
)
def test_a_removed_attribute_names_it_as_well(said: str, wanted: str) -> None:
    assert f"'{wanted}' to constraints" in import_way(f"AttributeError: {said}", "shop")


def test_pydantic_says_itself_that_a_name_has_moved() -> None:
    said = "pydantic.errors.PydanticImportError: `BaseSettings` has been moved to the `pydantic-settings` package."
    assert "'pydantic<2' to constraints" in import_way(said, "shop")


@pytest.mark.parametrize(
    "said",
    [
        "ImportError: cannot import name 'Mapping' from 'collections' (/usr/lib/python3.13/collections/__init__.py)",
        "ImportError: cannot import name 'x' from 'inspect' (/root/uv/python/cpython-3.13/lib/python3.13/inspect.py)",
        "AttributeError: module 'collections' has no attribute 'Callable'",
        "AttributeError: module 'inspect' has no attribute 'getargspec'. Did you mean: 'getargs'?",
        "AttributeError: module 'pkgutil' has no attribute 'ImpImporter'. Did you mean: 'zipimporter'?",
        "AttributeError: module 'asyncio' has no attribute 'coroutine'",
    ],
)
def test_what_python_itself_no_longer_has_names_an_older_one(said: str) -> None:
    assert "set python to an older one" in import_way(said, "shop")
    assert "constraints" not in import_way(said, "shop")


@pytest.mark.parametrize(
    "said",
    [
        "AttributeError: module 'shop.db' has no attribute 'x'",
        "AttributeError: 'Shop' object has no attribute 'execute'",
        "AttributeError: 'NoneType' object has no attribute 'before_first_request'",
    ],
)
def test_other_attributes_are_the_applications_own(said: str) -> None:
    assert import_way(said, "shop") == ""
