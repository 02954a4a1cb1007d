# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options are described once, and all that shows or reads them says the same."""

from __future__ import annotations

import inspect
import shutil
import typing as t
from dataclasses import fields
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import INSTALLERS, parse_app
from ansible_collections.flaskops.stack.plugins.module_utils._app.source import TYPES
from ansible_collections.flaskops.stack.plugins.module_utils._build.adopt import ExistingApp
from ansible_collections.flaskops.stack.plugins.module_utils._build.archive import extract
from ansible_collections.flaskops.stack.plugins.module_utils._build.download import download
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.service import DeployOptions
from ansible_collections.flaskops.stack.plugins.module_utils._input import defaults
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import OVERLAPS, STAGES
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import NginxLayout
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.policy import KINDS
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.request import NginxRequest
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import LOG_LEVELS, WORKER_REQUIREMENTS
from ansible_collections.flaskops.stack.plugins.module_utils._site.lines import TLS_PROFILES
from ansible_collections.flaskops.stack.plugins.module_utils._site.model import Cache, Maintenance, Site, Static, Tls
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import (
    BALANCES,
    DEFAULT_KEYS,
    LOG_FORMATS,
    STATES,
)

from tools.cli.specs import main
from tools.common import ROOT
from tools.specs.model import SCHEMA, Option, SchemaError, load
from tools.specs.readme import prose
from tools.specs.write import written_files

