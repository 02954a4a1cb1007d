# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of a run leave for its end, and for each other."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible_collections.flaskops.stack.plugins.action.fleet import parse
from ansible_collections.flaskops.stack.plugins.plugin_utils import _run_record
from ansible_collections.flaskops.stack.plugins.plugin_utils._secret_watch import warn_of_unequal

V1 = "1111111-11111111"
OURS = {_run_record.VARIABLE: True, "inventory_hostname": "web1"}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return tmp_path


def test_a_playbook_of_somebody_else_leaves_nothing(directory: Path) -> None:
    _run_record.note({"inventory_hostname": "web1"}, "reached", serving={})
    assert (list(directory.iterdir()), _run_record.read()) == ([], [])


def test_a_task_knows_what_its_host_served_when_the_run_began() -> None:
    _run_record.note(OURS, "reached", serving={"shop": V1})
    assert _run_record.serving_at_start(OURS) == {"shop": V1}
    assert _run_record.serving_at_start({**OURS, "inventory_hostname": "web2"}) == {}


def test_the_second_playbook_of_a_run_is_not_overtaken_by_the_first() -> None:
    for release in (V1, "2222222-22222222"):
        _run_record.note(OURS, "reached", serving={"shop": release})
    assert _run_record.serving_at_start(OURS) == {"shop": "2222222-22222222"}


def test_a_reason_is_one_line_and_nothing_where_output_is_hidden() -> None:
    answer: dict[str, t.Any] = {"services": [{"name": "shop", "error": "/ answered 500\nits log: token=abc"}]}
    _run_record.note_services(OURS, answer, secret=False)
    _run_record.note_services(OURS, answer, secret=True)
    assert [entry["error"] for entry in _run_record.read()] == ["/ answered 500", "see its error above"]


def test_what_could_not_be_built_is_noted_with_what_goes_on_serving() -> None:
    answer = {"errors": {"shop": "app 'shop': git cannot read"}, "serving": {"shop": "1111111-11111111"}}
    _run_record.note_apps(OURS, [{"name": "shop"}, {"name": "blog"}], {}, answer, secret=False)
    assert [(entry["name"], entry["serving"]) for entry in _run_record.read()] == [
        ("shop", "1111111-11111111"),
        ("blog", None),
    ]


def test_it_is_known_whether_a_user_has_said_that_two_releases_may_run_at_once() -> None:
    apps: list[dict[str, t.Any]] = [
        {"name": "shop"},
        {"name": "blog", "gunicorn": {"workers": 1, "overlap": None}},
        {"name": "wiki", "gunicorn": {"overlap": "allow"}},
    ]
    _run_record.note_apps(OURS, apps, {}, {}, secret=False)
    assert [entry["overlap"] for entry in _run_record.read()] == [False, False, True]


def playing(*hosts: str, **more: object) -> dict[str, t.Any]:
    return {**OURS, "ansible_play_hosts_all": ["web1", "web2", "web3"], "ansible_play_hosts": list(hosts), **more}


def test_a_batch_does_not_begin_after_a_host_was_lost() -> None:
    _run_record.refuse_after_loss(playing("web1", "web2", "web3"))
    with pytest.raises(AnsibleActionFail, match="web2 failed, or was lost"):
        _run_record.refuse_after_loss(playing("web1", "web3"))
    for accepted in ("40", "40%", 40, " 40 %"):
        _run_record.refuse_after_loss(playing("web1", "web3", max_failed_percentage=accepted))
        # The name that earlier versions read, of which Ansible warns.
        _run_record.refuse_after_loss(playing("web1", "web3", max_fail_percentage=accepted))
        _run_record.refuse_after_loss(playing("web1", max_failed_percentage=accepted, max_fail_percentage=0))
    with pytest.raises(AnsibleActionFail, match="-e max_failed_percentage=N"):
        _run_record.refuse_after_loss(playing("web1", max_failed_percentage="0", max_fail_percentage=40))


@pytest.mark.parametrize("share", ["a third", "{{ share }}", [20]])
@pytest.mark.parametrize("name", ["max_failed_percentage", "max_fail_percentage"])
def test_a_share_that_is_no_number_is_named(name: str, share: object) -> None:
    with pytest.raises(AnsibleActionFail, match=f"{name} must be a number of percent"):
        _run_record.refuse_after_loss(playing("web1", "web3", **{name: share}))


def test_a_host_that_was_given_up_before_anything_began_stops_nobody() -> None:
    _run_record.note_lost({**OURS, "inventory_hostname": "web2"}, "reach", "no route to host")
    _run_record.refuse_after_loss(playing("web1", "web3"))


@pytest.mark.parametrize(
    ("app", "url"),
    [
        ({"domains": ["shop.test"]}, "http://shop.test/"),
        ({"domains": ["shop.test"], "nginx": {"tls": {"certificate": "/c", "key": "/k"}}}, "https://shop.test/"),
        ({}, "not published, because it has no domains"),
    ],
)
def test_visitors_find_an_application_at_its_address(app: dict[str, t.Any], url: str) -> None:
    assert _run_record.address_of({"name": "shop", **app}, "/srv", {}) == url


def test_an_application_below_a_path_is_published_by_the_site_of_another() -> None:
    location = {"path": "/blog/", "upstream": ["unix:/srv/blog/current/run/0.sock"]}
    front = {"name": "front", "domains": ["shop.test"], "nginx": {"locations": [location]}}
    assert _run_record.address_of({"name": "blog"}, "/srv", {}, [front]) == "published by the site of front"
    assert "not published" in _run_record.address_of({"name": "log"}, "/srv", {}, [front])


def test_what_a_host_serves_is_read_from_its_links() -> None:
    text = f"shop/current releases/{V1}\nwiki/current releases/x/\nLast login: today\nflaskops-reached"
    assert parse(text) == {"shop": V1, "wiki": "x"}


def secrets_of(**values: str) -> list[dict[str, t.Any]]:
    return [{"name": "shop", "secrets": values}]


def test_secrets_that_differ_between_hosts_are_named_once_and_never_shown(directory: Path) -> None:
    assert warn_of_unequal(secrets_of(KEY="one-value", TOKEN="same"), "web1") == []
    (warning,) = warn_of_unequal(secrets_of(KEY="other-value", TOKEN="same"), "web2")
    assert "secret KEY has another value on web2 than on web1" in warning
    assert warn_of_unequal(secrets_of(KEY="third-value", TOKEN="same"), "web3") == []
    kept = "".join(path.read_text() for path in directory.iterdir())
    assert not any(value in kept + warning for value in ("one-value", "other-value", "same"))
