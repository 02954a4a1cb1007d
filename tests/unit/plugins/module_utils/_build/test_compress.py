# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static files that are compressed when a release is built."""

from __future__ import annotations

import gzip
import os
import typing as t
import zlib
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import identify, parse_app
from ansible_collections.flaskops.stack.plugins.module_utils._build.compress import (
    Compressor,
    Encoding,
    encodings,
    suffixes_served,
)
from ansible_collections.flaskops.stack.plugins.module_utils._system.nginx_modules import parse_modules, static_modules

SCRIPT = b"function f(){return 1}\n" * 200
SHOP: dict[str, t.Any] = {"name": "shop", "source": "./shop", "app": "shop:app"}
# Stands for brotli, which not every Python has.
REVERSED = Encoding(
    ".br", lambda data, _best: data[:1000:-1], lambda stream: iter([stream.read()[::-1]]), (ValueError,)
)


def write(top: Path, name: str, data: bytes = SCRIPT) -> Path:
    path = top / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def compress(top: Path, *directories: str, **more: t.Any) -> list[str]:
    compressor = Compressor(more.pop("formats", encodings(())), more.pop("served", suffixes_served(())), **more)
    compressor.compress(str(top), directories or ("static",))
    return compressor.warnings


def copies(top: Path) -> list[str]:
    found = (path for suffix in (".gz", ".br", ".zst") for path in top.rglob(f"*{suffix}"))
    return sorted(str(path.relative_to(top)) for path in found)


def test_what_gains_by_it_is_compressed_with_the_time_and_mode_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "static/a/app.js")
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18))
    write(tmp_path, "static/logo.png")
    write(tmp_path, "static/small.css", b"a" * 500)
    write(tmp_path, "static/random.css", os.urandom(4000))
    write(tmp_path, "templates/page.html")
    assert compress(tmp_path) == []
    assert copies(tmp_path) == ["static/a/app.js.gz"]
    copy = tmp_path / "static/a/app.js.gz"
    assert gzip.decompress(copy.read_bytes()) == SCRIPT
    assert (copy.stat().st_mtime_ns, copy.stat().st_mode) == (10**18, path.stat().st_mode)


def test_equal_input_gives_equal_copies(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, "static/app.js")
        compress(tmp_path / name)
    assert len({(tmp_path / name / "static/app.js.gz").read_bytes() for name in ("one", "two")}) == 1


def test_a_copy_of_the_source_stays_when_it_is_one(tmp_path: Path) -> None:
    write(tmp_path, "static/app.js")
    best = write(tmp_path, "static/app.js.gz", gzip.compress(SCRIPT, 9, mtime=7)).read_bytes()
    alone = write(tmp_path, "static/dump.gz", gzip.compress(b"x"))
    assert compress(tmp_path) == []
    assert (tmp_path / "static/app.js.gz").read_bytes() == best
    assert alone.exists()


@pytest.mark.parametrize(
    ("stale", "reason"),
    [
        (gzip.compress(SCRIPT + b"x"), "has another content"),
        (gzip.compress(SCRIPT[:-1]), "has another content"),
        (gzip.compress(SCRIPT)[:-9], "is damaged"),
        (gzip.compress(SCRIPT) + b"rest", "is damaged"),
        (b"no gzip at all", "is damaged"),
        (b"", "is damaged"),
    ],
)
@pytest.mark.parametrize("name", ["app.js", "app.bin"])
def test_a_stale_copy_of_the_source_does_not_stay(tmp_path: Path, name: str, stale: bytes, reason: str) -> None:
    write(tmp_path, f"static/{name}")
    write(tmp_path, f"static/{name}.gz", stale)
    [warning] = compress(tmp_path)
    assert warning.startswith(f"static/{name}.gz {reason}, and nginx would send it in place of '{name}'")
    if name == "app.js":
        assert gzip.decompress((tmp_path / "static/app.js.gz").read_bytes()) == SCRIPT
    else:
        assert not (tmp_path / "static/app.bin.gz").exists()


def test_a_copy_that_would_fill_the_memory_is_read_no_further_than_the_file(tmp_path: Path) -> None:
    write(tmp_path, "static/app.js")
    write(tmp_path, "static/app.js.gz", gzip.compress(b"\0" * 2**28))
    assert "has another content" in compress(tmp_path)[0]


def test_a_file_that_takes_too_long_to_compare_loses_its_copy(tmp_path: Path) -> None:
    with open(write(tmp_path, "static/huge.bin"), "r+b") as stream:
        stream.truncate(2**40)
    write(tmp_path, "static/huge.bin.gz", gzip.compress(b"\0" * 2**20))
    [warning] = compress(tmp_path)
    assert warning.startswith("static/huge.bin.gz cannot be compared with its file in reasonable time")