SPECS = "roles/{}/meta/argument_specs.yml"
README = "roles/{}/README.md"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a directory with the files that the schema is written to, and the schema."""
    for path in [*written_files(load(), ROOT), *SCHEMA.glob("*.yml")]:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return tmp_path


def changed_by(checkout: Path, name: str, old: str, new: str) -> set[str]:
    """Change a text of the schema, write all files, and return the names of those that have changed."""
    path = checkout / "tools/specs/schema" / name
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    before = {path: path.read_text(encoding="utf-8") for path in checkout.rglob("*") if path.is_file()}
    assert main([], checkout) == 0
    return {
        str(path.relative_to(checkout)) for path, text in before.items() if path.read_text(encoding="utf-8") != text
    }


def by_name(options: t.Iterable[Option]) -> dict[str, Option]:
    """Return options by their names."""
    return {option.name: option for option in options}


def test_every_file_is_what_the_schema_says() -> None:
    assert main(["--check"]) == 0, "run `make specs`"


def test_each_module_is_described_in_the_schema() -> None:
    assert set(load().modules) == {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}


def test_a_module_without_a_part_on_the_host_has_its_arguments_in_its_action_plugin(checkout: Path) -> None:
    assert changed_by(checkout, "modules.yml", "- without_lost:", "- without_host:") == {
        "plugins/modules/fleet.py",
        "plugins/action/fleet.py",
    }


def test_a_description_stands_once(checkout: Path) -> None:
    assert changed_by(checkout, "service.yml", "Threads per worker.", "Threads of each worker.") == {
        SPECS.format("flask"),
        SPECS.format("gunicorn"),
        README.format("flask"),
        README.format("gunicorn"),
        "plugins/modules/gunicorn_service.py",
    }
    assert changed_by(checkout, "site.yml", "Port for HTTPS.", "Port of HTTPS.") == {
        SPECS.format("flask"),
        SPECS.format("nginx"),
        README.format("flask"),
        README.format("nginx"),
    }
    assert changed_by(checkout, "application.yml", "Subdirectory of the source", "Directory of the source") == {
        SPECS.format("flask"),
        README.format("flask"),
        "plugins/modules/flask_release.py",
    }


def test_a_default_stands_once(checkout: Path) -> None:
    assert changed_by(checkout, "application.yml", "default: 4096", "default: 2048") == {
        SPECS.format("flask"),
        README.format("flask"),
        "roles/flask/defaults/main.yml",
        "plugins/modules/flask_release.py",
        "plugins/module_utils/_input/defaults.py",
    }
    text = (checkout / "plugins/module_utils/_input/defaults.py").read_text(encoding="utf-8")
    assert '"source_max_mib": 2048' in text


def test_a_default_of_a_site_stands_once(checkout: Path) -> None:
    assert changed_by(checkout, "site.yml", "default: 16m", "default: 32m") == {
        SPECS.format("flask"),
        SPECS.format("nginx"),
        README.format("flask"),
        README.format("nginx"),
        "plugins/module_utils/_site/model.py",
    }


def test_an_example_stands_once(checkout: Path) -> None:
    values = "plugins/module_utils/_input/values.py"
    assert changed_by(checkout, "application.yml", "example: gunicorn>=23", "example: gunicorn>=24") == {values}
    assert 'Text("gunicorn>=24")' in (checkout / values).read_text(encoding="utf-8")


def test_an_option_comes_into_all_files(checkout: Path) -> None:
    option = "  x_test:\n    description: A new setting.\n    type: int\n    default: 7\n  instances:\n"
    changed = changed_by(checkout, "service.yml", "  instances:\n", option)
    assert changed == {
        SPECS.format("flask"),
        SPECS.format("gunicorn"),
        README.format("flask"),
        README.format("gunicorn"),
        "plugins/modules/gunicorn_service.py",
        "plugins/module_utils/_input/defaults.py",
        "plugins/plugin_utils/input_schema.json",
    }
    assert all("x_test" in (checkout / name).read_text(encoding="utf-8") for name in changed)


def test_the_check_names_what_differs_and_changes_nothing(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = checkout / README.format("nginx")
    path.write_text(path.read_text(encoding="utf-8").replace("Port for HTTPS.", "Port."), encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    assert main(["--check"], checkout) == 1
    assert capsys.readouterr().err == "roles/nginx/README.md differs from the schema: run `make specs`\n"
    assert path.read_text(encoding="utf-8") == text
    assert main([], checkout) == 0
    assert main(["--check"], checkout) == 0


def test_a_file_without_its_marks_is_named(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / README.format("nginx")).write_text("# nginx\n", encoding="utf-8")
    assert main([], checkout) == 1
    assert "roles/nginx/README.md must have the lines '<!-- begin variables:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("type: int", "type: integer", "has the type 'integer': use one of str, path,"),
        ("type: int", "type: list", "lists, and nothing else, have elements"),
        ("default: 0", "default: four", "has the default 'four', which is no int"),
        ("default: 0", "default: true", "has the default True, which is no int"),
        ("default: 0", "required: true\n    default: 0", "is required and has a default"),
        ("default: 0", "choices: [1, 2]\n    default: 0", "has the default 0, which is none of its choices"),
        ("default: 0", "defualt: 4", "has the unknown key 'defualt'"),
        ("Threads per worker.", "Threads per <<thread>>.", "has the word <<thread>>, which the place does not have"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(checkout: Path, old: str, new: str, said: str) -> None:
    path = checkout / "tools/specs/schema/service.yml"
    head, start, rest = path.read_text(encoding="utf-8").partition("\n  threads:\n")
    assert old in rest
    path.write_text(head + start + rest.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SchemaError) as error:
        load(path.parent)
    assert ".threads" in str(error.value)
    assert said in str(error.value)


def test_what_is_read_at_run_time_has_the_defaults_of_the_schema() -> None:
    schema = load()
    assert schema.defaults("gunicorn") == defaults.DEFAULTS
    assert schema.defaults("worker") == defaults.WORKER_DEFAULTS
    assert schema.defaults("timer") == defaults.TIMER_DEFAULTS
    app = parse_app({"name": "shop", "source": "./shop", "app": "shop:app"}, "/srv")
    for name in ("python", "installer", "build_timeout", "source_max_mib", "keep"):
        assert getattr(app, name) == schema.defaults("builds")[name], name
    assert app.trusted_hops == schema.defaults("application")["trusted_hops"]
    assert app.hooks.timeout == schema.defaults("hooks")["timeout"]
    service = {"name": "shop", "app": "shop:app", "directory": "/srv/code", "virtualenv": "/srv/venv"}
    existing = ExistingApp.from_params(service)
    assert existing.keep == schema.defaults("service")["keep"]
    assert existing.trusted_hops == schema.defaults("service")["trusted_hops"]


def test_what_is_built_without_an_option_has_its_default() -> None:
    schema = load()
    builds, nginx = by_name(schema.group("builds")), by_name(schema.modules["nginx_site"].options)
    stated: list[tuple[object, Option]] = [
        (Manifest.keep, builds["keep"]),
        (DeployOptions.lock_timeout, builds["lock_timeout"]),
        (inspect.signature(extract).parameters["max_mib"].default, builds["source_max_mib"]),
        (inspect.signature(download).parameters["max_mib"].default, builds["source_max_mib"]),
        (inspect.signature(download).parameters["timeout"].default, builds["build_timeout"]),
        (NginxLayout.keep, nginx["keep"]),
        (NginxRequest.service, nginx["service"]),
        (NginxRequest.lock_timeout, nginx["lock_timeout"]),
        (NginxRequest.reload_timeout, nginx["reload_timeout"]),
    ]
    assert [option.name for found, option in stated if found != option.default] == []


def test_a_site_has_the_defaults_of_the_schema() -> None:
    options = by_name(load().group("site"))
    nested: dict[str, type] = {"static": Static, "cache": Cache, "maintenance": Maintenance, "tls": Tls}
    for place, kind in [("", Site), *nested.items()]:
        stated = by_name(options[place].options) if place else options
        for field in fields(t.cast("t.Any", kind)):
            if isinstance(field.default, (str, int)) and stated[field.name].has_default:
                # The renderer leaves "refuse" to module nginx_site, whose default it is.
                assert field.default == ("" if field.name == "foreign" else stated[field.name].default), field.name


def test_choices_are_those_that_the_code_knows() -> None:
    schema = load()
    service, site = by_name(schema.group("gunicorn")), by_name(schema.group("site"))
    known: list[tuple[Option, t.Iterable[str]]] = [
        (service["worker_class"], WORKER_REQUIREMENTS),
        (service["log_level"], LOG_LEVELS),
        (by_name(schema.group("builds"))["installer"], INSTALLERS),
        (by_name(schema.group("application"))["installer"], INSTALLERS),
        (by_name(schema.group("deploys"))["overlap"], OVERLAPS),
        (site["state"], STATES),
        (site["balance"], BALANCES),
        (site["access_log"], LOG_FORMATS),
        (by_name(site["tls"].options)["profile"], TLS_PROFILES),
        (by_name(schema.modules["nginx_site"].options)["tolerate"], KINDS),
    ]
    for option, choices in known:
        assert sorted(option.choices) == sorted(choices), option.name
    assert set(by_name(schema.group("application"))["source_type"].choices) <= {*TYPES, "auto"}
    assert set(STAGES) < {option.name for option in schema.group("hooks")}
    (only,) = [option for option in schema.roles["nginx"].options if option.name == "nginx_site_defaults"]
    assert tuple(by_name(only.options)) == DEFAULT_KEYS


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("see O(a.b.c#module:apps[].hooks)", "see `apps[].hooks` of module `a.b.c`"),
        ("see O(a.b.c#role:main:flask_apps[].user)", "see `flask_apps[].user` of role `a.b.c`"),
        ("see O(user=root) and P(a.b.c#role)", "see `user=root` and `a.b.c`"),
    ],
)
def test_a_readme_says_whose_an_option_is(markup: str, text: str) -> None:
    assert prose(markup) == text
