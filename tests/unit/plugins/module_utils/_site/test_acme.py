# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a site has its certificate from: what is refused, what the role's variables say, and what is rendered."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._site.acme import (
    PLAIN_MARK,
    Acme,
    certificate_packages,
    check_sites,
    plain_sites,
    read_acme,
    with_acme,
)
from ansible_collections.flaskops.stack.plugins.module_utils._site.model import Site, Tls
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_site
from ansible_collections.flaskops.stack.plugins.module_utils._site.render import NEWEST, render_site, site_configs

Item = t.Dict[str, t.Any]
LEAST: Item = {"name": "shop", "domains": ["shop.example.com"], "upstream": ["unix:/run/shop.sock"]}
FILES = {"certificate": "/c.pem", "key": "/k.pem"}
PLACE = "/etc/flaskops/tls/shop/current"
PLAIN = "location ^~ /.well-known/acme-challenge/ {"
ON: Item = {"nginx_acme": True}


def site(tls: object = None, defaults: Item | None = None, **more: t.Any) -> Site:
    return parse_site({**LEAST, **({} if tls is None else {"tls": tls}), **more}, defaults or {})


def configs(*items: Item, acme: Item | None = None, **defaults: t.Any) -> dict[str, Item]:
    found = site_configs(list(items), defaults, "1.26.3", True, acme=read_acme(acme or {}))
    return {each["name"]: each for each in found}


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (FILES, Tls("/c.pem", "/k.pem")),
        ({**FILES, "mode": "files"}, Tls("/c.pem", "/k.pem")),
        ({"mode": "none"}, None),
        ({"mode": "none", "redirect": False}, None),
        ({"mode": "acme"}, Tls(f"{PLACE}/fullchain.pem", f"{PLACE}/privkey.pem", mode="acme")),
        (
            {"mode": "self_signed", "redirect": False, "profile": "modern"},
            Tls(f"{PLACE}/fullchain.pem", f"{PLACE}/privkey.pem", False, "modern", "self_signed"),
        ),
    ],
)
def test_a_mode_says_where_the_certificate_is(tls: Item, expected: Tls | None) -> None:
    assert site(tls).tls == expected


