# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that nginx keeps: one request upstream for many, nothing of one visitor for another, a deploy purges."""

from __future__ import annotations

import json
import os
import subprocess
import time
import typing as t
import uuid

import pytest
from testinfra.host import Host

from tools.common import ROOT
from tools.molecule.protocols import Reply, Shell, Visit

ROOT_CA = "/etc/pebble/first-root.pem"
# Seconds: what molecule.yml has as valid, and a whole one more, because nginx counts in these.
TOO_OLD = 4 + 1.1
RECORD = "/srv/recorder/shared/seen/requests.jsonl"
Passed = t.Callable[[str], int]
Ask = t.Callable[..., Reply]


@pytest.fixture
def passed(sh: Shell) -> Passed:
    """Return how many requests for a target the application has seen."""
    count = "awk -v target='\"target\": \"%s\"' 'index($0, target) {n++} END {print n+0}' %s"
    return lambda target: int(sh(count % (target, RECORD)))


@pytest.fixture
def ask(visit: Visit) -> Ask:
    """Ask for a page of the site as a visitor."""
    return lambda target, **headers: visit("recorder.test", target, ca_file=ROOT_CA, headers=headers)


def two_hundred_at_once(sh: Shell, target: str) -> None:
    text = sh(f"h2load -n 200 -c 20 -m 10 https://recorder.test{target}")
    assert "status codes: 200 2xx" in text, text


def test_of_two_hundred_at_once_one_goes_to_the_application(sh: Shell, passed: Passed) -> None:
    target = f"/cached/{uuid.uuid4()}"
    two_hundred_at_once(sh, target)
    assert passed(target) == 1
    time.sleep(TOO_OLD)
    two_hundred_at_once(sh, target)
    assert passed(target) == 2


def test_what_is_too_old_is_served_at_once_while_another_is_fetched(sh: Shell, ask: Ask) -> None:
    target = f"/cached/{uuid.uuid4()}"
    first = ask(target)
    assert first.header("x-cache-status") == "MISS" and ask(target).text == first.text
    time.sleep(TOO_OLD)
    page = f"https://recorder.test{target}"
    asked_again = f"for time in $(seq 50); do [ $(grep -c {target} {RECORD}) = 2 ] && break; sleep 0.1; done"
    meanwhile = sh(f"curl -sk {page} > /dev/null & {asked_again}; curl -sk -D - -w '%{{time_total}}' {page}")
    assert "x-cache-status: UPDATING" in meanwhile and first.text in meanwhile
    # The application takes a second.
    assert float(meanwhile.splitlines()[-1]) < 0.5


@pytest.mark.parametrize("headers", [{"Cookie": "session=alice"}, {"Authorization": "Bearer alice"}])
def test_who_says_who_he_is_gets_an_answer_of_his_own(ask: Ask, passed: Passed, headers: dict[str, str]) -> None:
    target = f"/cached/long-{uuid.uuid4()}"
    own = ask(target, **headers)
    shared = ask(target)
    again = ask(target, **headers)
    assert passed(target) == 3 and len({own.text, shared.text, again.text}) == 3
    assert ask(target).text == shared.text


def test_a_cookie_is_for_one_visitor(ask: Ask, passed: Passed) -> None:
    before = passed("/cached/cookie")
    replies = [ask("/cached/cookie") for _visitor in range(3)]
    assert passed("/cached/cookie") == before + 3 and len({reply.text for reply in replies}) == 3
    assert all(reply.header("set-cookie") for reply in replies)


def test_a_deploy_purges_without_a_reload(host: Host, sh: Shell, ask: Ask) -> None:
    workers = "pgrep -P $(cat /run/nginx.pid) | sort"
    before, pids = ask("/cached/long"), sh(workers)
    kept = ask("/cached/long")
    assert (kept.header("x-cache-status"), kept.text) == ("HIT", before.text) and before.text.startswith(
        "edition first:"
    )
    deploy(str(host.backend.get_hostname()), "second")
    after = ask("/cached/long")
    assert after.header("x-cache-status") == "MISS" and after.text.startswith("edition second:")
    assert sh(workers) == pids
    deploy(str(host.backend.get_hostname()), "first")


def deploy(host: str, edition: str) -> None:
    """Deploy the application with another environment, as a user of the collection would."""
    words = ["ansible-playbook", "--inventory", os.environ["MOLECULE_INVENTORY_FILE"], "--limit", host]
    words += [
        str(ROOT / "playbooks" / "deploy.yml"),
        "--extra-vars",
        json.dumps({"app": "recorder", "edition": edition}),
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
