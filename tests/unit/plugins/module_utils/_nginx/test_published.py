# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate that a site has when it is to have one of a CA: kept until that has come, where visitors trust it."""

from __future__ import annotations

import os
import ssl
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx import validate
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.certificate import read_certificate
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import REPLACE, NginxLayout, WantedSite
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.published import (
    find_named,
    find_published,
    is_better,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.request import NginxRequest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.transaction import manage
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_host import FakeHost
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.made_certificates import (
    Key,
    key_text,
    named,
    new_key,
    signed,
)
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

DAY = 86400
CA_KEY = new_key("ec")


@pytest.fixture(name="host")
def make_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    # What is wrong with these certificates is a warning.
    monkeypatch.setattr(validate, "TLS", f"{tmp_path}/tls")
    host = FakeHost(tmp_path)
    host.nginx.start(age=100)
    return host


def own(host: FakeHost, *names: str, days: int = 30, base: str = "own", issuer: str = "Some CA") -> Key:
    """Put a certificate, and its key, where the administrator of a host does; without issuer it has signed itself."""
    key, alternative = new_key("ec"), [x509.DNSName(name) for name in names]
    by = (named(issuer), CA_KEY) if issuer else (named("leaf"), key)
    text = signed(named("leaf"), key, *by, alternative, days)
    (host.root / f"{base}.pem").write_bytes(text + signed(*by))
    (host.root / f"{base}.key").write_bytes(key_text(key))
    return key


def server(certificate: str, key: str, *names: str) -> str:
    lines = (
        f'listen 443 ssl; server_name {" ".join(names)}; ssl_certificate "{certificate}"; ssl_certificate_key {key};'
    )
    return f"server {{ {lines} }}\n"


def with_files(host: FakeHost, *names: str, base: str = "own") -> str:
    """Return the text of a site of mode C(files)."""
    return server(f"{host.root}/{base}.pem", f"{host.root}/{base}.key", *names)


def acme(host: FakeHost, *names: str, name: str = "shop", **options: t.Any) -> WantedSite:
    place = f"{host.root}/tls/{name}/current"
    text = server(f"{place}/fullchain.pem", f"{place}/privkey.pem", *names)
    hsts = f"map hsts $hsts {{ default 1; include {place}/no-hsts*.conf; }}\n"
    return WantedSite(name, content=f"{hsts}{text}".encode(), self_signed=names, until_issued=True, **options)


def run(host: FakeHost, *sites: WantedSite, **options: t.Any) -> dict[str, t.Any]:
    root = str(host.root)
    layout = NginxLayout(f"{root}/available", f"{root}/enabled", uid=os.geteuid(), gid=os.getegid())
    places = {"state": f"{root}/state", "locks": f"{root}/locks", "tls": f"{root}/tls", "host": host}
    return manage(NginxRequest(layout, "nginx", host.nginx.config, sites=sites, **{**places, **options}))


def publish(host: FakeHost, text: str, name: str = "shop") -> None:
    run(host, WantedSite(name, content=text.encode()))


def current(host: FakeHost, name: str = "shop") -> Path:
    return host.root / "tls" / name / "current"


def target(host: FakeHost, name: str = "shop") -> str:
    return os.readlink(current(host, name))


def served(host: FakeHost, name: str = "shop") -> bytes:
    return (current(host, name) / "fullchain.pem").read_bytes()


def test_a_site_keeps_its_own_certificate_until_that_of_the_ca_has_come(host: FakeHost) -> None:
    own(host, "shop.test", "www.shop.test")
    publish(host, with_files(host, "shop.test", "www.shop.test"))
    result = run(host, acme(host, "shop.test", "www.shop.test"), diff=True)
    pair = (host.root / "own.pem").read_bytes(), (host.root / "own.key").read_bytes()
    assert (served(host), (current(host) / "privkey.pem").read_bytes()) == pair
    assert target(host).startswith("issued-") and result["reload"]["proved"] and host.nginx.reloads == 2
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
        current(host) / "fullchain.pem", current(host) / "privkey.pem"
    )
    modes = {path.name: path.stat().st_mode & 0o777 for path in current(host).iterdir()}
    # HSTS goes on being sent.
    assert modes == {"fullchain.pem": 0o644, "privkey.pem": 0o600}
    known = {"name": "shop", "path": str(current(host)), "changed": True, "until_issued": True, "state": "issued"}
    reason = f"the site has that of {host.root}/own.pem until a CA has issued one"
    assert result["certificates"] == [{**known, "reason": reason}]
    assert "PRIVATE" not in str(result)
    assert result["diff"][-1]["after"].startswith("for shop.test, www.shop.test\nuntil 20")


