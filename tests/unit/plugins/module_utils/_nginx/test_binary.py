# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How nginx is asked what it thinks of a configuration, and what becomes of its words."""

from __future__ import annotations

import fcntl
import os
import tempfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx import binary as _binary
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.binary import Nginx
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import NginxSiteError
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.staged_tree import StagedTree
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import CommandError, Result
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_host import FakeHost


@pytest.fixture(name="host")
def make_host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def test_a_configuration_that_cannot_be_followed_is_refused_without_asking(host: FakeHost) -> None:
    Path(host.nginx.config).write_text("include nginx.conf;")
    verdict = Nginx("nginx", host.nginx.config, host=host).test(StagedTree({}))
    assert (verdict.ok, verdict.method, host.nginx.tests) == (False, "none", [])
    assert f"{host.nginx.config} includes itself" in verdict.output


def test_the_prefix_is_given_to_nginx(host: FakeHost) -> None:
    assert Nginx("nginx", host.nginx.config, "/opt/web", host=host).test(StagedTree({})).ok
    assert host.nginx.tests[0][:4] == ["nginx", "-p", "/opt/web", "-t"]


def test_a_directory_that_another_run_has_taken_for_a_leftover_is_made_again(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    make = tempfile.mkdtemp

    def make_and_lose(**places: str) -> str:
        made.append(make(prefix=places["prefix"], dir=places["dir"]))
        if len(made) == 1:
            os.rmdir(made[0])
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_lose)
    assert Nginx("nginx", host.nginx.config, host=host).test(StagedTree({})).ok
    assert len(made) == 2 and not os.path.exists(made[1])


def test_where_mounts_are_refused_the_reason_is_kept(host: FakeHost) -> None:
    host.isolates = False
    verdict = Nginx("nginx", host.nginx.config, host=host).test(StagedTree({}))
    assert (verdict.ok, verdict.method) == (True, "shadow")
    assert verdict.reason == "unshare: unshare failed: Operation not permitted"


def test_a_test_that_does_not_end_is_named(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    build = Nginx("nginx", host.nginx.config, host=host)
    assert build.build.version == "1.26.3"

    def never(_argv: t.Sequence[str], _timeout: float = 60) -> Result:
        raise CommandError("did not end")

    monkeypatch.setattr(host, "run", never)
    with pytest.raises(NginxSiteError, match="nginx did not end its test within 120 s"):
        build.test(StagedTree({}))


def test_words_of_nginx_lose_name_time_and_process_and_come_once(host: FakeHost) -> None:
    host.nginx.warning = "conflicting server name"
    (host.root / "enabled/x").write_text("broken;\n")
    verdict = Nginx("nginx", host.nginx.config, host=host).test(StagedTree({}))
    assert verdict.output.splitlines() == [
        "[warn] conflicting server name",
        f'[emerg] unknown directive "broken" in {host.root}/enabled/x:1',
    ]
    assert verdict.warnings == ("conflicting server name",)


def test_a_table_that_nginx_makes_in_another_way_is_no_warning(host: FakeHost) -> None:
    host.nginx.warning = (
        "could not build optimal variables_hash, you should increase either variables_hash_max_size: 1024 or "
        "variables_hash_bucket_size: 64; ignoring variables_hash_bucket_size"
    )
    assert Nginx("nginx", host.nginx.config, host=host).test(StagedTree({})).warnings == ()


def test_what_a_killed_test_has_left_goes_and_what_another_one_uses_stays(
    host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "memory"
    place.mkdir()
    monkeypatch.setattr(_binary, "_MEMORY", str(place))
    for name in ("flaskops-nginx-left", "flaskops-nginx-used", "other"):
        (place / name).mkdir()
    (place / "flaskops-nginx-link").symlink_to(place / "other")
    used = os.open(place / "flaskops-nginx-used", os.O_RDONLY)
    try:
        fcntl.flock(used, fcntl.LOCK_EX)
        assert Nginx("nginx", host.nginx.config, host=host).test(StagedTree({})).ok
    finally:
        os.close(used)
    assert sorted(os.listdir(place)) == ["flaskops-nginx-link", "flaskops-nginx-used", "other"]
