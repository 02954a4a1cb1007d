# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.binary import staging_parent
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.build_options import Build
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.stage import ValidationEnvironment
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.staged_tree import StagedTree

CONF = """user %USER%;
pid %ROOT%/run/nginx.pid;
error_log log/error.log;
events {}
http {
  access_log %ROOT%/log/a.log;
  access_log off;
  access_log /nowhere/x.log;
  proxy_cache_path %ROOT%/cache/fresh keys_zone=x:1m;
  include %ROOT%/etc/sites/*;
  include mime.types;
}
"""


@pytest.fixture(name="root")
def make_root(tmp_path: Path) -> Path:
    for name in ("etc/sites", "etc/certs", "run", "log", "cache", "stage", "temp/body"):
        (tmp_path / name).mkdir(parents=True)
    conf = CONF.replace("%ROOT%", str(tmp_path)).replace("%USER%", getpass.getuser())
    (tmp_path / "etc/nginx.conf").write_text(conf)
    (tmp_path / "etc/mime.types").write_text("types {}")
    (tmp_path / "etc/sites/old").write_text("#old")
    (tmp_path / "etc/sites/link").symlink_to("../mime.types")
    (tmp_path / "etc/certs/c.pem").write_text("pem")
    return tmp_path


def staged(root: Path, changes: dict[str, bytes | None], options: str = "") -> ValidationEnvironment:
    temporary = (("client_body_temp_path", f"{root}/temp/body"), ("proxy_temp_path", f"{root}/temp/proxy"))
    build = Build(
        "1.26.0", (), str(root), f"{root}/etc/nginx.conf", f"{root}/run/n.pid", f"{root}/log/e.log", "x", temporary
    )
    staged_tree = StagedTree({f"{root}/{name}": content for name, content in changes.items()})
    return ValidationEnvironment(
        f"{root}/stage", staged_tree.load(f"{root}/etc/nginx.conf", options), staged_tree, build
    )


def test_changed_directories_are_copied_and_logs_are_hidden(root: Path) -> None:
    stage = staged(root, {"etc/sites/old": None, "etc/sites/new": b"#new"})
    stage.prepare_mounts()
    mounts = {target: Path(source) for source, target in stage.mounts}
    assert set(mounts) == {f"{root}/etc/sites", f"{root}/etc/nginx.conf", f"{root}/log"}
    sites = mounts[f"{root}/etc/sites"]
    assert sorted(entry.name for entry in sites.iterdir()) == ["link", "new"]
    assert (sites / "link").is_symlink()
    assert list(mounts[f"{root}/log"].iterdir()) == []


def test_the_main_file_is_tested_with_private_places_for_what_would_be_made(root: Path) -> None:
    stage = staged(root, {"etc/sites/new": b"#new"})
    stage.prepare_mounts()
    tested = Path(next(source for source, target in stage.mounts if target.endswith("nginx.conf"))).read_text()
    original = (root / "etc/nginx.conf").read_text()
    assert tested.count("\n") == original.count("\n")
    assert "/run/nginx.pid" not in tested
    assert "cache/fresh" not in tested
    assert "proxy_temp_path" in tested
    assert "client_body_temp_path" not in tested
    for kept in ("access_log off;", "access_log /nowhere/x.log;", f"{root}/log/a.log"):
        assert kept in tested
    assert stage.arguments() == []
    made = tested.split('pid "')[1].split('"')[0]
    assert stage.real_names(f"open() {made} failed") == f"open() {root}/run/nginx.pid failed"


def test_a_new_file_in_a_new_directory_brings_its_nearest_directory(root: Path) -> None:
    stage = staged(root, {"etc/new/deep/x.conf": b"#x", "etc/other.conf": b"#o"})
    stage.prepare_mounts()
    copy = Path(next(source for source, target in stage.mounts if target == f"{root}/etc"))
    assert (copy / "new/deep/x.conf").read_bytes() == b"#x"
    assert (copy / "other.conf").read_bytes() == b"#o"
    assert (f"{root}/etc/sites", str(copy / "sites")) in stage.mounts