def test_a_key_in_the_file_of_the_certificate_is_readable_by_root_alone(host: FakeHost) -> None:
    own(host, "shop.test")
    both = (host.root / "own.pem").read_bytes() + (host.root / "own.key").read_bytes()
    (host.root / "both.pem").write_bytes(b"for the shop\n" + both)
    publish(host, server(f"{host.root}/both.pem", f"{host.root}/both.pem", "shop.test"))
    run(host, acme(host, "shop.test"))
    assert served(host) == (host.root / "own.pem").read_bytes()
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
        current(host) / "fullchain.pem", current(host) / "privkey.pem"
    )
    readable = [path for path in (host.root / "tls").rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert readable and not any(b"PRIVATE KEY" in path.read_bytes() for path in readable)


def test_a_path_that_no_file_can_have_is_passed_over(host: FakeHost) -> None:
    assert find_published([("/a\0b.pem", "/a\0b.key")], ["shop.test"], host.time()) is None


def test_a_certificate_that_cannot_be_read_is_no_reason_to_drop_a_good_one(host: FakeHost) -> None:
    own(host, "shop.test")
    pair = find_published([(f"{host.root}/own.pem", f"{host.root}/own.key")], ["shop.test"], host.time())
    assert pair and is_better(pair, b"nothing", ["shop.test"], host.time())


def test_it_stays_when_the_files_go_and_a_further_run_changes_nothing(host: FakeHost) -> None:
    own(host, "shop.test")
    publish(host, with_files(host, "shop.test"))
    run(host, acme(host, "shop.test"))
    before = served(host)
    (host.root / "own.pem").unlink()
    (host.root / "own.key").unlink()
    result = run(host, acme(host, "shop.test"))
    assert (result["changed"], served(host)) == (False, before)
    # A further name needs another certificate, which is not there yet.
    run(host, acme(host, "shop.test", "more.test"))
    assert served(host) == before


@pytest.mark.parametrize(("days", "is_newer"), [(60, True), (10, False)])
def test_a_copy_from_an_earlier_time_gives_way_to_files_that_are_good_for_longer(
    host: FakeHost, days: int, is_newer: bool
) -> None:
    own(host, "shop.test")
    publish(host, with_files(host, "shop.test"))
    run(host, acme(host, "shop.test"))
    copied = served(host)
    own(host, "shop.test", days=days)
    publish(host, with_files(host, "shop.test"))
    run(host, acme(host, "shop.test"))
    assert served(host) == ((host.root / "own.pem").read_bytes() if is_newer else copied)


def test_the_stand_in_is_made_beside_it(host: FakeHost) -> None:
    """Else module nginx_certificate could not take the certificate away (state absent)."""
    own(host, "shop.test")
    publish(host, with_files(host, "shop.test"))
    run(host, acme(host, "shop.test"))
    stand_in = current(host).parent / "stand-in"
    assert sorted(os.listdir(stand_in)) == ["fullchain.pem", "no-hsts.conf", "privkey.pem"]


@pytest.mark.parametrize("isolates", [True, False])
def test_check_mode_tests_with_it_and_leaves_nothing(host: FakeHost, isolates: bool) -> None:
    own(host, "shop.test")
    publish(host, with_files(host, "shop.test"))
    host.isolates = isolates
    result = run(host, acme(host, "shop.test"), check=True, diff=True)
    assert result["changed"] and result["validation"]["method"] == ("namespace" if isolates else "shadow")
    assert result["certificates"][0]["state"] == "issued" and not (host.root / "tls").exists()
    assert result["diff"][-1]["after_header"].startswith(f"{current(host)} -> issued-")


def expired(host: FakeHost) -> None:
    own(host, "shop.test", days=1)
    host.wall = time.time() + 2 * DAY


def not_valid_yet(host: FakeHost) -> None:
    host.wall = time.time() - DAY


def of_others(host: FakeHost) -> None:
    own(host, "other.test", "*.shop.test")


def self_signed(host: FakeHost) -> None:
    own(host, "shop.test", issuer="")


def without_key(host: FakeHost) -> None:
    (host.root / "own.key").unlink()


def without_certificate(host: FakeHost) -> None:
    (host.root / "own.pem").write_text("nothing\n")


def with_another_key(host: FakeHost) -> None:
    (host.root / "own.key").write_bytes(key_text(new_key("ec")))


def with_an_encrypted_key(host: FakeHost) -> None:
    key = own(host, "shop.test")
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (host.root / "own.key").write_bytes(text)


def with_a_fifo(host: FakeHost) -> None:
    (host.root / "own.key").unlink()
    os.mkfifo(host.root / "own.key")


@pytest.mark.parametrize(
    "change",
    [
        expired,
        not_valid_yet,
        of_others,
        self_signed,
        without_key,
        without_certificate,
        with_another_key,
        with_an_encrypted_key,
        with_a_fifo,
    ],
)
def test_one_that_no_visitor_would_trust_is_not_kept(host: FakeHost, change: t.Callable[[FakeHost], None]) -> None:
    own(host, "shop.test")
    publish(host, with_files(host, "shop.test"))
    change(host)
    result = run(host, acme(host, "shop.test"))
    assert (target(host), result["certificates"][0]["state"]) == ("stand-in", "self_signed")
    assert (current(host) / "no-hsts.conf").exists()


def test_one_for_some_of_the_names_is_better_than_none(host: FakeHost) -> None:
    own(host, "*.shop.test")
    publish(host, with_files(host, "www.shop.test"))
    run(host, acme(host, "shop.test", "www.shop.test"))
    assert served(host) == (host.root / "own.pem").read_bytes()


def test_of_several_that_a_site_names_it_is_the_one_for_most_names(host: FakeHost) -> None:
    own(host, "a.test", base="first", days=90)
    own(host, "a.test", "b.test", base="second")
    publish(host, with_files(host, "a.test", base="first") + with_files(host, "b.test", base="second"))
    run(host, acme(host, "a.test", "b.test"))
    assert read_certificate(served(host)).names == ("a.test", "b.test")


def by_hand(host: FakeHost, text: str) -> None:
    """Take a site over that was written by hand, and is to have a certificate of the CA."""
    own(host, "shop.test")
    (host.root / "enabled/shop").write_text(text)
    run(host, acme(host, "shop.test", foreign=REPLACE))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "server { listen 443 ssl; ssl_certificate; }",
        "server { listen 443 ssl; ssl_certificate own.pem; }",
        "server { listen 80; ssl_certificate own.pem; ssl_certificate_key own.key; }",
        "ssl_certificate {",
        "include nothing;",
    ],
)
def test_what_names_no_pair_of_files_has_none(host: FakeHost, text: str) -> None:
    by_hand(host, text)
    assert target(host) == "stand-in"


