# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a future configuration is refused for, and what is only told."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx import validate as _validate
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.binary import Nginx
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.certificate import Certificate
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import NginxPlan, NginxSiteError, Node, Swap
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.policy import (
    SHADOW,
    Policy,
    RunningNginx,
    ValidationResult,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.staged_tree import StagedTree

TLS = "server { listen unix:%s/t.sock ssl; server_name t.test; ssl_certificate t.crt; ssl_certificate_key t.key; }"


class Accepting(Nginx):
    """An nginx that accepts everything."""

    def test(self, staged_tree: StagedTree) -> ValidationResult:
        """Return what the real one says of a configuration that it likes."""
        return ValidationResult(True, SHADOW, 0.0, "", config=staged_tree.load(self.config))


@pytest.fixture(name="nginx")
def make_nginx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accepting:
    (tmp_path / "sites").mkdir()
    (tmp_path / "nginx.conf").write_text("http { include sites/*; }")
    (tmp_path / "sites/t").write_text(TLS % tmp_path)
    (tmp_path / "t.crt").write_text("wrong.test")
    monkeypatch.setattr(_validate, "read_certificate", lambda data: Certificate((data.decode(),), 2e10))
    return Accepting("nginx", str(tmp_path / "nginx.conf"))


def plan(root: Path, name: str, content: str) -> NginxPlan:
    """Return a plan that writes one site."""
    return NginxPlan(swaps=[Swap(str(root / "sites" / name), Node(), Node("file", content=content.encode()))])


def test_a_site_by_hand_does_not_lose_https_unnoticed(nginx: Accepting, tmp_path: Path) -> None:
    path = str(tmp_path / "sites/t")
    taken = plan(tmp_path, "t", "server { listen unix:/nowhere/t.sock; server_name t.test; }")
    taken.replaced.append(path)
    with pytest.raises(NginxSiteError, match=rf"{path}:1 serves t.test by HTTPS, .* for example to t.crt and t.key"):
        _validate.validate(nginx, taken, Policy(), RunningNginx())
    _validate.validate(nginx, taken, Policy(tolerate=frozenset({"https_lost"})), RunningNginx())
    # Of a site of ours nobody else has to be told.
    taken.replaced.clear()
    _validate.validate(nginx, taken, Policy(), RunningNginx())
    (tmp_path / "t.crt").write_text("t.test")
    kept = plan(tmp_path, "t", f"{TLS % tmp_path} # new")
    kept.replaced.append(path)
    _validate.validate(nginx, kept, Policy(), RunningNginx())


@pytest.mark.parametrize("name", ["t", "other"])
def test_a_certificate_that_nginx_has_not_loaded_is_refused(nginx: Accepting, tmp_path: Path, name: str) -> None:
    """Whether the site that uses it changes or another one."""
    text = TLS % tmp_path if name == "t" else "server { listen unix:/nowhere/o.sock; server_name o.test; }"
    changed = plan(tmp_path, name, f"{text} # new")
    with pytest.raises(NginxSiteError, match=r"t\.crt, used in .*/sites/t:1, does not cover t\.test"):
        _validate.validate(nginx, changed, Policy(), RunningNginx(unloaded=(str(tmp_path / "t.crt"),)))
    # The same certificate, loaded long ago.
    warned = _validate.validate(nginx, changed, Policy(), RunningNginx()).warnings
    assert ["t.crt" in warning for warning in warned] == ([True] if name == "t" else [])


def test_a_clash_that_was_there_is_told_and_a_new_one_is_refused(nginx: Accepting, tmp_path: Path) -> None:
    clash = f"server {{ listen unix:{tmp_path}/./t.sock; server_name u.test; }}"
    with pytest.raises(NginxSiteError, match=r"sites/t:1.*sites/u:1.*socket_clash.*nginx_tolerate"):
        _validate.validate(nginx, plan(tmp_path, "u", clash), Policy(), RunningNginx())
    tolerated = Policy(frozenset({"socket_clash"}))
    assert _validate.validate(nginx, plan(tmp_path, "u", clash), tolerated, RunningNginx()).warnings
    (tmp_path / "sites/u").write_text(clash)
    other = plan(tmp_path, "v", f"server {{ listen unix:{tmp_path}/v.sock; }}")
    assert "sites/u:1" in str(_validate.validate(nginx, other, Policy(), RunningNginx()).warnings)


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_what_is_in_the_place_of_a_directory_of_logs_is_named(
    nginx: Accepting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    (tmp_path / "log").write_text("")
    path = f"{tmp_path}/log{below}/error.log"
    said = f'nginx: [emerg] open() "{path}" failed (20: Not a directory)'
    refused = ValidationResult(False, SHADOW, 0.0, said, config=StagedTree({}).load(nginx.config))
    monkeypatch.setattr(nginx, "test", lambda _tree: refused)
    with pytest.raises(NginxSiteError, match=f"{tmp_path}/log is a file and has to be a directory: move it away"):
        _validate.validate(nginx, plan(tmp_path, "u", "server { }"), Policy(), RunningNginx())
