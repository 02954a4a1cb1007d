# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that is started next is loaded by its start; why one could not be loaded is found out afterwards."""

from __future__ import annotations

import os
import pwd
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils import (
    _gunicorn_service,
    _release_build,
    _release_run,
)
from ansible_collections.flaskops.stack.plugins.module_utils._command import CommandError
from ansible_collections.flaskops.stack.plugins.module_utils._gunicorn_finish import finish
from ansible_collections.flaskops.stack.plugins.module_utils._gunicorn_gate import Gate, Health, Probe
from ansible_collections.flaskops.stack.plugins.module_utils._gunicorn_request import Request
from ansible_collections.flaskops.stack.plugins.module_utils._gunicorn_service import Options, Services
from ansible_collections.flaskops.stack.plugins.module_utils._release import MANIFEST, Layout, Manifest, write_manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release_run import Unproved
from ansible_collections.flaskops.stack.plugins.module_utils._venv_build import BuildError

RELEASE, OTHER = "3f2a91c-1b9e02d4", "0000001-77aa01f2"
SAYS = "'shop:app' cannot be loaded; the end of what Python says:\nNameError: name 'flsk' is not defined"


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the applications that were loaded; none of them can be."""
    loaded: list[str] = []

    def check_load(app: t.Any, _path: str, _has_dependencies: bool) -> None:
        loaded.append(app.name)
        raise BuildError(SAYS)

    monkeypatch.setattr(_release_run, "check_load", check_load)
    return loaded


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return an application with a release that is almost complete."""
    found = Layout(str(tmp_path), "shop")
    os.makedirs(found.release(RELEASE))
    return found


def plan(layout: Layout, *migrate: str) -> t.Any:
    app = SimpleNamespace(name="shop", mask=str, hooks=SimpleNamespace(migrate=migrate, build=()))
    return SimpleNamespace(app=app, layout=layout, id=RELEASE, key="code", path=layout.release(RELEASE))


def prove(wanted: t.Any, unproved: Unproved | None) -> None:
    _release_run.prove(wanted.app, wanted.path, True, unproved)


def prove_again(wanted: t.Any, unproved: Unproved | None) -> None:
    _release_run.prove_again(wanted.app, wanted.layout, wanted.id, unproved)


def complete(layout: Layout, release: str = RELEASE) -> None:
    os.makedirs(layout.release(release), exist_ok=True)
    source = {"type": "git", "location": "", "version": "", "revision": ""}
    write_manifest(layout.release(release), Manifest("shop", release, "u", "g", source, "3", "a:b", {}, build="code"))


def test_a_release_that_is_only_built_is_loaded_before_it_is_complete(layout: Layout, loads: list[str]) -> None:
    with pytest.raises(BuildError, match="cannot be loaded"):
        prove(plan(layout), None)
    assert loads == ["shop"]


def test_a_release_that_is_started_next_is_loaded_when_somebody_asks_why(layout: Layout, loads: list[str]) -> None:
    unproved: Unproved = {}
    prove(plan(layout), unproved)
    assert loads == []
    assert (unproved["shop"](), loads) == (SAYS, ["shop"])


def test_no_database_is_migrated_for_what_cannot_be_loaded(layout: Layout, loads: list[str]) -> None:
    with pytest.raises(BuildError, match="cannot be loaded"):
        prove(plan(layout, "flask db upgrade"), {})
    assert loads == ["shop"]


def killed_before_the_start(layout: Layout) -> t.Any:
    wanted = plan(layout)
    prove(wanted, {})
    complete(layout)
    return wanted


def test_what_was_never_loaded_is_no_model_for_others_until_it_serves(layout: Layout, loads: list[str]) -> None:
    wanted = killed_before_the_start(layout)
    assert _release_build.find_twin(wanted) is None
    os.symlink(f"releases/{RELEASE}", layout.current)
    assert _release_build.find_twin(wanted)
    os.unlink(layout.current)
    complete(layout, OTHER)
    twin = _release_build.find_twin(wanted)
    assert twin
    assert (twin.id, loads) == (OTHER, [])


def test_a_gate_that_was_passed_makes_it_a_model(layout: Layout, loads: list[str]) -> None:
    wanted = killed_before_the_start(layout)
    gated = change(layout, started=True, passed=True)
    gated.plan.switch = False
    gated.plan.empty = True
    finish(gated, Request(layout, True, RELEASE), "")
    assert _release_build.find_twin(wanted)
    prove_again(wanted, None)
    assert loads == []


