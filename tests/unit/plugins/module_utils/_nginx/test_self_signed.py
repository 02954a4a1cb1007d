# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that a host makes for its sites: when, with which files, and what is left alone."""

from __future__ import annotations

import os
import ssl
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx import self_signed
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.certificate import read_certificate
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import (
    ABSENT,
    NginxLayout,
    NginxSiteError,
    WantedSite,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.request import NginxRequest, wanted_sites
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.transaction import manage
from ansible_collections.flaskops.stack.plugins.module_utils._system.paths import RENEWAL
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_host import FakeHost

NAMES = ("shop.example.com", "*.example.com")


@pytest.fixture(name="host")
def make_host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.nginx.start(age=100)
    return host


def text(host: FakeHost, name: str) -> bytes:
    place = host.root / "tls" / name / "current"
    lines = f"ssl_certificate {place}/fullchain.pem; ssl_certificate_key {place}/privkey.pem;"
    hsts = f"map hsts $hsts {{ default 1; include {place}/no-hsts*.conf; }}\n"
    return f"{hsts}server {{ listen 443 ssl; server_name {name}; {lines} }}\n".encode()


def site(host: FakeHost, *names: str, name: str = "shop", **options: t.Any) -> WantedSite:
    return WantedSite(name, content=text(host, name), self_signed=names or NAMES, **options)


def run(host: FakeHost, *sites: WantedSite, keep: int = 5, **options: t.Any) -> dict[str, t.Any]:
    root = str(host.root)
    layout = NginxLayout(f"{root}/available", f"{root}/enabled", keep=keep, uid=os.geteuid(), gid=os.getegid())
    places = {"state": f"{root}/state", "locks": f"{root}/locks", "tls": f"{root}/tls", "host": host}
    return manage(NginxRequest(layout, "nginx", host.nginx.config, sites=sites, **{**places, **options}))


def current(host: FakeHost, name: str = "shop") -> Path:
    return host.root / "tls" / name / "current"


def names_in(path: Path) -> tuple[str, ...]:
    return read_certificate((path / "fullchain.pem").read_bytes()).names


def issue(host: FakeHost, name: str = "shop") -> Path:
    """Put another pair where certbot would, and lead the site to it."""
    live = host.root / "live" / name
    live.mkdir(parents=True)
    for file in ("fullchain.pem", "privkey.pem"):
        (live / file).write_bytes((current(host, name) / file).read_bytes())
    link(host, str(live), name)
    return live


def link(host: FakeHost, target: str, name: str = "shop") -> None:
    current(host, name).unlink()
    current(host, name).symlink_to(target)


def test_a_new_site_gets_a_certificate_that_its_key_fits(host: FakeHost) -> None:
    result = run(host, site(host, *NAMES, "[::1]", "127.0.0.1", "_x.example.com"))
    place = current(host)
    assert (os.readlink(place), os.readlink(place.parent / "stand-in")[:10]) == ("stand-in", ".stand-in-")
    assert names_in(place) == (*NAMES, "0" * 31 + "1", "127.0.0.1", "_x.example.com")
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(place / "fullchain.pem", place / "privkey.pem")
    modes = {path.name: path.stat().st_mode & 0o777 for path in place.iterdir()}
    assert modes == {"fullchain.pem": 0o644, "privkey.pem": 0o600, "no-hsts.conf": 0o644}
    assert read_certificate((place / "fullchain.pem").read_bytes()).not_after > time.time() + 9 * 365 * 86400
    known = {"name": "shop", "path": str(place), "changed": True, "until_issued": False}
    assert result["changed"]
    assert result["certificates"] == [{**known, "state": "self_signed", "reason": "there is none"}]
    assert "no-hsts.conf" in str(list(host.nginx.loaded))


def test_the_key_is_in_no_result(host: FakeHost) -> None:
    result = run(host, site(host), diff=True)
    assert "PRIVATE" not in str(result)
    assert result["diff"][-1]["after"].startswith("for shop.example.com, *.example.com\nuntil 20")


def test_a_second_run_changes_and_asks_nothing(host: FakeHost) -> None:
    run(host, site(host))
    host.asked.clear()
    result = run(host, site(host), diff=True)
    assert (result["changed"], result["in_place"], result["diff"], host.asked) == (False, True, [], [])
    assert result["certificates"][0]["state"] == "self_signed"


@pytest.mark.parametrize("isolates", [True, False])
def test_check_mode_validates_with_a_certificate_that_it_does_not_keep(host: FakeHost, isolates: bool) -> None:
    host.isolates = isolates
    result = run(host, site(host), check=True, diff=True)
    assert result["changed"] and result["validation"]["method"] == ("namespace" if isolates else "shadow")
    assert not (host.root / "tls").exists()
    assert result["diff"][-1]["after_header"] == f"{current(host)} -> stand-in"


def test_a_certificate_is_made_anew_when_the_names_change(host: FakeHost) -> None:
    run(host, site(host))
    before = os.readlink(current(host).parent / "stand-in")
    result = run(host, site(host, "shop.example.com", "new.example.com"))
    assert result["certificates"][0]["reason"] == "the names of the site have changed"
    assert result["reload"]["proved"] and host.nginx.reloads == 2
    assert names_in(current(host)) == ("shop.example.com", "new.example.com")
    assert sorted(os.listdir(current(host).parent)) == sorted(
        {os.readlink(current(host).parent / "stand-in"), "stand-in", "current"}
    )
    assert before not in os.listdir(current(host).parent)
    assert not run(host, site(host, "new.example.com", "shop.example.com"))["changed"]


def spoil_key(place: Path) -> None:
    (place / "privkey.pem").write_text("something else\n")


def open_key(place: Path) -> None:
    (place / "privkey.pem").chmod(0o644)


def lose_key(place: Path) -> None:
    (place / "privkey.pem").unlink()


def lead_nowhere(place: Path) -> None:
    place.unlink()
    place.symlink_to("/nonexistent")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (spoil_key, "its files were changed"),
        (open_key, "others could read its key"),
        (lose_key, "there is none"),
        (lead_nowhere, "the link current does not lead to it"),
    ],
)
@pytest.mark.parametrize("until_issued", [True, False])
def test_what_is_damaged_is_mended(
    host: FakeHost, damage: t.Callable[[Path], None], reason: str, until_issued: bool
) -> None:
    run(host, site(host, until_issued=until_issued))
    damage(current(host))
    result = run(host, site(host, until_issued=until_issued))
    assert result["certificates"][0]["reason"] == reason
    assert not run(host, site(host, until_issued=until_issued))["changed"]