def test_a_shadow_has_everything_that_nginx_reads_and_nothing_of_what_it_writes(root: Path) -> None:
    stage = staged(
        root,
        {"etc/sites/old": None, "etc/sites/new": b"include mime.types; access_log %s/log/b.log;" % str(root).encode()},
    )
    main = Path(stage.prepare_shadow())
    etc = main.parent
    tested = main.read_text()
    assert str(etc) == f"{root}/stage/shadow{root}/etc"
    assert f'include "{etc}/sites/*";' in tested
    assert "include mime.types;" in tested
    assert f"{root}/log/" not in tested.replace(f"{root}/stage", "")
    assert sorted(entry.name for entry in (etc / "sites").iterdir()) == ["link", "new"]
    assert f"{root}/log/b.log" not in (etc / "sites/new").read_text()
    assert (etc / "certs/c.pem").read_text() == "pem"
    assert stage.real_names(f"in {etc}/sites/new:1") == f"in {root}/etc/sites/new:1"


@pytest.mark.parametrize("other", ["ssl_certificate %ROOT%/log/c.pem;", "error_log e.log;"])
def test_a_directory_that_holds_more_than_logs_is_not_hidden(root: Path, other: str) -> None:
    stage = staged(root, {"etc/sites/new": other.replace("%ROOT%", str(root)).encode()})
    stage.prepare_mounts()
    hidden = f"{root}/log" in [target for _source, target in stage.mounts]
    assert hidden is ("log/c.pem" not in other)
    assert str(root) not in [target for _source, target in stage.mounts]
    tested = Path(next(source for source, target in stage.mounts if target.endswith("nginx.conf"))).read_text()
    assert (f"{root}/log/a.log" in tested) is hidden


def test_a_log_beside_the_configuration_does_not_hide_it(root: Path) -> None:
    (root / "etc/sites/old").write_text(f"error_log {root}/etc/odd.log;")
    stage = staged(root, {"etc/sites/new": b"#new"})
    stage.prepare_mounts()
    assert f"{root}/etc" not in [target for _source, target in stage.mounts]
    copy = Path(next(source for source, target in stage.mounts if target == f"{root}/etc/sites"))
    assert f"{root}/etc/odd.log" not in (copy / "old").read_text()


def test_large_files_and_code_are_mounted_rather_than_copied(root: Path) -> None:
    (root / "etc/sites/geo.mmdb").write_bytes(b"x" * (1024 * 1024 + 1))
    (root / "etc/sites/module.so").write_bytes(b"ELF")
    stage = staged(root, {"etc/sites/new": b"#new"})
    stage.prepare_mounts()
    mounts = {target: source for source, target in stage.mounts}
    copy = mounts[f"{root}/etc/sites"]
    for name in ("geo.mmdb", "module.so"):
        assert mounts[f"{copy}/{name}"] == f"{root}/etc/sites/{name}"
        assert (Path(copy) / name).read_bytes() == b""
    assert (Path(copy) / "old").read_bytes() == b"#old"


def test_a_stage_is_in_memory_only_where_there_is_room(tmp_path: Path) -> None:
    memory = str(tmp_path)
    assert staging_parent(1, memory) == memory
    assert staging_parent(1 << 60, memory) == tempfile.gettempdir()
    assert staging_parent(1, str(tmp_path / "none")) == tempfile.gettempdir()


@pytest.mark.parametrize(
    ("word", "real"),
    [
        ("../ssl/t.crt", "ssl/t.crt"),
        ("./.././ssl/t.crt", "ssl/t.crt"),
        ("linked/t.crt", "ssl/t.crt"),
        ("linked/../ssl/t.crt", "ssl/t.crt"),
        ("certs/../../ssl/t.crt", "ssl/t.crt"),
    ],
)
def test_relative_paths_lead_out_of_a_shadow_as_out_of_the_real_tree(root: Path, word: str, real: str) -> None:
    (root / "ssl").mkdir()
    (root / "ssl/t.crt").write_text("pem")
    (root / "etc/linked").symlink_to("../ssl")
    etc = Path(staged(root, {"etc/sites/new": b"#new"}).prepare_shadow()).parent
    # Not by Path, which takes ".." away without a look at links.
    assert os.path.samefile(f"{etc}/{word}", root / real)


