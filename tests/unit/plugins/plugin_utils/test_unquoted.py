# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A text without quotes that YAML reads as another one is refused."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.flaskops.stack.plugins.plugin_utils._input_check import load_schema
from ansible_collections.flaskops.stack.plugins.plugin_utils._unquoted import unquoted_faults


@pytest.fixture(name="faults_of")
def _faults_of(tmp_path: Path) -> t.Callable[[str], list[str]]:
    """Return what is wrong with variables, as Ansible reads them from a file."""

    def faults_of(text: str) -> list[str]:
        file = tmp_path / "vars.yml"
        file.write_text(text, encoding="utf-8")
        return unquoted_faults(DataLoader().load_from_file(str(file)), load_schema())

    return faults_of


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ("version: 1.10", "version is 1.10 without quotes, which YAML reads as 1.1: write version: '1.10'"),
        ("version: 1.10 # the newest", "version is 1.10 without quotes, which YAML reads as 1.1"),
        ("version: &newest 1.10", "version is 1.10 without quotes, which YAML reads as 1.1"),
        ("version: 0123", "version is 0123 without quotes, which YAML reads as 83"),
        ("version: 1_0", "version is 1_0 without quotes, which YAML reads as 10"),
        ("version: 12:30", "version is 12:30 without quotes, which YAML reads as 750"),
        ("python: 3.10", "python is 3.10 without quotes, which YAML reads as 3.1: write python: '3.10'"),
        ("timers: [{schedule: 12:30:00}]", "timers[0].schedule is 12:30:00 without quotes, which YAML reads as 45000"),
        (
            "hooks: {build: [[cmd, 1.10]]}",
            "hooks.build[0][1] is 1.10 without quotes, which YAML reads as 1.1: write '1.10'",
        ),
        ("hooks: {rollback: {down: [[cmd, 1.10]]}}", "hooks.rollback.down[0][1] is 1.10 without quotes"),
        ("nginx: {proxy_headers: {X-Api: 1.10}}", "nginx.proxy_headers.X-Api is 1.10 without quotes"),
    ],
)
def test_a_number_that_lost_a_part_is_refused(faults_of: t.Callable[[str], list[str]], item: str, fault: str) -> None:
    (found,) = faults_of(f"flask_apps:\n  - name: shop\n    {item}\n")
    assert found.startswith(f"app 'shop': {fault}")


def test_a_variable_of_a_role_is_looked_at(faults_of: t.Callable[[str], list[str]]) -> None:
    assert faults_of("flask_python: 3.10\n") == [
        "flask_python is 3.10 without quotes, which YAML reads as 3.1: write flask_python: '3.10'"
    ]


def test_the_value_of_an_environment_is_not_shown(faults_of: t.Callable[[str], list[str]]) -> None:
    (fault,) = faults_of("flask_apps:\n  - name: shop\n    environment: {PIN: 0755}\n")
    assert fault == (
        "app 'shop': environment.PIN stands without quotes, and YAML reads something else than is written: put it in "
        "quotes"
    )


@pytest.mark.parametrize(
    "item",
    [
        "version: 1.5",
        "version: '1.10'",
        "version: 20",
        "version: 2024-01-01",
        "python: 3.12",
        "keep: 010",
        "gunicorn: {extra: {umask: 0022}}",
        "environment: {RATIO: 0.5, PORT: 8000, DEBUG: yes}",
        "version:",
    ],
)
def test_a_text_that_stays_what_it_is_needs_no_quotes(faults_of: t.Callable[[str], list[str]], item: str) -> None:
    assert not faults_of(f"flask_apps:\n  - name: shop\n    {item}\n")


@pytest.mark.parametrize(("option", "value"), [("version", 1.1), ("python", 3.1)])
def test_a_version_of_unknown_origin_may_have_lost_a_zero(option: str, value: float) -> None:
    (fault,) = unquoted_faults({"flask_apps": [{"name": "shop", option: value}]}, load_schema())
    assert fault == (
        f"app 'shop': {option} is the number {value}, which it also is where {value}0 was written: put it in quotes "
        f"where it comes from, such as {option}: '{value}'"
    )


@pytest.mark.parametrize("item", [{"python": 3.12}, {"python": 3.9}, {"version": 20}, {"environment": {"RATIO": 0.5}}])
def test_other_numbers_of_unknown_origin_are_accepted(item: dict[str, t.Any]) -> None:
    assert not unquoted_faults({"flask_apps": [{"name": "shop", **item}]}, load_schema())


@pytest.mark.parametrize("now", ["", "flask_apps: [{name: shop, source: 2026-99-99}]\n"])
def test_what_has_changed_since_it_was_read_is_not_compared(tmp_path: Path, now: str) -> None:
    file = tmp_path / "vars.yml"
    file.write_text("flask_apps: [{name: shop, source: 0123}]\n", encoding="utf-8")
    found = DataLoader().load_from_file(str(file))
    file.write_text(now, encoding="utf-8")
    assert not unquoted_faults(found, load_schema())
