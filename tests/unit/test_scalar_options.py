# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each option of an application that is a text, a number or a flag, given as another type to what reads it first."""

from __future__ import annotations

import contextlib
import copy
import datetime
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.flaskops.stack.plugins.filter.derive import FilterModule as Derive
from ansible_collections.flaskops.stack.plugins.filter.flask_packages import FilterModule as Packages
from ansible_collections.flaskops.stack.plugins.filter.nginx_site_configs import FilterModule as Sites
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import APP, Flag, Text, Whole

SPECS = Path(__file__).parents[2] / "roles/flask/meta/argument_specs.yml"
FILTERS: dict[str, t.Callable[..., t.Any]] = {**Derive().filters(), **Packages().filters(), **Sites().filters()}
Item = dict[str, t.Any]
RELEASES = [{"name": "shop", "path": "/srv/shop/releases/a"}]
SHOP: Item = {
    "name": "shop",
    "source": "./shop",
    "app": "shop:app",
    "domains": ["shop.example.com"],
    "workers": [{"name": "mail", "command": "celery worker"}],
    "timers": [{"name": "clean", "command": "flask clean", "schedule": "daily"}],
    "files": [{"path": "app.cfg", "content": "DEBUG = false"}],
    "nginx": {
        "static": [{"url": "/static/", "path": "static"}],
        "locations": [{"path": "/admin/"}],
        "limits": [{"path": "/login", "rate": "5r/s"}],
        "access": [{"path": "/admin", "methods": ["GET"]}],
        "mounts": [
            {
                "path": "/blog",
                "upstream": ["10.0.0.3:80"],
                "locations": [{"path": "/blog/admin/"}],
                "basic_auth": {"users": [{"name": "alice", "password": "secret"}]},
            }
        ],
        "basic_auth": {"users": [{"name": "alice", "password": "secret"}]},
    },
}
WRONG: list[t.Any] = [None, "", "x y", True, False, 0, -1, 3.12, {}, {"a": None}, [], [None], [{}], b"x"]
WRONG += [datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC), "\x1b[31m"]


def option_paths(options: Item, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    """Yield the paths of all options; 0 stands for the element of a list."""
    for name, option in options.items():
        here = (*path, name)
        yield here
        yield from option_paths(option.get("options", {}), (*here, 0) if option["type"] == "list" else here)


def changed(path: tuple[t.Any, ...], value: object) -> Item:
    """Return an application with another value at a path."""
    item = copy.deepcopy(SHOP)
    place: t.Any = item
    for key in path[:-1]:
        place = place[key] if key == 0 or key in place else place.setdefault(key, {})
    place[path[-1]] = value
    return item


OPTIONS = yaml.safe_load(SPECS.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]["flask_apps"]
PATHS = list(option_paths(OPTIONS["options"]))


def read_packages(app: Item) -> None:
    FILTERS["flask_packages"]([app])


def read_sites(app: Item) -> None:
    FILTERS["nginx_site_configs"](FILTERS["nginx_sites"]([app]))


def read_services(app: Item) -> None:
    FILTERS["gunicorn_services"]([app], RELEASES)


@pytest.mark.parametrize("read", [read_packages, read_sites, read_services])
@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_no_value_of_any_option_ends_in_an_error_of_python(
    path: tuple[t.Any, ...], read: t.Callable[[Item], None]
) -> None:
    for value in WRONG:
        with contextlib.suppress(AnsibleFilterError):
            read(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("name",), False, r"flask_apps\[0\]: name must be a text, not false.* in quotes, as name: 'shop'"),
        (("name",), 3, "name '3' must be 1 to 31 lower-case letters"),
        (("user",), True, "app 'shop': user must be a text, not true.* in quotes, as user: 'shop'"),
        (("user",), {"name": "shop"}, "user must be a text, not a dictionary with the keys name"),
        (("python",), 3.1, "YAML reads 3.10 without quotes as 3.1.*python: '3.10'"),
        (("keep",), "many", "app 'shop': keep must be a whole number, not \"many\""),
        (("trusted_hops",), 1.5, "trusted_hops must be a whole number, not 1.5"),
        (("gunicorn", "instances"), "two", 'gunicorn.instances must be a whole number, not "two"'),
        (("nginx", "read_timeout"), "1m", 'nginx.read_timeout must be a whole number, not "1m"'),
        (("build_with_deploy_key",), "maybe", 'build_with_deploy_key must be true or false, not "maybe"'),
        (("nginx", "static", 0, "path"), ["a"], r"static\[0\].path must be a text"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_what_to_write(
    path: tuple[t.Any, ...], value: object, message: str
) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        FILTERS["flask_packages"]([changed(path, value)])


def test_the_readers_know_each_option_of_an_application_that_is_no_list() -> None:
    kinds = {"str": Text, "path": Text, "int": Whole, "bool": Flag}
    wanted = {name: kinds[option["type"]] for name, option in OPTIONS["options"].items() if option["type"] in kinds}
    assert {name: type(kind) for name, kind in APP.items() if isinstance(kind, (Text, Whole, Flag))} == wanted


def test_a_number_is_a_text_where_one_is_meant() -> None:
    app = {**SHOP, "python": 3.12, "version": 2, "user": "shop", "keep": "3", "trusted_hops": "2"}
    assert FILTERS["flask_packages"]([app])
    assert FILTERS["nginx_sites"]([app])[0]["behind_proxy"]


def test_a_deploy_key_of_the_wrong_type_is_not_shown() -> None:
    with pytest.raises(AnsibleFilterError, match="deploy_key must be a text") as caught:
        FILTERS["flask_packages"]([{**SHOP, "deploy_key": ["s3cret"]}])
    assert "s3cret" not in str(caught.value)
