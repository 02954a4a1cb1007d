# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is collected on a host, counted against what was done there."""

from __future__ import annotations

import json
import os
import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints import metrics
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.metrics import Collector, Places
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import version_id
from ansible_collections.flaskops.stack.plugins.module_utils._release import history
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import RESERVED

V1, V2 = "1111111-11111111", "2222222-22222222"
LINE = {"status": 200, "request_time": 0.012, "upstream_time": "0.010", "bytes_sent": 500, "release": V1}
Entries = list[dict[str, t.Any]]


class Fake:
    """A host with sites and applications."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.top = top
        self.now = 1795904190.0
        self.places = Places(
            str(top / "out"), str(top / "srv"), str(top / "available"), str(top / "enabled"), "", str(top / "state")
        )
        self.histories: dict[str, Entries] = {}
        for name in ("available", "enabled", "logs"):
            (top / name).mkdir()
        monkeypatch.setattr(metrics, "read_history", lambda name: self.histories.get(name, []))

    def site(self, name: str, *lines: str) -> None:
        text = "\n".join(["server {", *(f"    {line}" for line in lines), "}"]).encode()
        path = self.top / "available" / f"{name}@{version_id(text)}"
        path.write_bytes(text)
        (self.top / "enabled" / name).symlink_to(path)

    def publish(self, name: str) -> Path:
        log = self.top / "logs" / f"{name}.access.log"
        self.site(name, f"access_log {log} flaskops_json if=$logged;", f"access_log {log} flaskops_json;")
        return log

    def release(self, name: str, *releases: str) -> None:
        for release in releases:
            (self.top / "srv" / name / "releases" / release).mkdir(parents=True)
        current = self.top / "srv" / name / "current"
        if not current.is_symlink():
            current.symlink_to(f"releases/{releases[0]}")

    def collect(self) -> dict[str, str]:
        self.now += 30
        self.problems = Collector(self.places, self.now).run()
        text = (self.top / "out" / "flaskops.prom").read_text()
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        assert len({name for name, _blank, _value in lines}) == len(lines)
        return {name: value for name, _blank, value in lines}


@pytest.fixture(name="host")
def _host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    return Fake(tmp_path, monkeypatch)


def request(log: Path, **more: object) -> None:
    with log.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"id": os.urandom(4).hex(), **LINE, **more}) + "\n")


def requests(found: dict[str, str]) -> dict[str, str]:
    prefix = "flaskops_http_requests_total"
    return {name[len(prefix) :]: value for name, value in found.items() if name.startswith(prefix)}


def labels(application: str, release: str, code: int) -> str:
    return f'{{application="{application}",release="{release}",code="{code}"}}'


def test_requests_are_counted_by_application_release_and_status(host: Fake) -> None:
    log = host.publish("shop")
    host.release("shop", V1, V2)
    for release, status in ((V1, 200), (V1, 200), (V2, 500), ("", 429), ("x", 200)):
        request(log, release=release, status=status)
    counted = {
        labels("shop", V1, 200): "2",
        labels("shop", V2, 500): "1",
        labels("shop", "none", 429): "1",
        labels("shop", "none", 200): "1",
    }
    assert requests(host.collect()) == counted
    assert requests(host.collect()) == counted
    request(log)
    assert requests(host.collect()) == {**counted, labels("shop", V1, 200): "3"}


def test_a_request_below_a_path_belongs_to_the_application_whose_release_it_was_led_to(host: Fake) -> None:
    log = host.publish("shop")
    host.release("shop", V1)
    host.release("blog", V2)
    request(log, release=V2)
    assert requests(host.collect()) == {labels("blog", V2, 200): "1"}


def test_releases_that_are_gone_are_counted_together_and_sums_never_fall(host: Fake) -> None:
    log = host.publish("shop")
    host.release("shop", V1, V2)
    for release in (V1, V2, V2):
        request(log, release=release)
    host.collect()
    shutil.rmtree(host.top / "srv/shop/releases" / V2)
    request(log, release=V2)
    found = host.collect()
    assert requests(found) == {labels("shop", V1, 200): "1", labels("shop", "removed", 200): "3"}
    assert found['flaskops_http_request_duration_seconds_count{application="shop",release="removed"}'] == "3"


def test_what_belongs_to_nobody_any_more_is_dropped(host: Fake) -> None:
    log = host.publish("shop")
    host.release("shop", V1)
    request(log)
    host.collect()
    shutil.rmtree(host.top / "srv/shop")
    (host.top / "enabled/shop").unlink()
    assert requests(host.collect()) == {}


def test_a_site_that_is_disabled_for_a_while_is_not_counted_again(host: Fake) -> None:
    log = host.publish("shop")
    host.release("shop", V1)
    request(log)
    host.collect()
    (host.top / "enabled/shop").unlink()
    host.collect()
    host.publish("shop")
    request(log)
    assert requests(host.collect()) == {labels("shop", V1, 200): "2"}


@pytest.mark.parametrize("state", ["", "{", "[]", '{"counts": 5}', '{"counts": [], "logs": {"x": 1}}', "\x00" * 500])
def test_a_damaged_state_is_begun_anew(host: Fake, state: str) -> None:
    log = host.publish("shop")
    host.release("shop", V1)
    request(log)
    host.collect()
    (host.top / "state" / "state.json").write_text(state)
    assert requests(host.collect()) == {labels("shop", V1, 200): "1"}


def test_sites_of_others_and_without_json_are_not_counted(host: Fake) -> None:
    log = host.top / "logs/wiki.access.log"
    host.site("wiki", f"access_log {log} combined;")
    host.site("quiet", "access_log off;")
    host.site(f"{RESERVED}-443", f"access_log {log} combined;")
    foreign = host.top / "enabled" / "foreign"
    foreign.write_text(f"access_log {log} flaskops_json;")
    log.write_text('127.0.0.1 - - [28/Nov/2026:22:17:41 +0000] "GET / HTTP/1.1" 200 5\n')
    found = host.collect()
    assert requests(found) == {}
    assert [name for name in found if "requests_counted" in name] == ['flaskops_site_requests_counted{site="wiki"}']
    assert found['flaskops_site_requests_counted{site="wiki"}'] == "0"


def entry(result: str, what: str = "deploy", minute: int = 0, **more: t.Any) -> dict[str, t.Any]:
    return {
        "release": V1,
        "when": f"2026-11-28T22:{minute:02}:00Z",
        "result": result,
        "what": what,
        "seconds": 2.5,
        **more,
    }


def deploys(found: dict[str, str]) -> dict[str, str]:
    prefix, end = 'flaskops_deploys_total{application="shop",what="', '"}'
    kept = {name: value for name, value in found.items() if name.startswith(prefix) and value != "0"}
    return {name[len(prefix) : -len(end)].replace('",result="', " "): value for name, value in kept.items()}


def test_deploys_are_counted_once_and_by_their_result(host: Fake) -> None:
    host.release("shop", V1)
    done = [
        entry("activated"),
        entry("failed"),
        entry("activated", "rollback", 1),
        entry("failed", "hook migrate_down", 1),
    ]
    host.histories["shop"] = [*done, entry("begun", minute=2)]
    counted = {"deploy success": "1", "deploy failure": "1", "rollback success": "1", "hook failure": "1"}
    assert deploys(host.collect()) == deploys(host.collect()) == counted
    host.histories["shop"] = [*done, entry("interrupted", minute=2), entry("failed", minute=3, seconds=1)]
    found = host.collect()
    assert deploys(found) == {**counted, "deploy failure": "2", "deploy interrupted": "1"}
    assert found['flaskops_last_deploy_success{application="shop"}'] == "0"
    assert found['flaskops_last_deploy_timestamp_seconds{application="shop"}'] == "1795903380"
    assert found['flaskops_last_deploy_duration_seconds{application="shop"}'] == "1"


def test_a_history_that_keeps_the_last_ones_only_takes_nothing_back(host: Fake) -> None:
    host.release("shop", V1)
    host.histories["shop"] = [entry("activated", minute=number) for number in range(10)]
    host.collect()
    host.histories["shop"] = host.histories["shop"][5:] + [
        entry("activated", minute=number) for number in range(10, 12)
    ]
    assert deploys(host.collect()) == {"deploy success": "12"}
    # All that was counted is gone.
    host.histories["shop"] = [entry("activated", minute=number) for number in range(20, 23)]
    assert deploys(host.collect()) == {"deploy success": "15"}


def test_the_first_failure_is_an_increase(host: Fake) -> None:
    host.release("shop", V1)
    assert host.collect()['flaskops_deploys_total{application="shop",what="deploy",result="failure"}'] == "0"


def test_the_release_that_serves_is_named(host: Fake) -> None:
    host.release("shop", V1)
    assert host.collect()[f'flaskops_release_info{{application="shop",release="{V1}",version=""}}'] == "1"


def test_a_certificate_that_cannot_be_read_is_a_problem_that_is_said_once(host: Fake) -> None:
    host.site("shop", "ssl_certificate /nonexistent/shop.crt;")
    assert host.collect()["flaskops_metrics_problems"] == "1"
    assert host.problems == ["/nonexistent/shop.crt: it holds no PEM certificate"]
    assert host.collect()["flaskops_metrics_problems"] == "1"
    assert host.problems == []


def test_the_file_moves_with_its_directory(host: Fake) -> None:
    host.release("shop", V1)
    host.collect()
    host.places = host.places._replace(directory=str(host.top / "other"))
    Collector(host.places, host.now).run()
    assert not (host.top / "out/flaskops.prom").exists()
    assert metrics.state_file_of(host.places.state) == str(host.top / "other/flaskops.prom")
    assert (host.top / "other/flaskops.prom").stat().st_mode & 0o777 == 0o644


def test_the_program_says_that_its_code_is_in_use(host: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    code = host.top / "code"
    code.mkdir()
    os.utime(code, (1, 1))
    host.site("shop", "ssl_certificate /nonexistent/shop.crt;")
    metrics.main([f"--code={code}", *(f"--{name}={value}" for name, value in host.places._asdict().items())])
    assert code.stat().st_mtime > 1
    assert capsys.readouterr().out.startswith("<4>/nonexistent/shop.crt")


def test_the_history_is_that_of_the_deploys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "STATE", str(tmp_path))
    history.record("shop", entry("activated"))
    assert [metrics._what(one) for one in history.read_history("shop")] == ["deploy"]
