# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that is started next is loaded by its start; why one could not be loaded is found out afterwards."""

from __future__ import annotations

import os
import typing as t
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build import build as _build_module
from ansible_collections.flaskops.stack.plugins.module_utils._build import load as _load
from ansible_collections.flaskops.stack.plugins.module_utils._build.load import explain_import_failure, import_once
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv import BuildError
from ansible_collections.flaskops.stack.plugins.module_utils._build.verify_import import (
    verify_if_unverified,
    verify_import,
)
from ansible_collections.flaskops.stack.plugins.module_utils._deploy import service as _service
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.finish import finish
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.health import Health, HealthCheck, Probe
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.request import ServiceRequest
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.service import Services
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import HealthSettings, Settings
from ansible_collections.flaskops.stack.plugins.module_utils._release import prune as _prune
from ansible_collections.flaskops.stack.plugins.module_utils._release.kept_venv import mark_complete, mark_durable
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import MANIFEST, Layout, Manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import forget_manifest, write_manifest
from ansible_collections.flaskops.stack.plugins.module_utils._release.verified import (
    has_dependencies,
    is_verified,
    mark_unverified,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.way_out import place_of, ways_out
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError, Result
from ansible_collections.flaskops.stack.plugins.module_utils._system.fence import Fence, FenceError
from ansible_collections.flaskops.stack.plugins.module_utils._system.host import Host

RELEASE, OTHER = "3f2a91c-1b9e02d4", "0000001-77aa01f2"
SAYS = "'shop:app' cannot be loaded; the end of the output:\nNameError: name 'flsk' is not defined"


class FakeLoad:
    """Imports of applications, which end as a test has it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.loaded: list[str] = []
        self._error = error

    def __call__(self, _layout: Layout, manifest: Manifest, _with_dependencies: bool) -> None:
        self.loaded.append(manifest.name)
        if self._error:
            raise self._error


@pytest.fixture
def loads() -> FakeLoad:
    """Return imports that all fail."""
    return FakeLoad(BuildError(SAYS))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return an application with a release that is almost complete."""
    found = Layout(str(tmp_path), "shop")
    os.makedirs(found.release(RELEASE))
    return found


def plan(layout: Layout, *migrate: str) -> t.Any:
    hooks = SimpleNamespace(migrate=migrate, build=())
    app = SimpleNamespace(name="shop", mask=str, hooks=hooks, unkeyed_requirements=())
    return SimpleNamespace(app=app, layout=layout, id=RELEASE, key="code", path=layout.release(RELEASE))


def manifest(release: str = RELEASE, settings: Settings | None = None) -> Manifest:
    source = {"type": "git", "location": "", "version": "", "revision": ""}
    return Manifest("shop", release, "u", "g", source, "3", "shop:app", settings or Settings(), build="code")


def prove(wanted: t.Any, starts_next: bool, load: FakeLoad) -> None:
    verify_import(wanted.app, wanted.layout, manifest(), True, starts_next, load)


def verify_again(wanted: t.Any, starts_next: bool, load: FakeLoad) -> None:
    verify_if_unverified(wanted.app, wanted.layout, wanted.id, starts_next, load)


def complete(layout: Layout, release: str = RELEASE) -> None:
    os.makedirs(layout.release(release), exist_ok=True)
    write_manifest(layout.release(release), manifest(release))


def test_a_release_that_is_only_built_is_loaded_before_it_is_complete(layout: Layout, loads: FakeLoad) -> None:
    with pytest.raises(BuildError, match="cannot be loaded"):
        prove(plan(layout), False, loads)
    assert loads.loaded == ["shop"]


def test_a_release_that_is_started_next_is_loaded_when_somebody_asks_why(layout: Layout, loads: FakeLoad) -> None:
    prove(plan(layout), True, loads)
    assert loads.loaded == []
    assert (explain_import_failure(layout, manifest(), loads), loads.loaded) == (SAYS, ["shop"])


@pytest.mark.parametrize("starts_next", [False, True])
def test_what_may_need_its_migrations_at_its_import_is_not_loaded_before_them(
    layout: Layout, loads: FakeLoad, starts_next: bool
) -> None:
    wanted = plan(layout, "flask db upgrade")
    prove(wanted, starts_next, loads)
    complete(layout)
    verify_again(wanted, starts_next, loads)
    assert loads.loaded == []
    # Its start proves it.
    assert not is_verified(layout, RELEASE)


def test_that_nothing_was_installed_is_told_also_later(layout: Layout) -> None:
    mark_unverified(layout.release(RELEASE), with_dependencies=False)
    assert not has_dependencies(layout.release(RELEASE))
    mark_unverified(layout.release(RELEASE), with_dependencies=True)
    assert has_dependencies(layout.release(RELEASE))


def killed_before_the_start(layout: Layout) -> t.Any:
    wanted = plan(layout)
    prove(wanted, True, FakeLoad())
    complete(layout)
    return wanted


def test_what_was_never_loaded_is_no_model_for_others_until_it_serves(layout: Layout, loads: FakeLoad) -> None:
    wanted = killed_before_the_start(layout)
    assert _build_module.find_identical_build(wanted) is None
    os.symlink(f"releases/{RELEASE}", layout.current)
    assert _build_module.find_identical_build(wanted)
    os.unlink(layout.current)
    complete(layout, OTHER)
    twin = _build_module.find_identical_build(wanted)
    assert twin
    assert (twin.id, loads.loaded) == (OTHER, [])


def test_a_passed_health_check_makes_it_a_model(layout: Layout, loads: FakeLoad) -> None:
    wanted = killed_before_the_start(layout)
    gated = deployment(layout, started=True, passed=True)
    gated.plan.switch = False
    gated.plan.empty = True
    finish(gated, ServiceRequest(layout, True, RELEASE), "")
    assert _build_module.find_identical_build(wanted)
    verify_again(wanted, False, loads)
    assert loads.loaded == []


def test_the_next_run_that_starts_it_learns_why_it_cannot(layout: Layout, loads: FakeLoad) -> None:
    wanted = killed_before_the_start(layout)
    verify_again(wanted, True, loads)
    assert loads.loaded == []
    assert explain_import_failure(layout, manifest(), loads) == SAYS


def test_one_that_was_refused_and_can_be_loaded_is_a_model_for_its_correction(layout: Layout) -> None:
    wanted = killed_before_the_start(layout)
    assert _build_module.find_identical_build(wanted) is None
    assert explain_import_failure(layout, manifest(), FakeLoad()) == ""
    assert _build_module.find_identical_build(wanted)


def test_the_next_run_that_only_builds_loads_it_and_gives_it_up_when_it_cannot(layout: Layout, loads: FakeLoad) -> None:
    wanted = killed_before_the_start(layout)
    with pytest.raises(BuildError, match="cannot be loaded"):
        verify_again(wanted, False, loads)
    assert loads.loaded == ["shop"]
    assert not _build_module.is_built(wanted)


def test_one_that_cannot_be_loaded_goes_at_once_and_leaves_its_virtualenv_to_the_next_try(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Layout, "cache", str(tmp_path / "cache"))
    monkeypatch.setattr(_prune, "releases_in_use", lambda _layout: set())
    complete(layout, OTHER)
    os.symlink(f"releases/{OTHER}", layout.current)
    killed_before_the_start(layout)
    path = layout.release(RELEASE)
    os.mkdir(f"{path}/venv")
    mark_complete(path, "key")
    mark_durable(path, layout.cache)
    refused = deployment(layout, started=True, passed=False)
    refused.plan = SimpleNamespace(switch=False, empty=False)
    refused.observed, refused.finishing = SimpleNamespace(current=OTHER), []
    forget_manifest(path)
    finish(refused, ServiceRequest(layout, True, RELEASE), "")
    assert (refused.pruned, [found for found in os.listdir(layout.releases) if found[0] != "."]) == ([RELEASE], [OTHER])
    assert os.path.isdir(f"{layout.cache}/kept/venv")


@pytest.mark.parametrize("error", [OSError(12, "Cannot allocate memory"), FenceError("could not be started")])
def test_a_host_where_nothing_starts_says_nothing_of_the_application(layout: Layout, error: Exception) -> None:
    assert explain_import_failure(layout, manifest(), FakeLoad(error)) == ""


def deployment(layout: Layout, started: bool, passed: bool, room: t.Sequence[str] = ()) -> t.Any:
    gate = HealthCheck(Health("/", (), "localhost", 1, 1), [Probe(0, "/none", "shop.service", passed=passed)], Host())
    wanted = SimpleNamespace(release=RELEASE)
    service = SimpleNamespace(name="shop", layout=layout, wanted=wanted, manifest=manifest())
    plan = SimpleNamespace(switch=True)
    return SimpleNamespace(
        service=service, started=started, health_check=gate, healthy=passed, plan=plan, stopped_units=room
    )


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
    file = Path(layout.release(RELEASE)) / MANIFEST
    file.write_text("{}")
    mark_unverified(layout.release(RELEASE), with_dependencies=True)
    monkeypatch.setattr(_service, "_explain", lambda _deployment, reason: reason)
    monkeypatch.setattr(_load, "explain_import_failure", lambda _layout, _manifest: said)
    assert Services._explain(deployment(layout, started, passed), "/ answered 500") == explained
    assert file.exists() is complete


def test_what_was_loaded_once_is_not_loaded_to_say_why_it_was_refused(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(layout)
    monkeypatch.setattr(_service, "_explain", lambda _deployment, reason: reason)
    monkeypatch.setattr(_load, "explain_import_failure", lambda _layout, _manifest: pytest.fail("it was loaded"))
    assert Services._explain(deployment(layout, started=True, passed=False), "/ answered 500") == "/ answered 500"


def test_who_has_stopped_the_old_release_for_it_does_not_load_it_once_more_and_builds_it_anew(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(layout)
    mark_unverified(layout.release(RELEASE), with_dependencies=True)
    monkeypatch.setattr(_service, "_explain", lambda _deployment, reason: reason)
    monkeypatch.setattr(_load, "explain_import_failure", lambda _layout, _manifest: pytest.fail("it was loaded"))
    alone = deployment(layout, started=True, passed=False, room=["shop@1.service"])
    assert Services._explain(alone, "/ answered 500") == "/ answered 500"
    assert not _build_module.is_built(plan(layout))


class Failing(Fence):
    """A fence in which an application is not found."""

    def __enter__(self) -> Failing:
        return self

    def __exit__(self, *_args: object) -> None:
        pass

    def run(self, *_args: object, **_more: object) -> Result:
        return Result((), 1, "", "ModuleNotFoundError: No module named 'cps'")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (
            {"type": "pypi", "location": "Calibre-Web==0.6"},
            "app 'cps:app': calibre-web has no module 'cps', it has calibreweb, more: correct app:\n",
        ),
        ({"type": "git", "location": "https://git.example.com/calibre.git"}, "'cps:app' cannot be loaded"),
        ({"type": "pypi", "location": "other"}, "'cps:app' cannot be loaded"),
    ],
)
def test_a_package_without_the_module_of_app_has_its_modules_named(
    layout: Layout, source: dict[str, str], why: str
) -> None:
    packages = Path(layout.release(RELEASE)) / "venv/lib/python3.13/site-packages"
    (packages / "calibre_web-0.6.dist-info").mkdir(parents=True)
    files = [
        "calibreweb/__init__.py",
        "more.py",
        "../../../bin/cps.py",
        "calibre_web-0.6.dist-info/x.py",
        "static/a.js",
    ]
    record = "".join(f"{file},,\n" for file in files)
    (packages / "calibre_web-0.6.dist-info" / "RECORD").write_text(record)
    with pytest.raises(BuildError) as refused:
        import_once(
            layout,
            replace(manifest(), app="cps:app", source=source),
            True,
            lambda _layout, _manifest: Failing("x.service", [], "python", "x"),
        )
    said = str(refused.value)
    assert said.startswith(why)
    place = place_of(layout, "shop", app="cps:app", source_type=source["type"])
    # A package has no directories beside its modules.
    assert bool(ways_out(said, place)) is (source["type"] == "git")


class Endless(Fence):
    """A fence in which nothing ends in time."""

    def __enter__(self) -> Endless:
        return self

    def __exit__(self, *_args: object) -> None:
        pass

    def run(self, *_args: object, **_more: object) -> t.NoReturn:
        raise CommandError("'python -c program' did not end within 11 s; it said last: postgres://shop:s3cret@db")


def test_what_an_application_said_that_is_never_loaded_has_no_secret(layout: Layout) -> None:
    (Path(layout.release(RELEASE)) / "env").write_text('PASSWORD="s3cret"\n')
    slow = manifest(settings=Settings(health=HealthSettings(timeout=1)))
    with pytest.raises(BuildError) as refused:
        import_once(layout, slow, True, lambda _layout, _manifest: Endless("x.service", [], "python", "x"))
    said = str(refused.value)
    assert said.endswith("or raise health.timeout; it said last:\npostgres://shop:********@db")
    assert said.startswith("'shop:app' is not loaded within 11 s")


def test_a_virtualenv_that_was_made_without_werkzeug_is_no_model_once_hops_are_trusted(layout: Layout) -> None:
    complete(layout)
    wanted = plan(layout)
    assert _build_module.find_identical_build(wanted)
    wanted.app.unkeyed_requirements = ("werkzeug",)
    assert _build_module.find_identical_build(wanted) is None
    packages = Path(layout.release(RELEASE), "venv/lib/python3.13/site-packages")
    (packages / "werkzeug-3.1.3.dist-info").mkdir(parents=True)
    assert _build_module.find_identical_build(wanted)