def test_links_and_special_files_are_left_alone(tmp_path: Path) -> None:
    outside = write(tmp_path, "outside/app.js")
    write(tmp_path, "app/static/real.js")
    (tmp_path / "app/static/link.js").symlink_to(outside)
    (tmp_path / "app/static/uploads").symlink_to(outside.parent)
    (tmp_path / "app/other").symlink_to(outside.parent)
    os.mkfifo(tmp_path / "app/static/fifo.js")
    os.mkfifo(tmp_path / "app/static/real.js.gz")
    [warning] = compress(tmp_path / "app", "static", "static/uploads", "other", "../outside", "missing", "/etc")
    assert warning.startswith("static/real.js.gz is no copy of a file")
    assert copies(tmp_path) == ["app/static/real.js.gz"]


def test_a_file_is_compressed_once_where_directories_overlap(tmp_path: Path) -> None:
    write(tmp_path, "static/admin/app.js")
    assert compress(tmp_path, "static/admin", "static") == []
    assert copies(tmp_path) == ["static/admin/app.js.gz"]


def test_what_was_compressed_stays_when_its_time_is_over(tmp_path: Path) -> None:
    write(tmp_path, "static/app.js")
    assert compress(tmp_path, seconds=0) == []
    assert copies(tmp_path) == []


def test_copies_that_nginx_would_send_are_compared_in_each_format(tmp_path: Path) -> None:
    write(tmp_path, "static/app.js")
    write(tmp_path, "static/app.js.br", SCRIPT[::-1])
    write(tmp_path, "static/b.js", SCRIPT)
    write(tmp_path, "static/b.js.br", b"other")
    formats = [*encodings(()), REVERSED]
    [warning] = compress(tmp_path, formats=formats, served=[".gz", ".br"])
    assert warning.startswith("static/b.js.br has another content")
    assert copies(tmp_path) == [f"static/{name}.js.{suffix}" for name in ("app", "b") for suffix in ("br", "gz")]


def test_a_copy_that_nobody_can_compare_is_kept_only_when_nginx_does_not_send_it(tmp_path: Path) -> None:
    write(tmp_path, "static/app.js")
    write(tmp_path, "static/app.js.br", b"?")
    assert compress(tmp_path) == []
    [warning] = compress(tmp_path, served=[".gz", ".br"])
    assert warning.startswith("static/app.js.br cannot be read on this host, which lacks the library for Python")
    assert copies(tmp_path) == ["static/app.js.gz"]


def test_formats_need_a_module_of_nginx() -> None:
    assert [encoding.suffix for encoding in encodings(())] == [".gz"]
    assert suffixes_served(["zstd_static", "brotli_static"]) == [".gz", ".br", ".zst"]
    assert zlib.decompress(encodings(())[0].pack(SCRIPT, True), 31) == SCRIPT


def test_modules_are_those_that_a_line_loads(tmp_path: Path) -> None:
    line = "load_module modules/ngx_http_brotli_static_module.so;"
    assert parse_modules(f"{line}\n  load_module /usr/lib/nginx/modules/ngx_http_zstd_static_module.so;\n") == [
        "brotli_static",
        "zstd_static",
    ]
    assert parse_modules(f"# {line}\nload_module modules/ngx_http_brotli_filter_module.so;") == []
    enabled = tmp_path / "modules-enabled"
    write(enabled, "50-brotli.conf", line.encode())
    write(enabled, "README", b"load_module modules/ngx_http_zstd_static_module.so;")
    main = write(tmp_path, "nginx.conf", f"include {enabled}/*.conf;".encode())
    assert static_modules(str(main), str(enabled)) == ["brotli_static"]
    main.write_text("events {}", encoding="utf-8")
    assert static_modules(str(main), str(enabled)) == static_modules("/missing", str(enabled)) == []


def test_directories_of_the_code_are_compressed_unless_told_otherwise() -> None:
    static = [
        {"url": "/static/", "path": "shop/static/"},
        {"url": "/a/", "path": "/srv/shop/current/app/a"},
        *({"url": "/x/", "path": path} for path in ("/var/www", "../x", ".", "")),
    ]
    app = parse_app({**SHOP, "nginx": {"static": static}}, "/srv")
    assert app.compressed == ("a", "shop/static")
    without = parse_app({**SHOP, "compress": False, "nginx": {"static": static}}, "/srv")
    assert without.compressed == parse_app(SHOP, "/srv").compressed == ()
    assert identify(app, "git", "abc1234", "3.13") == identify(without, "git", "abc1234", "3.13")