def test_the_next_run_that_starts_it_learns_why_it_cannot(layout: Layout, loads: list[str]) -> None:
    wanted = killed_before_the_start(layout)
    unproved: Unproved = {}
    prove_again(wanted, unproved)
    assert loads == []
    assert unproved["shop"]() == SAYS


def test_one_that_was_refused_and_can_be_loaded_is_a_model_for_its_correction(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_release_run, "check_load", lambda *_args: None)
    unproved: Unproved = {}
    wanted = plan(layout)
    prove(wanted, unproved)
    complete(layout)
    assert _release_build.find_twin(wanted) is None
    assert unproved["shop"]() == ""
    assert _release_build.find_twin(wanted)


def test_the_next_run_that_only_builds_loads_it_and_gives_it_up_when_it_cannot(
    layout: Layout, loads: list[str]
) -> None:
    wanted = killed_before_the_start(layout)
    with pytest.raises(BuildError, match="cannot be loaded"):
        prove_again(wanted, None)
    assert loads == ["shop"]
    assert not _release_build.is_built(wanted)


def test_a_host_where_nothing_starts_says_nothing_of_the_application(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_args: object) -> t.NoReturn:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(_release_run, "check_load", fail)
    assert _release_run.explain_load(t.cast("t.Any", None), "/none", True) == ""


def change(layout: Layout, started: bool, passed: bool, room: t.Sequence[str] = ()) -> t.Any:
    gate = Gate(Health("/", (), "localhost", 1, 1), [Probe(0, "/none", "shop.service", passed=passed)])
    wanted = SimpleNamespace(release=RELEASE)
    service = SimpleNamespace(name="shop", layout=layout, wanted=wanted, manifest=SimpleNamespace(user="shop"))
    plan = SimpleNamespace(switch=True)
    return SimpleNamespace(service=service, started=started, gate=gate, healthy=passed, plan=plan, room=room)


@pytest.mark.parametrize(
    ("started", "passed", "said", "explained", "complete"),
    [
        (True, False, SAYS, SAYS, False),
        # It loads, and answers 500.
        (True, False, "", "/ answered 500", True),
        # Nothing that goes wrong before its start or after its gate says that it cannot be loaded.
        (False, False, SAYS, "/ answered 500", True),
        (True, True, SAYS, "/ answered 500", True),
    ],
)
def test_a_release_that_cannot_be_loaded_says_so_and_is_built_anew_the_next_time(
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
    started: bool,
    passed: bool,
    said: str,
    explained: str,
    complete: bool,
) -> None:
    manifest = Path(layout.release(RELEASE)) / MANIFEST
    manifest.write_text("{}")
    monkeypatch.setattr(_gunicorn_service, "_explain", lambda _change, reason: reason)
    services = Services([], Options("/none"), {"shop": lambda: said})
    assert services._explain(change(layout, started, passed), "/ answered 500") == explained
    assert manifest.exists() is complete


def test_who_has_stopped_the_old_release_for_it_does_not_load_it_once_more_and_builds_it_anew(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(layout)
    monkeypatch.setattr(_gunicorn_service, "_explain", lambda _change, reason: reason)
    services = Services([], Options("/none"), {"shop": lambda: pytest.fail("it was loaded")})
    alone = change(layout, started=True, passed=False, room=["shop@1.service"])
    assert services._explain(alone, "/ answered 500") == "/ answered 500"
    assert not _release_build.is_built(plan(layout))


def test_what_an_application_said_that_is_never_loaded_has_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_args: object) -> t.NoReturn:
        raise CommandError("'env python -c program' did not end within 11 s; it said last: postgres://shop:s3cret@db")

    monkeypatch.setattr(_release_run, "_run_as_service", never)
    app: t.Any = SimpleNamespace(
        settings={"health": {"timeout": 1}},
        user=pwd.getpwuid(os.geteuid()).pw_name,
        app="shop:app",
        mask=lambda text: text.replace("s3cret", "***"),
    )
    said = _release_run.explain_load(app, "/none", True)
    assert said.endswith("or raise health.timeout; it said last:\npostgres://shop:***@db")
    assert said.startswith("'shop:app' is not loaded within 11 s")
