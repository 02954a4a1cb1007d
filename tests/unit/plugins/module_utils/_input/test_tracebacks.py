# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A traceback that is cut short says what it was caused by."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._build.import_check import shorten_traceback
from ansible_collections.flaskops.stack.plugins.module_utils._build.venv_commands import explain_install_failure
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.log_excerpt import excerpt
from ansible_collections.flaskops.stack.plugins.module_utils._input.tracebacks import split_chain
from ansible_collections.flaskops.stack.plugins.module_utils._release.model import Layout
from ansible_collections.flaskops.stack.plugins.module_utils._release.way_out import place_of, ways_out

LOGGING = """
import logging.config
handler = {"class": "logging.FileHandler", "filename": "/no/such/x.log"}
logging.config.dictConfig({"version": 1, "handlers": {"file": handler}})
"""
CHAIN = """
def first():
    raise KeyError("one")
try:
    try:
        first()
    except KeyError as exc:
        raise ValueError("two") from exc
except ValueError:
    raise RuntimeError("three")
"""


def traceback(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=False).stderr


def through_gunicorn(text: str) -> str:
    """Return a traceback with the frames that the server has in each of its parts."""
    frame = '  File "/srv/shop/releases/x/flaskops_wsgi.py", line 9, in _load\n    module = import_module("shop")\n'
    return text.replace("(most recent call last):\n", f"(most recent call last):\n{frame}")


@pytest.mark.parametrize("wrap", [str, through_gunicorn])
def test_the_cause_of_an_exception_stays(wrap: type[str]) -> None:
    found = shorten_traceback(wrap(traceback(LOGGING)), lines=6)
    assert "FileNotFoundError: [Errno 2] No such file or directory: '/no/such/x.log'" in found
    assert found.splitlines()[-1] == "ValueError: Unable to configure handler 'file'"
    assert found.index("FileNotFoundError") < found.index("direct cause") < found.index("Unable")


def test_each_exception_of_a_chain_stays() -> None:
    lines = shorten_traceback(through_gunicorn(traceback(CHAIN)), lines=2).splitlines()
    assert [line for line in lines if line[:1].isupper() and "Error: " in line] == [
        "KeyError: 'one'",
        "ValueError: two",
        "RuntimeError: three",
    ]


def test_a_chain_that_does_not_end_is_cut() -> None:
    link = "\nDuring handling of the above exception, another exception occurred:\n\n"
    head = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n'
    text = link.join(f"{head}ValueError: {number}\n" for number in range(99))
    assert len(shorten_traceback(text, lines=4).splitlines()) <= 24
    assert "ValueError: 98" in shorten_traceback(text, lines=4)


def test_a_log_of_a_service_keeps_the_cause_as_well() -> None:
    head = "[2026-11-28 12:00:00 +0000] [7] [ERROR] Exception in worker process\n"
    filler = "".join(f'  File "/x.py", line {n}, in f\n    call()\n' for n in range(40))
    text = traceback(LOGGING)
    first, _middle, last = text.rpartition("Traceback (most recent call last):\n")
    said = excerpt(head + first + "Traceback (most recent call last):\n" + filler + last, 12)
    assert "FileNotFoundError: [Errno 2]" in said
    assert said.splitlines()[0] == head.strip()
    assert said.splitlines()[-1] == "ValueError: Unable to configure handler 'file'"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "ModuleNotFoundError: No module named 'pkg_resources'\nhint: build-backend",
            "'setuptools<81' to build_constraints",
        ),
        ("error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", "build-essential and python3-dev"),
        ("error: command 'gcc' failed: No such file or directory", "build-essential and python3-dev"),
        ("unable to execute 'cc': No such file or directory", "build-essential and python3-dev"),
        ("src/x.c:1:10: fatal error: Python.h: No such file or directory", "build-essential and python3-dev"),
        (
            "Error: pg_config executable not found.",
            "libpq-dev, build-essential and python3-dev to system_packages",
        ),
        ("Exception: Can not find valid pkg-config name.", "default-libmysqlclient-dev"),
        ("/bin/sh: 1: pkg-config: not found", "pkg-config, build-essential and python3-dev and the library"),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'pkg-config'",
            "pkg-config, build-essential and python3-dev and the library",
        ),
        ("Package 'xmlsec1' was not found in the pkg-config search path", "whose name ends|name ends in -dev"),
        ("src/x.c:1:10: fatal error: ffi.h: No such file or directory", "libffi-dev"),
        ("src/x.c:1:10: fatal error: snappy-c.h: No such file or directory", "name ends in -dev"),
        ("error: can't find Rust compiler", "add cargo to system_packages"),
        ("error: command '/usr/bin/gcc' failed with exit code 1", "that its build needs to system_packages"),
        (
            "File \"setup.py\", line 3\n  AttributeError: module 'configparser' has no attribute 'SafeConfigParser'",
            "set python to an older one",
        ),
        ('  File "setup.py", line 19\n   re.error: global flags not at the start', "set python to an older one"),
        ("  ModuleNotFoundError: No module named 'imp'\nhint: Build failures", "limit the tools by build_constraints"),
        ("subprocess.CalledProcessError: Command '['make']' returned 2", "that its build needs to system_packages"),
    ],
)
def test_what_a_build_misses_on_the_host_names_the_setting(said: str, words: str) -> None:
    explained = explain_install_failure(f"Failed to build `x`\n{said}")
    assert any(word in explained for word in words.split("|"))


def test_what_an_application_misses_names_the_setting() -> None:
    place = place_of(Layout("/srv", "shop"), "shop")
    said = "ModuleNotFoundError: No module named 'pkg_resources'"
    assert "add 'setuptools<81' to packages" in ways_out(f"'shop:app' cannot be loaded:\n{said}", place)[0]
    assert ways_out(f"cannot install requirements.txt: see there:\n{said}", place) == []


def test_causes_are_told_apart_from_the_last_exception() -> None:
    causes, last = split_chain(traceback(CHAIN).splitlines())
    said = [line for line in causes if line.strip() and not line.startswith(("The above", "During"))]
    assert said == ["KeyError: 'one'", "ValueError: two"]
    assert (last[0], last[-1]) == ("Traceback (most recent call last):", "RuntimeError: three")


def test_an_exception_without_a_cause_is_the_last_one() -> None:
    lines = traceback("1 / 0").splitlines()
    assert split_chain(lines) == ([], lines)
