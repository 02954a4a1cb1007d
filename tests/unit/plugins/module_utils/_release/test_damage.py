# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of ours that is damaged stops no run: the release counts as unfinished, the record as empty."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build import build as _build_module
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.request import ServiceRequest, read_release
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.rollback import resolve_target
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.timer_state import manifest_of
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints import flask_status as _flask_status
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.journal import Journal
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.loaded_state import LoadedState, Snapshot
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import NginxSiteError
from ansible_collections.flaskops.stack.plugins.module_utils._release import history as _history
from ansible_collections.flaskops.stack.plugins.module_utils._release import migration as _migration
from ansible_collections.flaskops.stack.plugins.module_utils._release import prune as _prune
from ansible_collections.flaskops.stack.plugins.module_utils._release import release as _release
from ansible_collections.flaskops.stack.plugins.module_utils._release.contents import read_token
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout, Manifest, ReleaseError
from ansible_collections.flaskops.stack.plugins.module_utils._release.release import (
    damage,
    is_unfinished,
    list_releases,
    read_manifest,
    write_manifest,
)
from ansible_collections.flaskops.stack.plugins.module_utils._release.releases import list_applications
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings
from ansible_collections.flaskops.stack.plugins.module_utils._system import files as _files
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_system import simulate

V1, V2, V3 = (f"{number * 7}-0000000{number}" for number in "123")
SOURCE = {"type": "git", "location": "", "version": "", "revision": ""}
GOOD = Manifest("shop", V1, "u", "g", SOURCE, "3.13", "a:b", parse_settings({}))


def changed(**changes: object) -> bytes:
    values = {**json.loads(GOOD.to_json()), **changes}
    return json.dumps({key: value for key, value in values.items() if value != "gone"}).encode()