def test_a_path_ends_at_the_root_directory_of_a_shadow(root: Path) -> None:
    depth = str(root / "etc").count("/")
    most, above = "../" * depth, "../" * (depth + 3)
    text = f"ssl_certificate {above}x.crt; root {above}x; access_log off;"
    etc = Path(staged(root, {"etc/sites/new": text.encode()}).prepare_shadow()).parent
    tested = (etc / "sites/new").read_text()
    assert f'ssl_certificate "{most}x.crt";' in tested
    # nginx takes this one from its prefix.
    assert f"root {above}x;" in tested


def test_links_of_directories_are_made_anew_in_a_shadow(root: Path) -> None:
    (root / "elsewhere").mkdir()
    (root / "etc/sites").rename(root / "elsewhere/sites")
    (root / "etc/sites").symlink_to("../elsewhere/sites")
    (root / "elsewhere/t.crt").write_text("pem")
    (root / "elsewhere/sites/link").unlink()
    etc = Path(staged(root, {"etc/sites/new": b"#new", "etc/sites/old": None}).prepare_shadow()).parent
    assert sorted(os.listdir(f"{etc}/sites")) == ["new"]
    assert os.path.samefile(f"{etc}/sites/../t.crt", root / "elsewhere/t.crt")


def test_a_shadow_has_what_changes_and_is_no_configuration(root: Path) -> None:
    text = f"ssl_certificate certs/new.pem; ssl_certificate_key {root}/etc/certs/new.pem;"
    stage = staged(root, {"etc/sites/new": text.encode(), "etc/certs/new.pem": b"new", "etc/sites/old": None})
    etc = Path(stage.prepare_shadow()).parent
    assert (etc / "certs/new.pem").read_bytes() == b"new"
    assert f'ssl_certificate_key "{etc}/certs/new.pem";' in (etc / "sites/new").read_text()


def test_a_directory_that_becomes_empty_is_empty_in_a_shadow(root: Path) -> None:
    (root / "etc/sites/link").unlink()
    etc = Path(staged(root, {"etc/sites/old": None}).prepare_shadow()).parent
    assert os.listdir(etc / "sites") == []


def test_what_nginx_is_started_with_is_tested_and_does_no_harm(root: Path) -> None:
    (root / "etc/nginx.conf").write_text("events {}")
    given = f"load_module m.so; error_log {root}/log/g.log; pid {root}/run/g.pid; include {root}/etc/sites/old;"
    stage = staged(root, {"etc/sites/old": b"#new"}, given)
    option, text = stage.arguments()
    assert option == "-g"
    assert text.startswith("load_module m.so; ")
    assert f"{root}/log/" not in text.replace(f"{root}/stage", "")
    assert text.count("pid ") == 1
    assert "/run/g.pid" not in text.replace(f"{root}/stage", "")
    assert f'include "{root}/stage/shadow{root}/etc/sites/old";' in stage.arguments(stage.shadow)[1]


def test_a_link_to_what_changes_leads_to_it_in_a_shadow(root: Path) -> None:
    (root / "elsewhere").mkdir()
    (root / "etc/sites").rename(root / "elsewhere/sites")
    (root / "etc/sites").symlink_to("../elsewhere/sites")
    (root / "etc/again").symlink_to("sites")
    (root / "etc/one").symlink_to("sites/new")
    (root / "etc/gone").symlink_to("sites/old")
    (root / "elsewhere/sites/link").unlink()
    # nginx reads none of them: no include follows these links.
    (root / "etc/nginx.conf").write_text("events {}")
    etc = Path(staged(root, {"etc/sites/new": b"#new", "etc/sites/old": None}).prepare_shadow()).parent
    assert os.listdir(etc / "sites") == os.listdir(etc / "again") == ["new"]
    assert (etc / "one").read_text() == "#new"
    assert not (etc / "gone").exists()
