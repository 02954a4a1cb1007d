# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What git leaves out of an archive is said, by name."""

from __future__ import annotations

from ansible_collections.flaskops.stack.plugins.module_utils._app.source_left import explain_left, explain_pointers

TREE = "\0".join(
    [
        "100644 blob 00\t.gitattributes",
        "100644 blob 00\tREADME.md",
        "100644 blob 00\tweb/app.py",
        "160000 commit 00\tvendor",
        "120000 blob 00\tweb/static",
        "",
    ]
)


def test_what_is_all_there_needs_no_word() -> None:
    assert explain_left(TREE, [".gitattributes", "README.md", "web/app.py", "web/static", "vendor/x.py"]) == []


def test_files_and_submodules_that_are_missing_are_named() -> None:
    modules, files = explain_left(TREE, [".gitattributes", "web/", "web/app.py", "vendor/"])
    assert "submodules are empty in this release: vendor." in modules
    assert "git submodule update --init" in modules
    assert "not in this release: README.md, web/static." in files
    assert "export-ignore" in files
    assert ".gitattributes" in files


def test_only_the_part_that_is_deployed_counts() -> None:
    (files,) = explain_left(TREE, ["web/app.py"], "web")
    assert "web/static." in files


def test_long_lists_are_cut_and_names_are_printable() -> None:
    (said,) = explain_pointers([f"static/{number}.bin" for number in range(8)] + ["a\x1b[31m"])
    assert "a\\x1b[31m, static/0.bin, static/1.bin, static/2.bin, static/3.bin and 4 more" in said
    assert "git lfs pull" in said


def test_names_that_are_not_utf_8_are_compared() -> None:
    assert explain_left("100644 blob 00\tcaf\ufffd.txt\0", ["caf\udce9.txt"]) == []