# What may stand where a file of JSON was: by a full disk, a crash, a hand, or another program.
CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "zeros": b"\0" * 4096,
    "no text": b"\xff\xfe\x00",
    "a list": b"[]",
    "null": b"null",
    "a number": b"7",
    "too deep": b"[" * 200_000,
}
MANIFESTS = {
    **CONTENTS,
    "no schema": changed(schema="gone"),
    "a schema of another type": changed(schema="one"),
    "no name": changed(name="gone"),
    "a name of another type": changed(name=["shop"]),
    "a source of another type": changed(source="git"),
    "a source without texts": changed(source={"type": 3}),
    "settings of another type": changed(settings=[]),
    "settings with another type": changed(settings={"instances": "many"}),
    "health of another type": changed(settings={"health": "/"}),
    "health with another type": changed(settings={"health": {"timeout": None}}),
    "another release": changed(id=V3),
    "shared of another type": changed(shared="instance"),
    "keep of another type": changed(keep="five"),
    "workers of another type": changed(workers="celery"),
    "hooks of another type": changed(hooks="flask db upgrade"),
}


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Return an application with three releases, of which the last one serves."""
    monkeypatch.setattr(_history, "STATE", str(tmp_path / "history"))
    monkeypatch.setattr(_migration, "STATE", str(tmp_path / "history"))
    monkeypatch.setattr(Layout, "lock", property(lambda self: str(tmp_path / "locks" / self.name)))
    layout = Layout(str(tmp_path / "s"), "shop")
    for number, release in enumerate((V1, V2, V3)):
        os.makedirs(f"{layout.release(release)}/venv/bin")
        os.makedirs(f"{layout.release(release)}/app")
        Path(layout.release(release), "venv/bin/python").touch()
        write_manifest(layout.release(release), replace(GOOD, id=release, built_at=f"2026-0{number + 1}"))
        _history.record("shop", {"release": release, "when": f"2026-0{number + 1}", "result": "activated"})
    os.symlink(f"releases/{V3}", layout.current)
    return layout


def spoil(path: str, content: bytes | None) -> None:
    """Put something else in the place of a file; nothing means a directory."""
    os.unlink(path)
    if content is None:
        os.mkdir(path)
    else:
        Path(path).write_bytes(content)


def manifest_path(layout: Layout, release: str) -> str:
    return os.path.join(layout.release(release), "release.json")


@pytest.mark.parametrize("content", [*MANIFESTS.values(), None], ids=[*MANIFESTS, "a directory"])
def test_an_old_release_with_a_damaged_manifest_counts_as_unfinished(layout: Layout, content: bytes | None) -> None:
    spoil(manifest_path(layout, V1), content)
    assert read_manifest(layout.release(V1)) is None
    assert manifest_of(layout, V1) is None
    assert is_unfinished(layout.release(V1))
    assert [manifest.id for manifest in list_releases(layout)] == [V2, V3]
    assert list_applications(layout.root, None, False)[0]["unfinished"] == [V1]
    assert resolve_target(ServiceRequest(layout, True, rollback=True), check=True).release == V2
    found = _flask_status.application_states(simulate().host, layout.root, None, 1)[0]
    assert (found["current"], [row["id"] for row in found["damaged"]]) == (V3, [V1])
    with pytest.raises(ReleaseError, match=r"cannot be run: .*(release\.json|directory)"):
        read_release(layout, layout.release(V1), check=False)


@pytest.mark.parametrize("kind", ["fifo", "link", "socket", "huge", "unreadable"])
def test_what_is_no_file_is_neither_waited_for_nor_read(
    layout: Layout, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = manifest_path(layout, V1)
    os.unlink(path)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        os.symlink("/dev/zero", path)
    elif kind == "socket":
        os.mknod(path, 0o140644)
    elif kind == "huge":
        Path(path).touch()
        os.truncate(path, 2**33)
    else:
        real = _files.read_file

        def read_file(name: str) -> bytes | None:
            if name == path:
                raise PermissionError(13, "Permission denied", name)
            return real(name)

        monkeypatch.setattr(_release, "read_file", read_file)
    assert [manifest.id for manifest in list_releases(layout)] == [V2, V3]
    assert damage(layout.release(V1))
    # What the disk does not give away now may be whole.
    assert is_unfinished(layout.release(V1)) is (kind != "unreadable")


def test_a_newer_version_of_the_collection_is_left_its_releases(layout: Layout) -> None:
    Path(manifest_path(layout, V1)).write_bytes(changed(schema=2))
    assert [manifest.id for manifest in list_releases(layout)] == [V2, V3]
    assert not is_unfinished(layout.release(V1))
    with pytest.raises(ReleaseError, match=r"schema '2'.*newer"):
        read_manifest(layout.release(V1))


def test_the_next_build_removes_it_unless_something_runs_from_it(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_prune, "releases_in_use", lambda _layout: {V2})
    monkeypatch.setattr(_build_module, "kill_processes_in", lambda _path: None)
    for release in (V1, V2, V3):
        spoil(manifest_path(layout, release), b"{")
    _build_module.remove_unfinished(layout)
    assert sorted(os.listdir(layout.releases)) == [V2, V3]


def test_prune_never_takes_the_release_that_serves(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_prune, "releases_in_use", lambda _layout: set())
    removed: list[str] = []
    monkeypatch.setattr(_prune, "remove_releases", lambda _layout, releases: removed.extend(releases))
    for release in (V1, V3):
        spoil(manifest_path(layout, release), b"{")
    _prune.prune_releases(layout, 5, (), _history.read_history("shop"))
    assert removed == [V1]


def test_the_current_release_with_a_damaged_manifest_is_told_by_status(layout: Layout) -> None:
    spoil(manifest_path(layout, V3), b"{")
    found = _flask_status.application_states(simulate().host, layout.root, None, 1)[0]
    assert (found["current"], found["healthy"]) == (V3, False)
    assert "is not JSON" in found["damaged"][0]["reason"]


GOOD_LINE = {"release": V1, "when": "2026", "result": "activated", "what": "deploy", "from": "", "by": "me"}


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"\0\0\0",
        b"[]",
        b"null",
        b"[" * 200_000,
        b'{"result": "activated"}',
        b'{"result": "activated", "release": [1], "when": "2026"}',
        b'{"result": {}, "release": "a", "when": "2026"}',
    ],
)
def test_a_damaged_line_of_the_history_is_left_out(layout: Layout, line: bytes) -> None:
    Path(_history.history_path("shop")).write_bytes(line + b"\n" + json.dumps(GOOD_LINE).encode() + b"\n")
    assert _history.read_history("shop") == [GOOD_LINE]
    assert _flask_status.application_states(simulate().host, layout.root, None, 1)[0]["current"] == V3


def test_what_is_no_text_in_a_line_is_left_out() -> None:
    text = json.dumps({**GOOD_LINE, "from": [1], "reason": None, "seconds": "x", "started": True})
    assert _history.parse_history(text) == [
        {**{key: value for key, value in GOOD_LINE.items() if key != "from"}, "started": True}
    ]


def test_a_history_that_cannot_be_read_is_empty_and_not_written_over(layout: Layout) -> None:
    spoil(_history.history_path("shop"), None)
    assert _history.read_history("shop") == []
    assert _flask_status.application_states(simulate().host, layout.root, None, 1)[0]["current"] == V3
    with pytest.raises(OSError, match="directory"):
        _history.record("shop", GOOD_LINE)
    _history.try_record("shop", GOOD_LINE)


@pytest.mark.parametrize("content", [*CONTENTS.values(), None], ids=[*CONTENTS, "a directory"])
def test_other_records_that_are_damaged_are_none(layout: Layout, tmp_path: Path, content: bytes | None) -> None:
    places: dict[str, t.Callable[[], object]] = {
        f"{layout.release(V3)}/probe.json": lambda: read_token(layout.release(V3)),
        _migration.migration_path("shop"): lambda: _migration.migrated_key("shop"),
    }
    memory = LoadedState("/etc/nginx/nginx.conf", str(tmp_path))
    places[memory.path] = lambda: None if memory.read() == Snapshot() else memory.read()
    for path, read in places.items():
        Path(path).touch()
        spoil(path, content)
        assert not read()


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_damaged_journal_of_nginx_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    """What it owes is not known, so that no run may go on as if nothing was owed."""
    journal = Journal("/etc/nginx/nginx.conf", 3, str(tmp_path))
    Path(journal.path).write_bytes(content)
    with pytest.raises(NginxSiteError, match="reload nginx and remove that file"):
        journal.read()
