# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventories to copy: what they describe can be built and published."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import parse_apps
from ansible_collections.flaskops.stack.plugins.module_utils._app.derive import derive_sites
from ansible_collections.flaskops.stack.plugins.module_utils._app.proxy_trust import trust_warnings
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import to_plain
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_sites

EXAMPLES = Path(__file__).parents[2] / "examples" / "inventories"


def variables_of(name: str) -> dict[str, dict[str, t.Any]]:
    """Return the variables of each host of an inventory, with their templates resolved."""
    loader = DataLoader()
    inventory = InventoryManager(loader, sources=[str(EXAMPLES / name)])
    manager = VariableManager(loader, inventory)
    found = {}
    for host in inventory.get_hosts():
        variables = manager.get_vars(host=host)
        templar = Templar(loader, variables=variables)
        names = [key for key in variables if key.startswith(("flask_", "nginx_"))]
        found[host.name] = to_plain({key: templar.template(variables[key]) for key in names})
    return found


@pytest.mark.parametrize("name", ["one-host.yml", "several-apps.yml", "fleet"])
def test_what_an_example_describes_can_be_published(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # One of them reads a deploy key from there.
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "shop-deploy").write_text("key\n")
    hosts = variables_of(name)
    assert hosts
    for variables in hosts.values():
        apps, defaults = variables["flask_apps"], variables.get("nginx_site_defaults", {})
        assert parse_apps(apps, "/srv")
        assert parse_sites([*variables.get("nginx_sites", []), *derive_sites(apps, "/srv")], defaults)
        assert trust_warnings(apps, defaults) == []


def test_behind_a_balancer_its_addresses_alone_are_believed_and_its_question_by_address_is_answered() -> None:
    variables = variables_of("fleet")["web2.example.com"]
    (app,), (balancer,) = variables["flask_apps"], variables["nginx_sites"]
    assert (app["trusted_hops"], app["nginx"]["trusted_proxies"]) == (2, ["10.0.0.0/24"])
    (location,) = balancer["locations"]
    assert (balancer["domains"], location["path"]) == (["10.0.0.12"], "= /healthz")
    assert location["upstream"] == [f"unix:/srv/{app['name']}/current/run/0.sock"]
    assert location["config"].splitlines()[-2:] == ["allow 10.0.0.0/24;", "deny all;"]
