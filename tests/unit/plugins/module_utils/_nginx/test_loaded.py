# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.host import NginxHost
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.loaded import (
    changed_at,
    identify_workers,
    not_loaded,
    started_at,
    take_snapshot,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.loaded_state import (
    LoadedState,
    Snapshot,
    file_state,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import NginxLayout
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.staged_tree import StagedTree

MAIN = """
http {
  ssl_certificate inherited.pem;
  ssl_certificate_key inherited.key;
  include mime.types;
  include %(root)s/enabled/*;
}
"""
OURS = """
include %(root)s/snippets/tls*.conf;
server {
  listen 443 ssl;
  ssl_certificate "live/a b.pem";
  ssl_certificate_key %(root)s/live/a.key;
  proxy_ssl_trusted_certificate /etc/ssl/upstream.pem;
  auth_basic_user_file htpasswd;
}
server { listen 444 ssl; ssl_certificate $ssl_server_name.pem; ssl_certificate_key data:x; }
server { listen 445 ssl; }
"""


@pytest.fixture(name="root")
def make_root(tmp_path: Path) -> Path:
    for name in ("available", "enabled", "snippets", "live"):
        (tmp_path / name).mkdir()
    for name, text in (("nginx.conf", MAIN), ("available/shop@0123456789ab", OURS), ("theirs", "server {}")):
        (tmp_path / name).write_text(text % {"root": tmp_path})
    for name in ("snippets/tls1.conf", "live/a b.pem", "live/a.key", "mime.types", "inherited.pem", "inherited.key"):
        (tmp_path / name).write_text("")
    (tmp_path / "enabled/shop").symlink_to(tmp_path / "available/shop@0123456789ab")
    (tmp_path / "enabled/theirs").symlink_to("../theirs")
    return tmp_path


def record_of(root: Path, *asked: str, former: Snapshot | None = None) -> Snapshot:
    layout = NginxLayout(f"{root}/available", f"{root}/enabled")
    return take_snapshot(StagedTree({}).load(f"{root}/nginx.conf"), layout, asked, former or Snapshot())


def test_what_our_sites_make_nginx_load_is_recorded_and_nothing_else(root: Path) -> None:
    record = record_of(root)
    inside = {path[len(str(root)) + 1 :] for path in record.files if path.startswith(str(root))}
    expected = {"enabled/shop", "snippets/tls1.conf", "live/a b.pem", "live/a.key", "inherited.pem", "inherited.key"}
    assert inside == expected
    assert {path for path in record.files if not path.startswith(str(root))} == {"/etc/ssl/upstream.pem"}
    assert record.patterns == {f"{root}/snippets/tls*.conf": [f"{root}/snippets/tls1.conf"]}


def test_files_that_were_asked_for_once_stay_recorded_while_they_are_there(root: Path) -> None:
    first = record_of(root, f"{root}/mime.types", f"{root}/gone")
    assert first.requested == [f"{root}/mime.types"]
    assert f"{root}/mime.types" in record_of(root, former=first).files


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("printf x >> 'live/a b.pem'", "live/a b.pem"),
        ("cp live/a.key new; mv new live/a.key", "live/a.key"),
        ("mkdir archive; mv live/a.key archive/a2.key; ln -s ../archive/a2.key live/a.key", "live/a.key"),
        ("rm live/a.key", "live/a.key"),
        ("touch snippets/tls2.conf", "snippets/tls*.conf"),
        ("echo '#' >> available/shop@0123456789ab", "enabled/shop"),
        ("chmod 600 live/a.key; touch snippets/other.conf; echo >> theirs; echo >> nginx.conf", ""),
    ],
)
def test_each_kind_of_change_is_seen(root: Path, change: str, seen: str) -> None:
    record = record_of(root)
    assert record.differing() == []
    subprocess.run(["sh", "-c", change], cwd=root, check=True)
    assert record.differing() == ([f"{root}/{seen}"] if seen else [])