def test_a_link_that_leads_nowhere_cannot_be_tested_in_check_mode(host: FakeHost) -> None:
    run(host, site(host))
    link(host, "/nonexistent")
    result = run(host, site(host), check=True)
    assert result["changed"] and "current leads nowhere: the configuration was not validated" in result["warnings"][0]
    assert os.readlink(current(host)) == "/nonexistent"


def test_a_certificate_near_its_end_is_made_anew(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_signed, "_DAYS", 89)
    run(host, site(host))
    monkeypatch.undo()
    assert run(host, site(host))["certificates"][0]["reason"].startswith("it ends on 20")


def test_what_a_ca_has_issued_is_left_alone_until_the_site_is_to_be_self_signed(host: FakeHost) -> None:
    run(host, site(host, until_issued=True))
    live = issue(host)
    run(host, site(host, until_issued=True))
    result = run(host, site(host, "other.example.com", until_issued=True))
    assert (result["changed"], result["certificates"][0]["state"]) == (False, "issued")
    assert os.readlink(current(host)) == str(live)
    assert run(host, site(host))["certificates"][0]["changed"]
    assert os.readlink(current(host)) == "stand-in"


def own(port: int = 80) -> WantedSite:
    return WantedSite("shop", content=f"server {{ listen {port}; server_name shop; }}\n".encode())