LISTEN, FILES = "listen 443 ssl;", "ssl_certificate own.pem; ssl_certificate_key own.key;"


@pytest.mark.parametrize(
    ("text", "included", "http"),
    [
        (f"server {{ {LISTEN} {FILES} }}", "", ""),
        (f"server {{ {LISTEN} include more*.txt; }}", FILES, ""),
        ("include more.txt;", f"server {{ {LISTEN} {FILES} }}", ""),
        (f"server {{ {LISTEN} }}", "", FILES),
    ],
    ids=["relative", "in an included file", "in an included server", "inherited"],
)
def test_files_are_named_in_all_ways_that_nginx_knows(host: FakeHost, text: str, included: str, http: str) -> None:
    (host.root / "more.txt").write_text(included)
    config = Path(host.nginx.config)
    config.write_text(config.read_text().replace("http {", f"http {{ {http}"))
    by_hand(host, text)
    assert served(host) == (host.root / "own.pem").read_bytes()


def test_a_configuration_that_cannot_be_followed_names_none(host: FakeHost) -> None:
    (host.root / "more.txt").write_text("include more.txt;")
    assert find_named(f"{host.root}/more.txt", {f"{host.root}/enabled/shop": "shop"}) == {}


def test_of_several_for_the_same_names_it_is_the_one_that_is_valid_longer(host: FakeHost) -> None:
    own(host, "shop.test", base="first", days=10)
    own(host, "shop.test", base="second", days=60)
    pairs = "".join(f"ssl_certificate {base}.pem; ssl_certificate_key {base}.key;" for base in ("first", "second"))
    by_hand(host, f"server {{ {LISTEN} {pairs} }}")
    assert served(host) == (host.root / "second.pem").read_bytes()