def test_a_change_is_as_old_as_the_newest_link_on_its_way(tmp_path: Path) -> None:
    for name in ("r1", "r2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text("x")
    (tmp_path / "current").symlink_to("r2")
    before = changed_at(f"{tmp_path}/current/f")
    time.sleep(0.02)
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("r1")
    assert changed_at(f"{tmp_path}/current/f") > before
    assert changed_at(f"{tmp_path}/r1/f") < before


def test_what_is_gone_changed_when_its_directory_did_and_a_loop_ends(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert changed_at(f"{tmp_path}/gone") == tmp_path.stat().st_ctime
    assert changed_at(f"{tmp_path}/none/gone") == tmp_path.stat().st_ctime
    assert changed_at(f"{tmp_path}/loop/x") > 0


def test_a_process_is_known_by_its_start(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("")
    time.sleep(0.05)
    process = subprocess.Popen(["sleep", "60"])
    time.sleep(0.05)
    (tmp_path / "new").write_text("")
    try:
        worker = identify_workers(NginxHost(), [process.pid])[0]
        assert (tmp_path / "old").stat().st_ctime < started_at(worker) < (tmp_path / "new").stat().st_ctime
    finally:
        process.kill()
        process.wait()
    assert identify_workers(NginxHost(), [process.pid]) == [(process.pid, 0)]


def test_only_a_reload_by_somebody_else_after_the_change_pays_for_it(tmp_path: Path) -> None:
    certificate = str(tmp_path / "c")
    (tmp_path / "c").write_text("new")
    ticks = os.sysconf("SC_CLK_TCK")
    now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * ticks)
    recorded = Snapshot({certificate: []}, workers=[(1, now - 9000), (2, now - 9000)])
    older, younger = [(3, now - 100 * ticks), (4, now + ticks)], [(3, now + ticks), (4, now + ticks)]
    assert not_loaded(recorded, [certificate], [], [(1, now - 9000), (9, now + ticks)]) == [certificate]
    assert not_loaded(recorded, [certificate], [], older) == [certificate]
    assert not_loaded(recorded, [certificate], [], younger) == []
    assert not_loaded(recorded, [], [certificate], older) == [certificate]
    assert not_loaded(recorded, [], [certificate], younger) == []
    assert not_loaded(recorded, [certificate], [], []) == []


def test_a_record_is_read_as_it_was_written_and_one_that_is_broken_is_none(tmp_path: Path) -> None:
    memory = LoadedState("/etc/nginx/nginx.conf", str(tmp_path / "state"))
    assert memory.read() == Snapshot()
    record = Snapshot({"/a": ["", 1, 2, 3]}, {"/b/*": ["/b/1"]}, ["/a"])
    memory.write(record, [(7, 8)])
    assert memory.read() == Snapshot(record.files, record.patterns, ["/a"], [(7, 8)])
    assert os.stat(memory.path).st_mode & 0o777 == 0o600
    Path(memory.path).write_text("{")
    assert memory.read() == Snapshot()


def test_a_file_that_was_put_back_is_as_it_was_loaded(tmp_path: Path) -> None:
    memory = LoadedState("/etc/nginx/nginx.conf", str(tmp_path / "state"))
    path = tmp_path / "nginx.conf"
    path.write_text("x")
    memory.write(Snapshot({str(path): ["", 1, 2, 3], "/other": ["", 4, 5, 6]}), [(7, 8)])
    memory.record_restored([str(path), "/unknown"])
    assert memory.read().files == {str(path): file_state(str(path)), "/other": ["", 4, 5, 6]}
    assert memory.read().workers == [(7, 8)]


def test_an_unchanged_run_asks_no_further_only_while_all_is_as_recorded(tmp_path: Path) -> None:
    path = tmp_path / "site"
    path.write_text("one")
    record = Snapshot({str(path): file_state(str(path))})
    assert record.is_current([str(path)])
    assert not record.is_current([str(path), "/never/recorded"])
    path.write_text("two, longer")
    assert not record.is_current([str(path)])
