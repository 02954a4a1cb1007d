# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages name files and sections that exist, and the map shows the packages as they are."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.flaskops.stack.plugins.plugin_utils._input_check import check_variables, load_schema

OPTIONS = load_schema()
TOP = Path(__file__).parents[2]
PAGES = sorted([*TOP.glob("*.md"), *TOP.glob("docs/*.md"), *TOP.glob("roles/*/README.md")])
UTILITIES = TOP / "plugins/module_utils"
# A file of ours in code marks: below the top, or as package/file of module_utils or plugin_utils/file.
_FILE = re.compile(r"`((?:\.?\w[\w.-]*/|_\w+/)+[\w*.-]+\.(?:py|yml|j2|md)|_host_(?:code|task)\.py)`")
_NAME_IN_FILE = re.compile(r"`(\w+)`(?: and `(\w+)`)? in `([\w./-]+\.py)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_VERSION = re.compile(r"version_added: *['\"]?([0-9.]+)")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_there(name: str) -> bool:
    return any(any(base.glob(name)) for base in (TOP, TOP / "plugins", UTILITIES))


def variables_in(value: object) -> t.Iterator[dict[str, t.Any]]:
    """Yield the variables of roles in an inventory, a play or a part of one."""
    if isinstance(value, dict):
        yield {name: given for name, given in value.items() if name in OPTIONS}
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from variables_in(inner)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_what_is_to_be_copied_has_no_fault(page: Path) -> None:
    for block in re.findall(r"^```yaml\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL):
        for given in variables_in(yaml.safe_load(block.replace("!vault", ""))):
            # Some show one option of an application that has been described before.
            assert [fault for fault in check_variables(given, OPTIONS) if "is missing" not in fault] == [], block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_links_lead_to_pages_and_sections_that_exist(page: Path) -> None:
    broken = []
    for link in _LINK.findall(text_of(page)):
        target, _hash, section = link.partition("#")
        if target.startswith(("http:", "https:")):
            continue
        found = (page.parent / target).resolve() if target else page
        if not found.exists() or (section and section not in anchors(found)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("name", ["architecture", "security", "testing", "glossary", "nginx_site", "benchmarks"])
def test_a_page_about_the_code_names_files_that_exist(name: str) -> None:
    assert [path for path in _FILE.findall(text_of(TOP / f"docs/{name}.md")) if not is_there(path)] == []


def test_the_table_of_hostile_trees_names_functions_that_exist() -> None:
    rows = text_of(TOP / "docs/security.md").partition("## Hostile trees")[2].partition("\n## ")[0].splitlines()
    named = {name for row in rows if row.startswith("| ") for name in re.findall(r"`(\w+)`", row.split("|")[3])}
    code = "\n".join(text_of(path) for path in (TOP / "plugins").glob("**/*.py"))
    modules = {path.stem for path in (TOP / "plugins/modules").glob("*.py")}
    assert len(named) > 10
    assert {
        name for name in named - modules if not re.search(rf"^ *(?:def|class) {name}\b", code, re.MULTILINE)
    } == set()


def test_the_map_names_what_is_defined_in_the_file_that_it_names() -> None:
    table = text_of(TOP / "docs/architecture.md").partition("### Where is")[2].partition("\n### ")[0]
    named = [(name, file) for *names, file in _NAME_IN_FILE.findall(table) for name in names if name]
    assert len(named) > 30
    code = {file: text_of(next(path for base in (TOP, UTILITIES) for path in base.glob(file))) for _name, file in named}
    assert [
        f"{name} in {file}"
        for name, file in named
        if not re.search(rf"^(?: *(?:def|class) {name}\b|{name}\b.* = )", code[file], re.MULTILINE)
    ] == []


def test_the_ways_of_variables_have_as_many_files_as_the_page_says() -> None:
    page = text_of(TOP / "docs/architecture.md").partition("### The way of a variable")[2].partition("\n## ")[0]
    said = [int(count) for count in re.findall(r"^\| .* \| \d+ \| (\d+) \|", page, re.MULTILINE)]
    steps = re.findall(r"^\| (?:the|a) .*", page, re.MULTILINE)
    # A way to gunicorn.conf.py in five steps, one to the text of a site in three, and one of that text in two.
    ways = ["".join(steps[:5]), "".join(steps[5:8]), "".join(steps[8:])]
    files = [re.findall(r"`([\w./]+\.(?:py|json|yml))`", way) for way in ways]
    assert [len(set(way)) for way in files] == [len(way) for way in files] == said


def test_contributing_names_files_that_exist() -> None:
    assert [path for path in _FILE.findall(text_of(TOP / "CONTRIBUTING.md")) if not is_there(path)] == []


def test_the_map_lists_the_packages_in_their_order() -> None:
    page = text_of(TOP / "docs/architecture.md")
    shown = re.findall(r"^  (_\w+)/ ", page.partition("## The map")[2].partition("**The rule:**")[0], re.MULTILINE)
    order = re.findall(
        r'^    "(_\w+)",$',
        text_of(TOP / "tests/unit/plugins/module_utils/test_packages.py").partition("PURE_PACKAGES")[0],
        re.MULTILINE,
    )
    assert shown == order
    assert set(shown) == {path.parent.name for path in UTILITIES.glob("_*/__init__.py")}


def test_the_map_calls_those_packages_pure_that_are() -> None:
    page = text_of(TOP / "docs/architecture.md")
    shown = re.findall(r"^  (_\w+)/ .* pure$", page, re.MULTILINE)
    code = text_of(TOP / "tests/unit/plugins/module_utils/test_packages.py")
    pure = re.findall(r"^PURE_PACKAGES = \((.*)\)$", code, re.MULTILINE)
    assert shown == re.findall(r'"(\w+)"', pure[0])


def test_what_was_added_is_in_a_version_that_was_released_or_is_prepared() -> None:
    prepared: t.Any = yaml.safe_load(text_of(TOP / "galaxy.yml"))["version"]
    released: t.Any = yaml.safe_load(text_of(TOP / "changelogs/changelog.yaml"))["releases"]
    places = [*TOP.glob("plugins/**/*.py"), *TOP.glob("plugins/**/*.yml"), *TOP.glob("roles/*/meta/*.yml")]
    other = {
        f"{path.relative_to(TOP)}: {version}"
        for path in places
        for version in _VERSION.findall(text_of(path))
        if version not in (prepared, *released)
    }
    assert other == set()


def test_a_breaking_change_makes_a_major_version() -> None:
    prepared: t.Any = yaml.safe_load(text_of(TOP / "galaxy.yml"))["version"]
    released: t.Any = yaml.safe_load(text_of(TOP / "changelogs/changelog.yaml"))["releases"]
    fragments: list[t.Any] = [yaml.safe_load(text_of(path)) for path in TOP.glob("changelogs/fragments/*.yml")]
    if any("breaking_changes" in fragment for fragment in fragments):
        assert int(prepared.split(".")[0]) > max(int(version.split(".")[0]) for version in released)
