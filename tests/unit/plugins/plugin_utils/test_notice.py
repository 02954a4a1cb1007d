# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets a notice of a run, and what is in it."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.plugin_utils._notice import EVENTS, Notice, bodies, read_notices

URL = "https://hooks.example.com/services/T0/B0/s3cr3t-token"
V1, V2, V3 = "1111111-11111111", "2222222-22222222", "3333333-33333333"
ABOUT = {"run": "0123456789ab", "by": "anna@laptop", "duration": 4.2}
Entry = dict[str, t.Any]


def to(*on: str, url: str = URL, apps: t.Sequence[str] = (), host: str = "web1") -> Entry:
    return {"kind": "notices", "host": host, "notices": [{"url": url, "on": on or EVENTS, "apps": apps}]}


def service(name: str = "shop", host: str = "web1", **more: t.Any) -> Entry:
    known = {
        "release": V2,
        "previous": V1,
        "version": "v2",
        "changed": True,
        "seconds": 1.5,
        "error": "",
        "warning": "",
    }
    return {
        "kind": "service",
        "name": name,
        "host": host,
        **known,
        "rollback": False,
        "reverted": False,
        **more,
    }


def app(name: str = "shop", host: str = "web1", error: str = "") -> Entry:
    return {"kind": "app", "name": name, "host": host, "url": f"https://{name}.test/", "error": error}


def event(kind: str, host: str = "web1", error: str = "it broke", **more: t.Any) -> Entry:
    return {"kind": kind, "host": host, "stage": "preflight", "error": error, **more}


def body(*entries: Entry) -> dict[str, t.Any]:
    ((_url, found),) = bodies([*entries] if entries[0]["kind"] == "notices" else [to(), *entries], ABOUT)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "[{url: 'URL', on: [failure, rollback]}]",
        "[{url: 'URL', 'on': [failure, rollback]}]",
        "[{url: 'URL', on: 'failure, rollback'}]",
        "- url: URL\n  on: [failure, rollback, failure]",
    ],
)
def test_yaml_may_make_a_truth_value_of_the_key_on(text: str) -> None:
    value = yaml.safe_load(text.replace("URL", URL))
    assert read_notices(value) == [Notice(URL, ("failure", "rollback"), ())]


