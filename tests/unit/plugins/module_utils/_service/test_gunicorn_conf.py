# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `extra` may set of gunicorn, and what the file of a release holds of it."""

from __future__ import annotations

import ast

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._service.gunicorn_conf import (
    check_extra,
    render_gunicorn_conf,
)
from ansible_collections.flaskops.stack.plugins.module_utils._service.settings import parse_settings

RELEASE = "/srv/shop/releases/1111111-11111111"


@pytest.mark.parametrize(
    ("name", "said"),
    [("bind", "must not set gunicorn's 'bind'"), ("Limit", "must be a setting's name"), ("a b", "must be a setting's")],
)
def test_what_extra_must_not_set_is_refused_with_the_reason(name: str, said: str) -> None:
    check_extra({"limit_request_line": 100})
    with pytest.raises(InputError, match=said):
        check_extra({name: 1})


def test_equal_settings_have_equal_files_whatever_their_order() -> None:
    one = parse_settings({"extra": {"backlog": 5, "raw_env": ["A=1", 'B="2"']}})
    other = parse_settings({"extra": {"raw_env": ["A=1", 'B="2"'], "backlog": 5}})
    text = render_gunicorn_conf(one, RELEASE)
    assert text == render_gunicorn_conf(other, RELEASE)
    extra = next(line for line in text.splitlines() if line.startswith("_EXTRA = "))
    assert ast.literal_eval(extra[len("_EXTRA = ") :]) == {"backlog": 5, "raw_env": ["A=1", 'B="2"']}


@pytest.mark.parametrize(("worker_class", "threads"), [("gthread", 4), ("sync", 1), ("gevent", 1)])
def test_only_gthread_has_threads(worker_class: str, threads: int) -> None:
    """With more than one, gunicorn turns sync into gthread."""
    assert f"\nthreads = {threads}\n" in render_gunicorn_conf(parse_settings({"worker_class": worker_class}), RELEASE)