def test_a_certificate_goes_when_no_version_of_its_site_needs_it(host: FakeHost) -> None:
    run(host, site(host, until_issued=True), site(host, name="blog"))
    issue(host)
    run(host, own(), keep=2)
    # The version before can be gone back to.
    assert sorted(os.listdir(host.root / "tls")) == ["blog", "shop"]
    assert not run(host, own(), keep=2)["changed"]
    assert run(host, WantedSite("shop", version="previous"), keep=2)["changed"]
    run(host, own(), keep=2)
    assert run(host, own(81), keep=2, check=True)["changed"]
    run(host, own(81), keep=2)
    assert os.listdir(host.root / "tls") == ["blog"]
    assert not run(host, own(81), keep=2)["changed"]


def test_a_certificate_that_another_site_uses_stays_with_a_site_that_does_not(host: FakeHost) -> None:
    run(host, site(host))
    other = WantedSite("blog", content=text(host, "shop").replace(b"server_name shop", b"server_name blog"))
    run(host, own(), other, keep=1)
    assert os.listdir(host.root / "tls") == ["shop"]
    assert not run(host, own(), other, keep=1)["changed"]
    run(host, own(), WantedSite("blog", ABSENT), keep=1)
    assert os.listdir(host.root / "tls") == []


@pytest.mark.parametrize("check", [True, False])
def test_a_certificate_that_another_site_uses_does_not_go_with_its_own(host: FakeHost, check: bool) -> None:
    other = WantedSite("blog", content=text(host, "shop").replace(b"server_name shop", b"server_name blog"))
    run(host, site(host), other)
    with pytest.raises(
        NginxSiteError, match=r"site 'shop' goes, .*enabled/blog:1 and \S+enabled/blog:2 would go on .* give that "
    ):
        run(host, WantedSite("shop", ABSENT), check=check)
    assert current(host).is_dir() and (host.root / "enabled/shop").is_symlink()
    run(host, WantedSite("shop", ABSENT), WantedSite("blog", ABSENT))
    assert os.listdir(host.root / "tls") == []


def test_what_certbot_renews_stays_with_a_site_that_has_it_no_longer(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_signed, "_SETTINGS", str(host.root))
    (host.root / "shop.conf").write_text(f"renew_hook = {RENEWAL}/deploy-hook\n")
    run(host, site(host, until_issued=True))
    issue(host)
    run(host, own(), keep=1)
    assert os.listdir(host.root / "tls") == ["shop"]


def test_what_a_ca_has_issued_for_none_of_the_names_is_not_gone_on_with(host: FakeHost) -> None:
    run(host, site(host, until_issued=True))
    issue(host)
    run(host, WantedSite("shop", content=b"server { listen 80; }\n"))
    assert run(host, site(host, "Shop.example.com", "new.test", until_issued=True))["certificates"][0]["state"] == (
        "issued"
    )
    result = run(host, site(host, "shop.test", "example.com", until_issued=True))
    assert (result["certificates"][0]["state"], os.readlink(current(host))) == ("self_signed", "stand-in")
    assert names_in(current(host)) == ("shop.test", "example.com")
    assert not run(host, site(host, "shop.test", "example.com", until_issued=True))["changed"]


@pytest.mark.parametrize("damage", [os.mkdir, lambda path: os.symlink(path, path)], ids=["directory", "loop"])
def test_what_is_no_file_among_certbots_settings_stops_no_removal(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, damage: t.Callable[[str], None]
) -> None:
    monkeypatch.setattr(self_signed, "_SETTINGS", str(host.root))
    run(host, site(host, until_issued=True))
    issue(host)
    damage(str(host.root / "shop.conf"))
    assert run(host, WantedSite("shop", ABSENT))["left_certificates"] == []


def test_hsts_comes_and_goes_with_the_link_alone(host: FakeHost) -> None:
    run(host, site(host, until_issued=True))
    assert any(path.endswith("no-hsts.conf") for path in host.nginx.loaded)
    issue(host)
    result = run(host)
    assert result["unloaded"] and not any(path.endswith("no-hsts.conf") for path in host.nginx.loaded)


def test_a_certificate_goes_with_its_site(host: FakeHost) -> None:
    run(host, site(host), site(host, name="blog"))
    assert run(host, WantedSite("shop", ABSENT))["changed"]
    assert sorted(os.listdir(host.root / "tls")) == ["blog"]
    assert not run(host, WantedSite("shop", ABSENT))["changed"]
    run(host, purge=True)
    assert os.listdir(host.root / "tls") == []


