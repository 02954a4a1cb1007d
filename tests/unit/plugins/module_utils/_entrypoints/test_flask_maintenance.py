# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application is closed and opened by one file."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.flask_maintenance import (
    PAGE,
    MaintenanceError,
    MaintenanceRequest,
    maintain,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_site
from ansible_collections.flaskops.stack.plugins.module_utils._site.render import render_site
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import Simulation, simulate

RELEASE = "3f2a91c-1b9e02d4"
UNITS = [
    f"shop@{RELEASE}.worker-mail.0.service",
    f"shop@{RELEASE}.timer-tidy.timer",
    f"shop@{RELEASE}.timer-tidy.service",
]


@pytest.fixture
def wish(tmp_path: Path) -> MaintenanceRequest:
    """Return the wish to close an application whose site looks for the flag."""
    layout = Layout(str(tmp_path / "srv"), "shop")
    os.makedirs(layout.release(RELEASE))
    os.symlink(f"releases/{RELEASE}", layout.current)
    found = MaintenanceRequest(layout, True, site=str(tmp_path / "shop.conf"))
    Path(found.site).write_text(f'if (-f "{found.flag}") {{ }}')
    return found


@pytest.fixture
def sim(tmp_path: Path) -> Simulation:
    """Return a host on which all workers and timers run."""
    made = simulate(tmp_path)
    for name in UNITS:
        (tmp_path / name).write_text("[Service]\n")
        made.systemd.start(name)
    return made


def test_it_is_closed_and_opened_once(sim: Simulation, wish: MaintenanceRequest) -> None:
    results = [maintain(sim.host, wish, check)["changed"] for check in (True, False, True, False)]
    assert (results, os.path.exists(wish.flag)) == ([True, True, False, False], True)
    assert stat.S_IMODE(os.stat(wish.page_path).st_mode) == 0o644
    opened = replace(wish, closed=False)
    results = [maintain(sim.host, opened, check)["changed"] for check in (True, False, True, False)]
    assert results == [True, True, False, False]
    assert not os.path.exists(wish.flag)


def test_an_application_below_a_path_is_closed_by_the_site_that_leads_to_it(
    sim: Simulation, wish: MaintenanceRequest, tmp_path: Path
) -> None:
    mounted = replace(wish, site=str(tmp_path / "enabled" / "shop"))
    with pytest.raises(MaintenanceError, match="does not exist, so nginx does not look for"):
        maintain(sim.host, mounted, True)
    (tmp_path / "enabled").mkdir()
    (tmp_path / "enabled" / "other").write_text("server {}")
    with pytest.raises(MaintenanceError, match="does not exist, so nginx does not look for"):
        maintain(sim.host, mounted, True)
    (tmp_path / "enabled" / "front").write_text(f'if (-f "{mounted.flag}") {{ }}')
    assert maintain(sim.host, mounted, False)["changed"]
    assert os.path.exists(mounted.flag)


def test_a_chosen_page_is_used_again(sim: Simulation, wish: MaintenanceRequest) -> None:
    maintain(sim.host, wish, False)
    assert Path(wish.page_path).read_text() == PAGE
    assert maintain(sim.host, replace(wish, page="<p>soon"), False)["changed"]
    maintain(sim.host, replace(wish, closed=False), False)
    maintain(sim.host, wish, False)
    assert Path(wish.page_path).read_text() == "<p>soon"


def test_a_page_that_is_not_utf_8_is_refused(sim: Simulation, wish: MaintenanceRequest) -> None:
    # As Ansible reads a file in Latin-1.
    page = b"<p>Wartung f\xfcr heute</p>".decode("utf-8", "surrogateescape")
    with pytest.raises(MaintenanceError, match="page has bytes that are no UTF-8"):
        maintain(sim.host, replace(wish, page=page), False)
    assert not os.path.exists(wish.flag)


def test_a_site_that_says_it_in_the_language_of_the_visitor_needs_no_page(
    sim: Simulation, wish: MaintenanceRequest
) -> None:
    maintain(sim.host, wish, False)
    text = {"title": "Wartung", "text": "Bitte kommen Sie wieder."}
    site = {
        "name": "shop",
        "domains": ["shop.test"],
        "upstream": ["127.0.0.1:9"],
        "maintenance": {"flag": wish.flag},
        "error_pages": {"de": {"maintenance": text}},
    }
    Path(wish.site).write_text(render_site(parse_site(site, {}), (1, 26)))
    # The usual page of an earlier time would hide it.
    assert [maintain(sim.host, wish, check)["changed"] for check in (True, False, True)] == [True, True, False]
    assert not os.path.exists(wish.page_path)
    maintain(sim.host, replace(wish, page="<p>soon"), False)
    assert not maintain(sim.host, wish, False)["changed"]
    assert Path(wish.page_path).read_text() == "<p>soon"


def test_a_site_that_would_not_notice_is_refused(sim: Simulation, wish: MaintenanceRequest) -> None:
    Path(wish.site).write_text("server { }")
    with pytest.raises(MaintenanceError, match=r"does not look for .*/maintenance/on: .* Run site.yml once"):
        maintain(sim.host, wish, True)
    os.unlink(wish.site)
    with pytest.raises(MaintenanceError, match="does not exist"):
        maintain(sim.host, wish, False)
    assert maintain(sim.host, replace(wish, closed=False), False)["changed"] is False


def test_an_application_that_is_not_there_is_named_with_those_that_are(
    sim: Simulation, wish: MaintenanceRequest
) -> None:
    with pytest.raises(MaintenanceError, match=r"no application 'blog' below .*; there are: shop$"):
        maintain(sim.host, replace(wish, layout=Layout(wish.layout.root, "blog")), False)


def test_workers_and_timers_pause_when_asked_and_start_again(wish: MaintenanceRequest, sim: Simulation) -> None:
    assert maintain(sim.host, replace(wish, pause=True), False)["units"] == sorted(UNITS)
    assert sim.commands.told() == [f"stop {UNITS[1]}", f"stop {UNITS[2]} {UNITS[0]}"]
    sim.commands.asked.clear()
    maintain(sim.host, replace(wish, closed=False), False)
    assert sim.commands.told() == [f"start {UNITS[1]} {UNITS[0]}"]
    sim.commands.asked.clear()
    maintain(sim.host, replace(wish, closed=False), False)
    assert sim.commands.told() == []


def test_they_are_left_alone_when_not_asked_and_after_a_deploy_meanwhile(
    wish: MaintenanceRequest, sim: Simulation
) -> None:
    maintain(sim.host, wish, False)
    assert sim.commands.told() == []
    maintain(sim.host, replace(wish, pause=True), False)
    sim.commands.asked.clear()
    os.unlink(wish.layout.current)
    os.symlink("releases/90b1c7e-77aa01f2", wish.layout.current)
    maintain(sim.host, replace(wish, closed=False), False)
    assert sim.commands.told() == []
