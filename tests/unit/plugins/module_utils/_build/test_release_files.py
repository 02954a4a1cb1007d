# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of configuration are written where they are meant to be, and nowhere else."""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._app.files import ReleaseFile, parse_files
from ansible_collections.flaskops.stack.plugins.module_utils._build.release_files import remove_files, write_files
from ansible_collections.flaskops.stack.plugins.module_utils._build.secret_values import redact_secrets
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv import BuildError
from ansible_collections.flaskops.stack.plugins.module_utils._input.defaults import Settings
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Manifest


@pytest.fixture(name="code")
def make_code(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    return tmp_path / "app"


def files(**contents: str) -> tuple[ReleaseFile, ...]:
    items = [{"path": path.replace("__", "/"), "content": text, "secret": True} for path, text in contents.items()]
    return parse_files(items, {}, [], None, "/srv/shop")


def write(code: Path, wanted: t.Sequence[ReleaseFile]) -> None:
    write_files(wanted, str(code), os.getuid(), os.getgid())


def test_a_file_gets_its_directory_its_content_and_its_mode(code: Path) -> None:
    write(code, files(config__shop="key=1\n", top="a"))
    assert (code / "config" / "shop").read_text() == "key=1\n"
    assert [stat.S_IMODE((code / name).stat().st_mode) for name in ("config/shop", "config")] == [0o640, 0o755]
    assert sorted(os.listdir(code)) == ["config", "top"]


def test_a_file_of_the_source_is_replaced_and_other_releases_keep_theirs(code: Path) -> None:
    (code / "shop").write_text("as shipped")
    (code / "shop.gz").write_text("as shipped")
    os.link(code / "shop", code.parent / "older")
    write(code, files(shop="ours"))
    assert (code / "shop").read_text() == "ours"
    assert (code.parent / "older").read_text() == "as shipped"
    assert not (code / "shop.gz").exists()


def test_a_name_may_be_as_long_as_linux_lets_it(code: Path) -> None:
    name = "x" * 255
    write(code, files(**{name: "a"}))
    assert os.listdir(code) == [name]


def test_what_is_in_the_way_is_refused_and_nothing_is_written_elsewhere(code: Path) -> None:
    outside = code.parent / "outside"
    outside.mkdir()
    (code / "link").symlink_to(outside)
    (code / "file").write_text("")
    (code / "directory").mkdir()
    (code / "name").symlink_to(outside / "target")
    for wanted, message in (
        (files(link__a="x"), "'link' in the source is a link or a file, and no directory"),
        (files(file__a="x"), "'file' in the source is a link or a file, and no directory"),
        (files(directory="x"), "the source has a directory of that name"),
        (files(name="x"), "the source has a link of that name"),
    ):
        with pytest.raises(BuildError, match=message):
            write(code, wanted)
    assert os.listdir(outside) == []


def test_files_are_removed_with_what_python_made_of_them_and_no_link_is_followed(code: Path) -> None:
    outside = code.parent / "outside"
    outside.mkdir()
    (outside / "a").write_text("")
    (code / "link").symlink_to(outside)
    (code / "__pycache__").mkdir()
    for name in ("__pycache__/conf.cpython-313.pyc", "__pycache__/config.cpython-313.pyc", "conf.py"):
        (code / name).write_text("")
    wanted = parse_files([{"path": path, "content": ""} for path in ("conf.py", "link/a", "gone/b")], {}, [], None, "/")
    remove_files(wanted, str(code))
    assert (outside / "a").exists()
    assert sorted(os.listdir(code)) == ["__pycache__", "link"]
    assert os.listdir(code / "__pycache__") == ["config.cpython-313.pyc"]


def test_values_of_secret_files_are_masked_in_the_log_of_a_release(code: Path) -> None:
    (code / "shop.cfg").write_text("password = geheim-geheim\n")
    (code / "open.cfg").write_text("colour = very-visible\n")
    listed = [
        {"path": "shop.cfg", "secret": True},
        {"path": "open.cfg", "secret": False},
        {"path": "gone", "secret": True},
    ]
    manifest = Manifest(
        "shop", "1111111-11111111", "shop", "shop", {}, "3.12", "shop:app", Settings(),
        extra={"secret_names": [], "files": [*listed, "damaged"]},
    )  # fmt: skip
    said = redact_secrets("very-visible geheim-geheim", str(code.parent), manifest)
    assert said == "very-visible ********"