@pytest.mark.parametrize(
    ("tls", "more", "message"),
    [
        ({"mode": "letsencrypt"}, {}, "tls: mode must be one of acme, files, self_signed, none, not 'letsencrypt'"),
        ("acme", {}, 'tls must be a dictionary, not "acme"'),
        ({}, {}, "certificate and key are missing: name both files, or set mode to acme"),
        ({"redirect": False}, {}, "certificate and key are missing"),
        ({"mode": "files"}, {}, "certificate is missing: mode files needs certificate and key"),
        ({"mode": "files", "certificate": "/c"}, {}, "key is missing: mode files needs key and certificate"),
        ({"certificate": "", "key": ""}, {}, "certificate is missing"),
        ({"mode": "files", "certificate": "c", "key": "/k"}, {}, "certificate 'c' must be an absolute path"),
        ({**FILES, "mode": "acme"}, {}, "certificate is for mode files, and mode is acme"),
        ({"mode": "self_signed", "key": "/k"}, {}, "key is for mode files, and mode is self_signed"),
        ({**FILES, "mode": "none"}, {}, "is for mode files, and mode is none: leave one of them out"),
        ({"mode": "none", "redirect": True}, {}, "redirect leads to HTTPS, which mode none has not"),
        ({"mode": "acme"}, {"content": "x"}, "this one has content or template"),
        ({"mode": "self_signed"}, {"template": "x"}, "this one has content or template"),
        ({"mode": "acme"}, {"domains": ["_"]}, "domain '_' must be a host name"),
        ({"mode": "acme"}, {"domains": []}, "domains must list at least one host name"),
        ({"mode": "self_signed"}, {"https_port": 80}, "http_port and https_port are both 80"),
        ({"mode": "none"}, {"hsts": 60}, "hsts needs tls"),
    ],
)
def test_what_contradicts_itself_is_refused_with_the_way_out(tls: object, more: Item, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        site(tls, **more)


@pytest.mark.parametrize(
    ("more", "acme", "message"),
    [
        ({"domains": ["*.example.com"]}, {}, "only when it can ask the DNS: set nginx_acme_challenge to dns"),
        ({"redirects": ["*.example.com"]}, {}, "only when it can ask the DNS"),
        ({"domains": ["localhost"]}, {}, "no CA gives a certificate for 'localhost'"),
        ({"redirects": ["shop.localhost"]}, {}, "no CA gives a certificate for 'shop.localhost'"),
        ({"domains": ["192.0.2.1"]}, {}, "no CA gives a certificate for '192.0.2.1'"),
        ({"domains": ["[2001:db8::1]"]}, {}, "no CA gives a certificate for '[2001:db8::1]'"),
        ({"domains": ["shop"]}, {}, "no public CA gives a certificate for 'shop', which is no name of the internet"),
        ({"domains": ["shop.internal"]}, {}, "set tls.mode to self_signed or none, or set nginx_acme_directory"),
        ({"domains": ["a_b.example.com"]}, {}, "because of its '_'"),
        ({"behind_proxy": True}, {}, "reach another proxy first"),
        ({"trusted_proxies": ["10.0.0.1"]}, {}, "or set nginx_acme_challenge to dns"),
        ({"domains": [f"{number}.example.com" for number in range(101)]}, {}, "it has 101 names"),
        ({"domains": ["localhost"]}, {"nginx_acme_directory": "https://ca.test/dir"}, "no CA gives a certificate"),
    ],
)
def test_a_site_that_can_have_no_certificate_of_a_ca_is_refused(more: Item, acme: Item, message: str) -> None:
    with pytest.raises(InputError, match=re.escape("site 'shop': tls.mode acme: ")) as caught:
        check_sites([site(**{"tls": {"mode": "acme"}, **more})], read_acme(acme))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("more", "acme"),
    [
        ({}, {}),
        ({"domains": ["shop.internal", "shop"]}, {"nginx_acme_directory": "https://ca.internal/acme/directory"}),
        ({"domains": ["*.example.com"]}, {"nginx_acme_challenge": "dns", "nginx_acme_dns_hook": "/usr/local/bin/hook"}),
        ({"behind_proxy": True}, {"nginx_acme_challenge": "dns", "nginx_acme_dns_hook": "/hook"}),
        ({"domains": ["localhost"], "state": "disabled"}, {}),
        ({"config": "return 200;"}, {}),
    ],
)
def test_what_a_ca_may_give_is_not_refused(more: Item, acme: Item) -> None:
    check_sites([site({"mode": "acme"}, **more)], read_acme(acme))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"nginx_acme": "maybe"}, "nginx_acme must be"),
        ({"nginx_acme_email": "me"}, "nginx_acme_email 'me' must be one address"),
        ({"nginx_acme_email": "a@b.org, c@d.org"}, "must be one address"),
        ({"nginx_acme_email": ["a@b.org"]}, "nginx_acme_email must be a text"),
        ({"nginx_acme_email": "admin@example.com"}, "is an example, which the CA refuses"),
        ({"nginx_acme_directory": "http://ca.test/dir"}, "must be the https:// URL of a CA's directory, 'staging'"),
        ({"nginx_acme_directory": "https://me:s3cr3t@ca.test/dir"}, "nginx_acme_directory has a user name or password"),
        ({"nginx_acme_directory": "https://ca.test:99999/dir"}, "must be the https:// URL of a CA's directory"),
        ({"nginx_acme_directory": "https://ca.test:acme/dir"}, "must be the https:// URL of a CA's directory"),
        ({"nginx_acme_directory": "live"}, "or empty for Let's Encrypt"),
        ({"nginx_acme_challenge": "tls"}, "nginx_acme_challenge must be one of http, dns, not 'tls'"),
        ({"nginx_acme_challenge": "dns"}, "needs nginx_acme_dns_hook"),
        ({"nginx_acme_dns_hook": "/hook"}, "is for nginx_acme_challenge dns"),
        ({"nginx_acme_challenge": "dns", "nginx_acme_dns_hook": "/opt/my hook"}, "'/opt/my hook' is run by a shell"),
        ({"nginx_acme_challenge": "dns", "nginx_acme_dns_hook": "/opt/a;b"}, "is run by a shell: rename the file"),
        ({"nginx_acme_ca_bundle": "ca.pem"}, "must be the absolute path of a file on the host"),
        ({"nginx_acme_eab_file": "/etc/../eab"}, "must be the absolute path"),
        ({"nginx_acme_profile": "a b"}, "nginx_acme_profile 'a b' must be a name"),
    ],
)
def test_variables_of_the_role_are_checked(variables: Item, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        read_acme(variables)


@pytest.mark.parametrize(
    ("variables", "enabled"),
    [
        ({}, False),
        ({"nginx_acme": None, "nginx_acme_email": None}, False),
        ({"nginx_acme": "yes"}, True),
        ({"nginx_acme_email": "me@shop.org"}, True),
        ({"nginx_acme": False, "nginx_acme_directory": "staging"}, False),
    ],
)
def test_an_address_turns_it_on_as_well(variables: Item, enabled: bool) -> None:
    assert read_acme(variables).enabled is enabled


@pytest.mark.parametrize(
    ("more", "mode"),
    [
        ({}, "acme"),
        ({"tls": {"mode": "none"}}, ""),
        ({"tls": FILES}, "files"),
        ({"tls": {"mode": "self_signed"}}, "self_signed"),
        ({"tls": {"redirect": False}}, "acme"),
        ({"behind_proxy": True}, ""),
        ({"domains": ["localhost", "shop.localhost", "127.0.0.1"]}, ""),
        ({"content": "x"}, ""),
        ({"state": "absent", "domains": []}, ""),
    ],
)
def test_sites_without_tls_get_a_certificate_where_they_can(more: Item, mode: str) -> None:
    found = parse_site({**LEAST, **more}, with_acme({}, Acme(enabled=True)))
    assert (found.tls.mode if found.tls else "") == mode


@pytest.mark.parametrize(
    ("defaults", "tls", "expected"),
    [
        ({"mode": "self_signed"}, None, Tls(f"{PLACE}/fullchain.pem", f"{PLACE}/privkey.pem", mode="self_signed")),
        (FILES, None, Tls("/c.pem", "/k.pem")),
        (FILES, {"redirect": False}, Tls("/c.pem", "/k.pem", redirect=False)),
        ({**FILES, "redirect": False}, {"certificate": "/d", "key": "/l"}, Tls("/d", "/l", redirect=False)),
        (FILES, {"mode": "self_signed"}, Tls(f"{PLACE}/fullchain.pem", f"{PLACE}/privkey.pem", mode="self_signed")),
        (FILES, {"mode": "none"}, None),
        ({"mode": "none"}, FILES, Tls("/c.pem", "/k.pem")),
        ({"redirect": False}, None, None),
        ({"profile": "modern"}, FILES, Tls("/c.pem", "/k.pem", profile="modern")),
    ],
)
def test_sites_may_share_what_they_do_not_say_themselves(defaults: Item, tls: Item | None, expected: Tls) -> None:
    assert site(tls, {"tls": defaults}).tls == expected


def test_the_role_does_not_overrule_what_the_defaults_of_sites_say() -> None:
    on = Acme(enabled=True)
    assert with_acme({"tls": {"mode": "none"}}, on) == {"tls": {"mode": "none"}}
    assert with_acme({"tls": FILES}, on) == {"tls": FILES}
    assert with_acme({"tls": {"redirect": False}}, on) == {"tls": {"redirect": False, "mode": "acme"}}


def test_the_host_is_told_of_which_certificates_it_makes() -> None:
    found = configs(
        {**LEAST, "redirects": ["www.example.com"], "tls": {"mode": "acme"}},
        {**LEAST, "name": "a", "domains": ["a.test"], "tls": {"mode": "self_signed"}},
        {**LEAST, "name": "b", "domains": ["b.test"]},
        {**LEAST, "name": "c", "domains": ["c.test"], "tls": {"mode": "self_signed"}, "state": "disabled"},
    )
    assert found["shop"]["self_signed"] == {"names": ["shop.example.com", "www.example.com"], "until_issued": True}
    assert found["a"]["self_signed"] == {"names": ["a.test"], "until_issued": False}
    assert not {"self_signed"} & {*found["b"], *found["c"]}


def test_a_ca_is_answered_before_anything_redirects() -> None:
    found = configs({**LEAST, "redirects": ["www.example.com"], "tls": {"mode": "acme"}})
    text = found["shop"]["content"]
    plain = [block for block in text.split("server {") if "listen 80;" in block]
    assert len(plain) == 2 and all(block.index(PLAIN) < block.index("return 301") for block in plain)
    assert "root /var/lib/flaskops/_acme;" in plain[0]
    assert text.count(PLAIN) == 2
    assert 'if ($uri !~ "^/\\.well-known/acme-challenge/[A-Za-z0-9_-]+$") {' in found["flaskops-default"]["content"]
    assert "acme" not in found["flaskops-default-443"]["content"]


@pytest.mark.parametrize(
    "more",
    [
        {"config": "location ^~ /.well-known/acme-challenge/ { return 404; }"},
        {"locations": [{"path": "^~ /.well-known/acme-challenge/", "config": "return 404;"}]},
        {"locations": [{"path": "/.well-known/acme-challenge/", "config": "return 404;"}]},
    ],
)
def test_a_site_that_answers_it_itself_has_the_location_once(more: Item) -> None:
    tls = {"mode": "acme", "redirect": False}
    assert render_site(site(tls), NEWEST).count("/.well-known/acme-challenge/ {") == 1
    assert render_site(site(tls, **more), NEWEST).count("/.well-known/acme-challenge/") == 1


@pytest.mark.parametrize("tls", [None, FILES, {"mode": "self_signed"}])
def test_other_sites_have_nothing_of_a_ca(tls: Item | None) -> None:
    found = configs({**LEAST, **({"tls": tls} if tls else {})})
    assert "acme" not in "".join(each.get("content", "") for each in found.values())


def test_the_catch_all_answers_as_soon_as_the_role_says_so() -> None:
    found = configs({**LEAST, "tls": {"mode": "none"}}, acme=ON)
    assert "acme" in found["flaskops-default"]["content"] and "acme" not in found["shop"]["content"]


def test_hsts_is_sent_with_a_certificate_of_a_ca_alone() -> None:
    text = render_site(site({"mode": "acme"}, hsts=300), NEWEST)
    assert 'map hsts $flaskops_shop_hsts {\n    default "max-age=300";' in text
    assert "    include /etc/flaskops/tls/shop/current/no-hsts*.conf;" in text
    assert "add_header Strict-Transport-Security $flaskops_shop_hsts always;" in text
    assert "Strict-Transport" not in render_site(site({"mode": "self_signed"}, hsts=300), NEWEST)
    # Visitors see the certificate of the proxy.
    behind = render_site(site({"mode": "self_signed"}, hsts=300, behind_proxy=True), NEWEST)
    assert 'Strict-Transport-Security "max-age=300" always' in behind
    assert 'Strict-Transport-Security "max-age=300" always' in render_site(site(FILES, hsts=300), NEWEST)
    assert "hsts" not in render_site(site({"mode": "acme"}), NEWEST)


def test_packages_are_asked_for_when_they_are_needed() -> None:
    assert certificate_packages([site(), site(FILES)]) == []
    assert certificate_packages([site({"mode": "self_signed"})]) == ["openssl"]
    assert certificate_packages([site({"mode": "acme"})]) == ["openssl", "certbot"]
    assert certificate_packages([site({"mode": "acme"}, state="disabled")]) == []


def test_the_module_is_told_what_the_role_says() -> None:
    assert Acme().request([site(), site({"mode": "self_signed"})]) == {}
    acme = read_acme({"nginx_acme_email": "me@shop.org", "nginx_acme_directory": "staging"})
    assert acme.request([site({"mode": "acme"}, redirects=["www.example.com"])]) == {
        "certificates": [{"name": "shop", "names": ["shop.example.com", "www.example.com"]}],
        "challenge": "http",
        "email": "me@shop.org",
        "directory_url": "staging",
    }


@pytest.mark.parametrize("no", [False, "no"])
def test_a_host_that_cannot_reach_its_own_address_need_not_ask_itself(no: object) -> None:
    acme_sites = [site({"mode": "acme"})]
    assert read_acme({"nginx_acme_check_names": no}).request(acme_sites)["check_names"] is False
    assert "check_names" not in read_acme({"nginx_acme_check_names": True}).request(acme_sites)
    with pytest.raises(InputError, match="nginx_acme_check_names"):
        read_acme({"nginx_acme_check_names": "perhaps"})


@pytest.mark.parametrize(
    ("item", "is_told"),
    [
        ({}, True),
        ({"tls": {"mode": "none"}}, False),
        ({"tls": FILES}, False),
        ({"behind_proxy": True}, False),
        ({"domains": ["localhost", "a.localhost", "192.0.2.1", "[::1]"]}, False),
        ({"domains": ["localhost", "shop.example.com"]}, True),
        ({"domains": ["shop.internal"]}, False),
        ({"domains": ["shop"]}, False),
        ({"state": "disabled"}, False),
        ({"content": "x"}, False),
    ],
)
def test_who_is_plain_http_without_having_said_so_is_told(item: Item, is_told: bool) -> None:
    given = {**LEAST, **item}
    assert plain_sites([parse_site(given, {})], [given], {}) == (["shop"] if is_told else [])
    assert plain_sites([parse_site(given, {})], [given], {"tls": {"mode": "none"}}) == []


def waiting(*items: Item, acme: Item | None = None) -> dict[str, Item]:
    """Return what is published of sites that were plain HTTP before, and have no certificate yet."""
    asked = read_acme({"nginx_acme": True, **(acme or {})})
    found = site_configs(items, {}, "1.26.3", True, acme=asked, plain=[str(item["name"]) for item in items])
    return {config["name"]: config for config in found}


def test_a_site_that_was_plain_http_stays_so_until_its_certificate_has_come() -> None:
    item = {"name": "shop", "domains": ["shop.org"], "redirects": ["www.shop.org"], "upstream": ["127.0.0.1:80"]}
    found = waiting(item)["shop"]
    assert found["when_issued"] == configs(item, acme={"nginx_acme": True})["shop"]["content"]
    assert "return 301 https" in found["when_issued"] and PLAIN_MARK not in found["when_issued"]
    first, second = found["content"].split("server_name shop.org;")
    assert PLAIN_MARK in first and first.rstrip().endswith("http2 on;")
    assert "listen 80;" in first.rpartition("server {")[2] and "listen 443 ssl;" in first.rpartition("server {")[2]
    assert "location ^~ /.well-known/acme-challenge/" in second
    assert "return 301 https" not in second.partition("server {")[0]


@pytest.mark.parametrize(
    ("more", "acme"),
    [
        # HTTPS does not take the place of plain HTTP.
        ({"tls": {"mode": "acme", "redirect": False}}, {}),
        ({"tls": {"mode": "self_signed"}}, {}),
        ({"tls": {"mode": "none"}}, {}),
        ({"state": "disabled"}, {}),
    ],
)
def test_what_is_plain_anyway_or_not_at_all_is_published_at_once(more: Item, acme: Item) -> None:
    item = {"name": "shop", "domains": ["shop.org"], "upstream": ["127.0.0.1:80"], **more}
    found = waiting(item, acme=acme)["shop"]
    assert "when_issued" not in found and PLAIN_MARK not in found["content"]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"config": "return 301 https://other.org$request_uri;"}, "return 301 https://other.org$request_uri;"),
        ({"config": "if ($arg_x) { return 403; }"}, "if ($arg_x) { return 403; }"),
        ({"config": "rewrite ^ /new last;"}, "rewrite ^ /new last;"),
        ({"config": "include /etc/nginx/rules.conf;"}, "include /etc/nginx/rules.conf;"),
        ({"locations": [{"path": "/.well-known/", "config": "return 404;"}]}, ""),
        ({"static": [{"url": "/.well-known/", "path": "/srv/known"}]}, ""),
        ({"config": "location ^~ /.well-known/acme-challenge/ { return 404; }"}, "location ^~ /.well-known/acme"),
    ],
)
def test_a_ca_is_answered_before_what_a_site_answers_itself_until_its_certificate_has_come(
    more: Item, line: str
) -> None:
    item = {"name": "shop", "domains": ["shop.org"], "upstream": ["127.0.0.1:80"], **more}
    found = waiting(item)["shop"]
    assert PLAIN_MARK in found["content"] and "return 301 https://$host" in found["when_issued"]
    first = 'rewrite "^/\\.well-known/acme-challenge/([A-Za-z0-9_-]+)$" /.well-known/acme-challenge/flaskops/$1 last;'
    assert found["content"].count("location ^~ /.well-known/acme-challenge/flaskops/ {") == 1
    assert found["content"].index(first.replace("\\.", "\\\\.")) < found["content"].index(line or "location")
    assert "flaskops/ {" not in found["when_issued"]


