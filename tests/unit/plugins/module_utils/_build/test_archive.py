# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives as others make them: bombs, deep trees, and what the Finder and Windows write."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.source import SourceError
from ansible_collections.flaskops.stack.plugins.module_utils._app.source_tree import FILE, LINK, ArchiveEntry, plan_tree
from ansible_collections.flaskops.stack.plugins.module_utils._build.archive import extract

WAY_OUT = r"more than 8 MiB.*set 'source_max_mib' higher \(flask_source_max_mib"


def unpack(path: Path, max_mib: int = 8) -> dict[str, str]:
    """Return path and content of all files."""
    top = path.parent / f"out-{path.name}"
    top.mkdir()
    extract(str(path), str(top), path.name, True, "", max_mib)
    return {str(f.relative_to(top)): f.read_text("utf-8", "replace") for f in top.rglob("*") if f.is_file()}


def zip_of(path: Path, members: dict[str, str | bytes], system: int = 3, compressed: bool = True) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as zipped:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.compress_type = system, zipped.compression
            zipped.writestr(info, data)
    return path


def tar_of(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def file(name: str, size: int = 2) -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), b"x" * size


def hardlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.LNKTYPE, target
    return info, b""


def test_a_zip_that_unpacks_to_more_than_is_allowed_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "x.zip", {"shop/web.py": "x", "shop/zeros": bytes(9 << 20)})
    assert path.stat().st_size < 100_000
    with pytest.raises(SourceError, match=WAY_OUT):
        unpack(path)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_that_unpacks_to_more_than_is_allowed_is_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(SourceError, match=WAY_OUT):
        unpack(tar_of(tmp_path / "x.tar", [file("shop/web.py"), file("shop/zeros", 9 << 20)], mode))


def test_many_small_files_count_for_what_they_take_on_a_disk(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=WAY_OUT):
        unpack(tar_of(tmp_path / "x.tar", [file(f"shop/{number}") for number in range(2100)]))
    with pytest.raises(SourceError, match=WAY_OUT):
        unpack(zip_of(tmp_path / "x.zip", {f"shop/{number}": "" for number in range(2100)}))


def test_hard_links_count_for_the_copies_that_they_become(tmp_path: Path) -> None:
    links = [hardlink(f"shop/{number}", "shop/large") for number in range(8)]
    with pytest.raises(SourceError, match=WAY_OUT):
        unpack(tar_of(tmp_path / "x.tar", [file("shop/large", 1 << 20), *links]))