@pytest.mark.parametrize(("hook", "is_left"), [(RENEWAL, True), ("systemctl reload postfix", False)])
def test_a_certificate_that_certbot_goes_on_renewing_is_told_of(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, hook: str, is_left: bool
) -> None:
    monkeypatch.setattr(self_signed, "_SETTINGS", str(host.root))
    (host.root / "shop.conf").write_text(f"renew_hook = {hook}/deploy-hook\n")
    (host.root / "blog.conf").write_text(f"renew_hook = {hook}/deploy-hook\n")
    run(host, site(host, until_issued=True), site(host, name="blog"))
    issue(host)
    # Of one that was self-signed all the time, nothing is told.
    result = run(host, purge=True)
    assert result["left_certificates"] == (["shop"] if is_left else [])
    assert [("certbot delete --cert-name shop" in text) for text in result["warnings"]] == [True] * is_left


def test_whoever_removes_a_single_site_is_not_warned(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_signed, "_SETTINGS", str(host.root))
    (host.root / "shop.conf").write_text(f"renew_hook = {RENEWAL}/deploy-hook\n")
    run(host, site(host, until_issued=True))
    issue(host)
    result = run(host, WantedSite("shop", ABSENT), whole=False)
    assert (result["left_certificates"], result["warnings"]) == (["shop"], [])


def test_a_renamed_site_keeps_what_a_ca_has_issued(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_signed, "_LIVE", str(host.root / "live"))
    run(host, site(host, until_issued=True))
    live = issue(host)
    current(host).parent.joinpath("issued-1").mkdir()
    for file in live.iterdir():
        current(host).parent.joinpath("issued-1", file.name).write_bytes(file.read_bytes())
    link(host, "issued-1")
    result = run(host, site(host, name="store", rename_from="shop", until_issued=True))
    assert (os.readlink(current(host, "store")), result["certificates"][0]["state"]) == (str(live), "issued")
    assert (os.listdir(host.root / "tls"), live.exists()) == (["store"], True)
    assert not run(host, site(host, name="store", rename_from="shop", until_issued=True))["changed"]


def test_a_renamed_site_has_a_stand_in_for_the_day_on_which_its_certificate_is_taken_away(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_signed, "_LIVE", str(host.root / "live"))
    run(host, site(host, until_issued=True))
    issue(host)
    run(host, site(host, name="store", rename_from="shop", until_issued=True))
    assert sorted(os.listdir(current(host, "store").parent / "stand-in")) == [
        "fullchain.pem",
        "no-hsts.conf",
        "privkey.pem",
    ]


def test_a_refused_configuration_leaves_no_certificate(host: FakeHost) -> None:
    with pytest.raises(NginxSiteError, match="broken"):
        run(host, WantedSite("shop", content=text(host, "shop") + b"broken\n", self_signed=NAMES))
    assert not (host.root / "tls").exists()


def test_without_openssl_the_package_is_named(host: FakeHost) -> None:
    host.has_openssl = False
    with pytest.raises(NginxSiteError, match="install the package openssl"):
        run(host, site(host))
    assert "was not validated" in run(host, site(host), check=True)["warnings"][-1]


def test_something_else_in_the_place_of_the_link_is_not_removed(host: FakeHost) -> None:
    current(host).mkdir(parents=True)
    with pytest.raises(NginxSiteError, match="is not a link: move it away"):
        run(host, site(host))


@pytest.mark.parametrize("name", ["a b", "x\nDNS.9 = y", "", "[x]", "$x", "-x"])
def test_a_name_is_no_way_into_the_configuration_of_openssl(name: str) -> None:
    item: dict[str, t.Any] = dict.fromkeys(("content", "src", "template", "version", "rename_from"))
    item.update(name="shop", state="enabled", foreign="refuse", self_signed={"names": [name], "until_issued": False})
    with pytest.raises(NginxSiteError, match="must be a host name or an address"):
        wanted_sites({"name": None, "sites": [item]}, NginxLayout("/a", "/e"))