@pytest.mark.parametrize("config", ["return 200;", "if ($arg_x) { return 403; }", "rewrite ^ /new last;"])
def test_a_ca_is_answered_first_where_plain_http_does_not_redirect(config: str) -> None:
    tls = {"mode": "acme", "redirect": False}
    shop = site(tls, config=config)
    check_sites([shop], read_acme({}))
    text = render_site(shop, NEWEST)
    assert text.index(" /.well-known/acme-challenge/flaskops/$1 last;") < text.index(config)
    # Plain HTTP leads elsewhere, or another one answers for that path.
    assert "acme-challenge/flaskops" not in render_site(site({"mode": "acme"}, config=config), NEWEST)
    taken = "location ^~ /.well-known/acme-challenge/ { return 404; }"
    assert "acme-challenge/flaskops" not in render_site(site(tls, config=f"{config}\n{taken}"), NEWEST)
    for other in (FILES, {"mode": "self_signed"}):
        assert "acme-challenge/flaskops" not in render_site(site({**other, "redirect": False}, config=config), NEWEST)


@pytest.mark.parametrize(
    ("config", "lines"),
    [
        ("deny 192.0.2.1;", ["allow all;"]),
        ("allow 10.0.0.0/8;\ndeny all;\nreturn 404;", ["allow all;"]),
        ("auth_basic x;\nauth_basic_user_file /x;", ["auth_basic off;"]),
        ("auth_request /who;", ["auth_request off;"]),
        ("include /etc/nginx/snippets/rules.conf;", ["auth_basic off;", "allow all;"]),
        ("expires 1h;", []),
    ],
)
def test_a_ca_is_not_asked_who_it_is_by_the_lines_of_a_site(config: str, lines: list[str]) -> None:
    item = {"name": "shop", "domains": ["shop.org"], "upstream": ["127.0.0.1:80"], "config": config}
    found = waiting(item)["shop"]["content"]
    place = found.partition("location ^~ /.well-known/acme-challenge/")[2].partition("}")[0]
    known = {"allow all;", "auth_basic off;", "auth_request off;"}
    assert [line.strip() for line in place.splitlines() if line.strip() in known] == lines
    # A site without a CA asks as it did.
    assert "allow all;" not in render_site(site(**{**LEAST, "allow": ["10.0.0.0/8"], "config": "deny all;"}), NEWEST)


def test_the_host_is_asked_for_what_the_certificates_need() -> None:
    sites = [site({"mode": "acme"}, rename_from="old"), site({"mode": "none"}, name="blog")]
    acme = read_acme({"nginx_acme_ca_bundle": "/ca.pem", "nginx_acme_email": "a@shop.org"})
    assert acme.on_host(sites, "/etc/nginx/sites", None) == {
        "sites": {"shop": {"former": "old", "names": ["shop.example.com"]}},
        "ca_bundle": "/ca.pem",
        "challenge": "http",
        "directory_enabled": "/etc/nginx/sites",
    }
    assert acme.on_host(sites[1:]) == {}