def test_a_size_that_is_claimed_is_believed_before_anything_is_unpacked(tmp_path: Path) -> None:
    info = tarfile.TarInfo("shop/huge")
    info.size = 1 << 50
    with gzip.open(tmp_path / "x.tar.gz", "wb") as packed:
        packed.write(info.tobuf())
    with pytest.raises(SourceError, match=WAY_OUT):
        unpack(tmp_path / "x.tar.gz")
    assert not list((tmp_path / "out-x.tar.gz").iterdir())


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("shop/x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    with gzip.open(tmp_path / "x.tar.gz", "wb") as packed:
        packed.write(info.tobuf())
        packed.write(bytes(1 << 20))
    with pytest.raises(SourceError, match="a header of more than 16 MiB"):
        unpack(tmp_path / "x.tar.gz")


def test_what_fits_is_written(tmp_path: Path) -> None:
    assert len(unpack(tar_of(tmp_path / "x.tar", [file("shop/a", 7 << 20), file("shop/b")]))) == 2


@pytest.mark.parametrize(
    "data", [b"\x1f\x8b\x08\x00garbage", b"BZh9garbage", b"\xfd7zXZ\x00garbage", b"PK\x03\x04x", b""]
)
def test_damaged_archives_are_refused_by_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.tar.gz").write_bytes(data)
    with pytest.raises(SourceError, match=r"x\.tar\.gz cannot be read as an archive"):
        unpack(tmp_path / "x.tar.gz")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xef\xbb\xbf\n<!doctype html><title>Sign in</title>", "is a page .*a login"),
        (b'{"message": "404 Not Found"}', "is JSON"),
        (b"\x28\xb5\x2f\xfdxxxx", r"packed by zstd: pack it as \.tar\.gz"),
        (b"7z\xbc\xaf\x27\x1cxxxx", r"packed by 7-Zip: pack it as \.tar\.gz"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_what_is_no_archive_is_told_by_its_beginning(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "x.tar.gz").write_bytes(data)
    with pytest.raises(SourceError, match=rf"x\.tar\.gz cannot be read as an archive .*{says}"):
        unpack(tmp_path / "x.tar.gz")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "x.zip", {"web.py": "x"})
    data = bytearray(path.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(header) + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"x\.zip cannot be read .*'web\.py' is encrypted: pack it without"):
        unpack(path)


@pytest.mark.parametrize("name", ["GNU.sparse.map", "GNU.sparse.size"])
def test_fields_that_make_no_sense_are_refused(tmp_path: Path, name: str) -> None:
    info = tarfile.TarInfo("shop/a")
    info.pax_headers = {"GNU.sparse.map": "1,1", "GNU.sparse.size": "1", name: "x"}
    with pytest.raises(SourceError, match="cannot be read as an archive"):
        unpack(tar_of(tmp_path / "x.tar.gz", [(info, b"x"), file("shop/b")]))


@pytest.mark.parametrize("time", ["1e30", "inf", "nan", "-1"])
def test_a_time_that_no_clock_has_is_left_out(tmp_path: Path, time: str) -> None:
    info = tarfile.TarInfo("web.py")
    info.pax_headers = {"mtime": time}
    assert unpack(tar_of(tmp_path / "x.tar.gz", [(info, b"x")])) == {"web.py": "x"}


def test_a_directory_of_a_zip_is_known_by_its_mode(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as zipped:
        info = zipfile.ZipInfo("shop")
        info.create_system, info.external_attr = 3, 0o40755 << 16
        zipped.writestr(info, "")
        zipped.writestr("shop/web.py", "x")
        zipped.writestr("run.py", "")
    assert unpack(tmp_path / "x.zip") == {"shop/web.py": "x", "run.py": ""}


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "x.tar", [file("shop/a", 1 << 20), file("shop/b")])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(SourceError, match="cannot be read as an archive"):
        unpack(path)


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = zip_of(tmp_path / "inner.zip", {"evil/x": "x"}, compressed=False)
    path = tar_of(tmp_path / "x.tar", [(tarfile.TarInfo("shop/inner.zip"), inner.read_bytes())], "w")
    assert list(unpack(path)) == ["inner.zip"]


@pytest.mark.parametrize("depth", [101, 3000])
def test_directories_that_are_too_deep_are_refused(tmp_path: Path, depth: int) -> None:
    name = "shop/" + "d/" * depth + "web.py"
    with pytest.raises(SourceError, match=rf"'shop/d/d/.*…', {depth + 2} directories deep: at most 100"):
        unpack(tar_of(tmp_path / "x.tar", [file(name)]))


def test_directories_that_are_not_too_deep_are_written(tmp_path: Path) -> None:
    assert len(unpack(tar_of(tmp_path / "x.tar", [file("shop/" + "d/" * 90 + "web.py")]))) == 1


@pytest.mark.parametrize("name", ["n" * 256, "ü" * 128, "/".join(["n" * 200] * 11)])
def test_names_that_no_file_system_has_are_refused(name: str) -> None:
    with pytest.raises(SourceError, match=r"a path of .* characters"):
        plan_tree([ArchiveEntry(name, FILE)], "x.tar")


def test_what_the_finder_adds_is_left_out(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {
        "shop/": "",
        "shop/web.py": "x",
        "shop/.DS_Store": "x",
        "shop/static/.DS_Store": "x",
        "shop/._kept": "a file of its own",
        "__MACOSX/": "",
        "__MACOSX/._shop": b"\x00\x05\x16\x07",
        "__MACOSX/shop/._web.py": b"\x00\x05\x16\x07",
    }
    assert sorted(unpack(zip_of(tmp_path / "x.zip", members))) == ["._kept", "web.py"]


def test_what_tar_on_a_mac_adds_is_left_out(tmp_path: Path) -> None:
    members = [file(name) for name in ("._shop", ".DS_Store", "shop/._web.py", "shop/web.py", "shop/._static")]
    assert sorted(unpack(tar_of(tmp_path / "x.tgz", [*members, file("shop/static/a.css")]))) == [
        "static/a.css",
        "web.py",
    ]


@pytest.mark.parametrize("system", [0, 3])
def test_backslashes_of_windows_are_slashes(tmp_path: Path, system: int) -> None:
    members: dict[str, str | bytes] = {
        "shop\\": "",
        "shop\\web.py": "x",
        "shop\\static\\a.css": "y",
        "shop\\Thumbs.db": "",
    }
    assert unpack(zip_of(tmp_path / "x.zip", members, system)) == {"web.py": "x", "static/a.css": "y"}


def test_backslashes_lead_nowhere_else(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="outside of the release"):
        unpack(zip_of(tmp_path / "x.zip", {"shop\\web.py": "x", "..\\..\\etc\\passwd": "y"}, 0))


def test_a_backslash_in_a_name_of_unix_is_kept(tmp_path: Path) -> None:
    assert "a\\b.txt" in unpack(zip_of(tmp_path / "x.zip", {"shop/web.py": "x", "shop/a\\b.txt": "y"}))


def test_names_in_utf_8_without_the_flag_are_read(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "x.zip", {"shop/web.py": "x", "shop/caf\u00e9.txt": "y"})
    # In both headers the flags stand behind the version, 20.
    path.write_bytes(path.read_bytes().replace(b"\x14\x00\x00\x08", b"\x14\x00\x00\x00"))
    assert "café.txt" in unpack(path)


ENVIRONMENT = [
    ArchiveEntry("web.py", FILE),
    ArchiveEntry("myprojectenv/pyvenv.cfg", FILE),
    ArchiveEntry("myprojectenv/bin/python3", LINK, "/usr/bin/python3"),
    ArchiveEntry("myprojectenv/lib/python3.13/site-packages/flask/app.py", FILE),
]


@pytest.mark.parametrize(
    "entries",
    [
        ENVIRONMENT,
        [*ENVIRONMENT, ArchiveEntry("tests/data/pyvenv.cfg", FILE)],
        [
            ArchiveEntry("web.py", FILE),
            ArchiveEntry("env/pyvenv.cfg", FILE),
            ArchiveEntry("env/Scripts/python.exe", FILE),
        ],
        [
            # Of virtualenv before version 20.
            ArchiveEntry("web.py", FILE),
            ArchiveEntry("env/bin/activate_this.py", FILE),
            ArchiveEntry("env/lib/python3.8/site.py", FILE),
        ],
        [
            ArchiveEntry("web.py", FILE),
            ArchiveEntry("a/b/conda/conda-meta/history", FILE),
            ArchiveEntry("a/b/conda/bin/python", LINK, "/x"),
        ],
    ],
)
def test_environments_are_left_out_by_whatever_name(entries: list[ArchiveEntry]) -> None:
    kept = {entry.path for entry in plan_tree(entries, "x")}
    assert kept == {"web.py"} | {entry.path for entry in entries if entry.path.startswith("tests/")}


def test_an_environment_in_the_place_of_the_project_leaves_the_project() -> None:
    entries = [
        ArchiveEntry("pyvenv.cfg", FILE),
        ArchiveEntry("bin/python3", LINK, "/usr/bin/python3"),
        ArchiveEntry("bin/activate", FILE),
        ArchiveEntry("bin/deploy.sh", FILE),
        ArchiveEntry("lib/python3.13/site-packages/flask/app.py", FILE),
        ArchiveEntry("lib/shop.py", FILE),
        ArchiveEntry("lib64", LINK, "lib"),
        ArchiveEntry("web.py", FILE),
    ]
    assert [entry.path for entry in plan_tree(entries, "x")] == ["bin/deploy.sh", "lib/shop.py", "web.py"]


def test_pointers_of_git_lfs_are_found(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123456\n"
    members = [file("shop/web.py"), (tarfile.TarInfo("shop/static/model.bin"), pointer)]
    path = tar_of(tmp_path / "x.tar", [*members, (tarfile.TarInfo("shop/guide.md"), pointer + b"x" * 2000)])
    (tmp_path / "out").mkdir()
    written = extract(str(path), str(tmp_path / "out"), "x", True, "")
    assert written.pointers == ("static/model.bin",)
    assert (tmp_path / "out/static/model.bin").read_bytes() == pointer