def test_a_notice_is_of_everything_when_nothing_is_chosen() -> None:
    assert read_notices([{"url": URL, "on": None, "apps": None}]) == [Notice(URL, EVENTS, ())]
    assert read_notices(None) == read_notices("") == read_notices([]) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("https://hooks.example.com/s3cr3t-token", "flask_notify must be a list"),
        ({"url": URL}, "flask_notify must be a list"),
        ([URL], r"flask_notify\[0\] must be a dictionary"),
        ([{"url": URL}, {"url": URL, "on": ["failed"]}], r"flask_notify\[1\].on must be one or more of success, fail"),
        ([{"url": URL, "on": []}], "to send no notices, leave out the entry"),
        ([{"url": URL, "on": True}], "on must be one or more of"),
        ([{"url": URL, "on": ["failure"], True: ["success"]}], "on is given twice"),
        ([{"url": URL, "events": ["failure"]}], "no option 'events': choose from url, on, apps, allow_http"),
        ([{"url": URL, "apps": [1]}], "apps must be a list of names"),
        ([{URL: None}], "a key that is no option: choose from url"),
        ([{"hooks.example.com/s3cr3t-token": None}], "a key that is no option: choose from url"),
        ([{"on": URL}], "on must be one or more of success, failure, rollback$"),
        ([{"url": URL, "on": ["failure", URL]}], "on must be one or more of success, failure, rollback$"),
        ([{"url": URL, "apps": [{"url": URL}]}], "apps must be a list of names of applications$"),
        ([{"url": URL, "allow_http": "maybe"}], "allow_http must be true or false"),
        ([{}], "url must be the URL to post to"),
        ([{"url": {"secret": "s3cr3t-token"}}], "url must be the URL to post to"),
        ([{"url": "file:///etc/s3cr3t-token"}], "must begin with https:// and a host"),
        ([{"url": "ftp://example.com/s3cr3t-token"}], "must begin with https:// and a host"),
        ([{"url": "https:///s3cr3t-token"}], "must begin with https:// and a host"),
        ([{"url": "hooks.example.com/s3cr3t-token"}], "must begin with https:// and a host"),
        ([{"url": "https://[::1/s3cr3t-token"}], "its host or port cannot be read"),
        ([{"url": "https://a.test:port/s3cr3t-token"}], "its host or port cannot be read"),
        ([{"url": "https://a.test/s3cr3t-token\r\nX: y"}], "a blank or a control character"),
        ([{"url": " https://a.test/s3cr3t-token"}], "a blank or a control character"),
        ([{"url": "http://a.test/s3cr3t-token"}], "to accept that: allow_http: true"),
        ([{"url": "http://127.0.0.1.a.test/s3cr3t-token"}], "to accept that: allow_http: true"),
    ],
)
def test_what_cannot_be_used_is_named_and_no_url_is_shown(value: object, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_notices(value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8065/hooks/x", "http://[::1]/x", "http://localhost/x", URL.upper()])
def test_what_stays_on_this_host_needs_no_tls(url: str) -> None:
    assert [notice.url for notice in read_notices([{"url": url}])] == [url]
    assert read_notices([{"url": "http://mm.lan/x", "allow_http": True}])[0].url == "http://mm.lan/x"


def test_one_notice_tells_of_all_hosts_and_applications() -> None:
    found = body(
        to(host="web1"),
        to(host="web2"),
        *(app(host=host) for host in ("web1", "web2")),
        service(host="web2", seconds=2.5),
        service(host="web1"),
        service("blog", release=V1),
    )
    assert found["text"].splitlines() == [
        f"shop: deployed {V2}, version v2 on web1, web2; before: {V1}; 2.5 s; https://shop.test/",
        "By anna@laptop, 4 s",
    ]
    assert found["applications"] == [
        {
            "application": "shop",
            "result": "success",
            "failed": False,
            "hosts": ["web1", "web2"],
            "release": V2,
            "previous": V1,
            "serving": V2,
            "version": "v2",
            "url": "https://shop.test/",
            "duration": 2.5,
            "reason": "",
        }
    ]
    assert {key: found[key] for key in ("result", "events", "hosts", "reason", "failures", *ABOUT)} == {
        **ABOUT,
        "result": "success",
        "events": ["success"],
        "hosts": ["web1", "web2"],
        "reason": "",
        "failures": [],
    }


REFUSED = service(error="/healthz answered 500")
REVERTED = service(error=f"instance 0 ended; {V1} serves again", reverted=True)
BACK = service(release=V1, previous=V2, rollback=True)
LATE = service(warning="the worker mail ended; the release is live")


@pytest.mark.parametrize(
    ("entries", "result", "events"),
    [
        ([service()], "success", ["success"]),
        ([REFUSED], "failure", ["failure"]),
        ([REVERTED], "rollback", ["failure", "rollback"]),
        ([BACK], "rollback", ["rollback"]),
        ([service(rollback=True, error="ended at once")], "failure", ["failure"]),
        ([LATE], "failure", ["failure"]),
        ([app(error="no such branch"), service("blog")], "failure", ["success", "failure"]),
        ([REVERTED, service("blog", error="no")], "failure", ["failure", "rollback"]),
        ([event("stopped")], "failure", ["failure"]),
        ([event("lost", accepted=False)], "failure", ["failure"]),
        ([event("failed"), service()], "failure", ["success", "failure"]),
        # Refused at first, and found serving when site.yml goes on with the others.
        ([REFUSED, service(release=V1)], "failure", ["failure"]),
        ([event("lost", "web2", accepted=True), service()], "success", ["success"]),
    ],
)
def test_the_result_of_a_run(entries: list[Entry], result: str, events: list[str]) -> None:
    found = body(to(), to(host="web2"), *entries)
    assert (found["result"], found["events"]) == (result, events)
    for name in EVENTS:
        assert bool(bodies([to(name), to(name, host="web2"), *entries], ABOUT)) is (name in events)


@pytest.mark.parametrize(
    "entries",
    [
        [service(previous=V2)],
        [app(), event("reached", serving={})],
        [service(release="", previous=V1)],
        [event("lost", accepted=True)],
    ],
)
def test_a_run_that_changes_nothing_is_not_told(entries: list[Entry]) -> None:
    assert bodies([to(), *entries], ABOUT) == []


def test_a_failure_says_why_and_what_serves() -> None:
    found = body(REFUSED, event("stopped", error="shop: /healthz answered 500"))
    (one,) = found["applications"]
    assert (one["release"], one["serving"], one["reason"]) == (V2, V1, "/healthz answered 500")
    assert found["reason"] == "/healthz answered 500"
    assert found["failures"] == []
    line = f"shop: deploy of {V2}, version v2 failed on web1: /healthz answered 500; {V1} serves"
    assert found["text"].splitlines()[0] == line


def test_a_deploy_that_was_reverted_says_what_serves_once() -> None:
    text = body(REVERTED)["text"]
    assert text.splitlines()[0] == f"shop: deploy of {V2}, version v2 reverted on web1: {REVERTED['error']}"


def test_a_host_is_told_of_once() -> None:
    found = body(event("stopped", error="end"), event("lost", error="no route"), event("stopped", error="again"))
    assert found["failures"] == [{"host": "web1", "stage": "preflight", "reason": "no route"}]
    assert found["text"].splitlines()[0] == "Failed on web1 (preflight): no route"


def test_a_task_that_has_not_ended_was_interrupted() -> None:
    begun, ended = event("begun"), event("ended")
    assert bodies([to(), begun, ended], ABOUT) == []
    assert body(begun, ended, begun, service())["failures"] == [
        {"host": "web1", "stage": "preflight", "reason": "it was interrupted"}
    ]
    # A task may run another one.
    assert bodies([to(), begun, event("begun", stage="deploy"), event("ended", stage="deploy"), ended], ABOUT) == []


def test_applications_are_chosen_by_name() -> None:
    entries = [to(apps=["shop"]), service(), service("blog", error="no")]
    found = body(*entries)
    assert [one["application"] for one in found["applications"]] == ["shop"]
    assert found["events"] == ["success"]
    assert bodies([to(apps=["wiki"]), service()], ABOUT) == []
    # It is not known which would have been deployed.
    assert body(to(apps=["wiki"]), event("stopped"))["result"] == "failure"


def test_nobody_is_told_of_the_hosts_of_others() -> None:
    other = "https://hooks.example.net/other"
    entries = [to(host="web1"), to(host="web2", url=other), service(), service("blog", host="web2", error="no")]
    found = dict(bodies(entries, ABOUT))
    assert (found[URL]["hosts"], found[other]["hosts"]) == (["web1"], ["web2"])
    assert (found[URL]["result"], found[other]["result"]) == ("success", "failure")


def test_what_is_quoted_calls_nobody_and_holds_no_secret() -> None:
    error = f"<!channel> @all \x1b[31mred\x1b[0m https://user:pa55word@git.test/ {URL} & more\nsecond line"
    found = body(service(error=error))
    assert found["text"].startswith("shop: deploy of")
    for said in (found["text"], found["reason"]):
        assert not any(word in said for word in ("pa55word", "s3cr3t", "\x1b", "second line"))
    assert "&lt;!channel&gt; @\u2060all red" in found["text"]


def test_a_notice_is_of_bounded_length() -> None:
    errors = [service(f"app{number}", error="x" * 5000) for number in range(40)]
    found = body(*errors)
    assert len(found["text"]) <= 3001
    assert all(len(one["reason"]) <= 300 for one in found["applications"])
    many = body(*(to(host=f"web{number}") for number in range(40)), *(service(host=f"web{n}") for n in range(40)))
    assert " and 30 more; before" in many["text"]
    assert len(many["hosts"]) == 40