def test_a_site_that_was_written_by_hand_and_is_taken_over_keeps_its_own(host: FakeHost) -> None:
    own(host, "shop.test")
    (host.root / "enabled/shop").write_text(with_files(host, "shop.test"))
    run(host, acme(host, "shop.test", foreign=REPLACE))
    assert served(host) == (host.root / "own.pem").read_bytes()


def test_a_site_with_another_name_keeps_its_own(host: FakeHost) -> None:
    own(host, "shop.test")
    publish(host, with_files(host, "shop.test"))
    renamed = acme(host, "shop.test", name="store", rename_from="shop")
    run(host, renamed)
    assert served(host, "store") == (host.root / "own.pem").read_bytes()
    assert not run(host, renamed)["changed"]
    # Once more, before the CA has answered.
    run(host, acme(host, "shop.test", name="third", rename_from="store"))
    assert served(host, "third") == (host.root / "own.pem").read_bytes()
    assert sorted(os.listdir(host.root / "tls")) == ["third"]


def test_a_site_that_was_self_signed_stays_so(host: FakeHost) -> None:
    wanted = acme(host, "shop.test")
    run(host, WantedSite("shop", content=wanted.content, self_signed=("shop.test",)))
    result = run(host, wanted)
    assert (result["changed"], target(host)) == (False, "stand-in")


def issued(host: FakeHost, *names: str, days: int = 30) -> bytes:
    """Let a site have a certificate of a CA, as nginx_certificate leaves it."""
    run(host, acme(host, *names))
    directory = current(host).parent / "issued-1"
    directory.mkdir()
    own(host, *names, base="issued", days=days)
    (directory / "fullchain.pem").write_bytes((host.root / "issued.pem").read_bytes())
    (directory / "privkey.pem").write_bytes((host.root / "issued.key").read_bytes())
    current(host).unlink()
    current(host).symlink_to("issued-1")
    return (host.root / "issued.pem").read_bytes()


def test_a_certificate_of_the_ca_stays_when_the_site_has_other_names(host: FakeHost) -> None:
    before = issued(host, "shop.test")
    result = run(host, acme(host, "shop.test", "more.test"))
    assert (result["certificates"][0]["changed"], served(host)) == (False, before)


def test_one_of_the_ca_that_is_still_there_is_as_good(host: FakeHost) -> None:
    """The site had one of the CA, then files of its own, and is to have one of the CA again."""
    before = issued(host, "shop.test")
    own(host, "shop.test")
    publish(host, with_files(host, "shop.test"))
    run(host, acme(host, "shop.test"))
    assert served(host) == before


@pytest.mark.parametrize(("names", "days"), [(("shop.test",), 1), (("old.test",), 30)])
def test_one_of_the_ca_that_visitors_would_not_trust_any_more_is_worse(
    host: FakeHost, names: tuple[str, ...], days: int
) -> None:
    issued(host, *names, days=days)
    own(host, "shop.test")
    publish(host, with_files(host, "shop.test"))
    host.wall = time.time() + 2 * DAY
    run(host, acme(host, "shop.test"))
    assert served(host) == (host.root / "own.pem").read_bytes()
