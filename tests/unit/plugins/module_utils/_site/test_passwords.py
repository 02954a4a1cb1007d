# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and passwords of visitors; what nginx makes of them is looked at in scenario `alternative`."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._site.forwarded import ForwardedChain, forged_headers
from ansible_collections.flaskops.stack.plugins.module_utils._site.model import PROBE, chain_of
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_site
from ansible_collections.flaskops.stack.plugins.module_utils._site.passwords import password_file, sha512_crypt
from ansible_collections.flaskops.stack.plugins.module_utils._site.render import render_site, site_configs
from ansible_collections.flaskops.stack.plugins.module_utils._site.syntax import Directive, parse

SITE: dict[str, t.Any] = {"name": "shop", "domains": ["shop.test"], "upstream": ["unix:/srv/shop/current/run/0.sock"]}
ALICE = {"name": "alice", "password": "correct horse"}
NGINX = (1, 22)


def text_of(auth: dict[str, t.Any], **changes: object) -> str:
    """Return the file of a site that asks for a password."""
    return render_site(parse_site({**SITE, **changes, "basic_auth": {"users": [ALICE], **auth}}, {}), NGINX)


def asked(
    text: str, uri: str, dots: bool = False, address: str = "192.0.2.1", known: bool = False, visitor: str = ""
) -> str:
    """Return the realm that a request is asked for, as nginx looks it up: the first expression that matches.

    C(address) is that of who has connected, and C(visitor) that of the visitor, where it is another one.
    """
    found: Directive = next(item for item in parse(text) if item.args[-1:] == ("$flaskops_shop_realm",))
    value, default = f"{address},{visitor or address},{int(known)} {int(dots)}{uri}", ""
    for item in found.block or ():
        if item.name == "default":
            default = item.args[0]
        elif re.search(item.name.lstrip("~"), value):
            return item.args[0]
    return default


@pytest.mark.parametrize(
    ("password", "salt", "expected"),
    [
        # Of crypt(3).
        (
            "Hello world!",
            "saltstring",
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        ),
        (
            "This is just a test",
            "toolongsaltstrin",
            "$6$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0",
        ),
        (
            "p\N{LATIN SMALL LETTER A WITH DIAERESIS}\N{EURO SIGN}" * 30,
            "a",
            "$6$a$316xY.JUyDThM8ICoS1kSQLKcZv.9vrPCSpdMn5DqUG82y2SP/cFD60S6m8bHxus4Ec2KyuFEdGM5y/MI1aHf/",
        ),
    ],
    ids=["short", "usual", "long"],
)
def test_hashes_are_those_of_the_c_library(password: str, salt: str, expected: str) -> None:
    assert sha512_crypt(password, salt) == expected


def test_a_hash_is_the_same_in_each_run_and_another_for_each_user_and_site() -> None:
    users = [ALICE, {**ALICE, "name": "bob"}]
    site = parse_site({**SITE, "basic_auth": {"users": users}}, {})
    other = parse_site({**SITE, "name": "blog", "basic_auth": {"users": users}}, {})
    hashes = [line.partition(":")[2] for each in (site, other) for line in password_file(each).splitlines()]
    assert len(set(hashes)) == 4
    assert password_file(site) == password_file(parse_site({**SITE, "basic_auth": {"users": users}}, {}))
    assert all(re.fullmatch(r"\$6\$[A-Za-z0-9./]{16}\$[A-Za-z0-9./]{86}", found) for found in hashes)


def test_a_salt_says_nothing_of_the_password() -> None:
    sites = [{**SITE, "basic_auth": {"users": [{**ALICE, "password": text}]}} for text in ("one", "two")]
    first, second = (password_file(parse_site(site, {})).split("$") for site in sites)
    assert first[2] == second[2]
    assert first[3] != second[3]


def test_a_site_without_passwords_has_no_line_of_them() -> None:
    text = render_site(parse_site(SITE, {}), NGINX)
    assert "auth_basic" not in text
    assert "$flaskops_shop" not in text
    [config] = site_configs([SITE], {}, "1.22", catch_all=False)
    assert "passwords" not in config


def test_neither_a_password_nor_its_hash_is_in_the_file_of_a_site() -> None:
    [config] = site_configs([{**SITE, "basic_auth": {"users": [ALICE]}}], {}, "1.22", catch_all=False)
    assert config["passwords"].startswith("alice:$6$")
    assert ALICE["password"] not in config["content"]
    assert "$6$" not in config["content"]
    assert 'auth_basic_user_file "/etc/nginx/flaskops-passwords/shop";' in config["content"]


def test_no_error_or_trace_shows_a_password() -> None:
    site = parse_site({**SITE, "basic_auth": {"users": [ALICE]}}, {})
    assert ALICE["password"] not in repr(site)


@pytest.mark.parametrize(
    ("uri", "needs"),
    [
        ("/", True),
        ("/admin", True),
        ("/healthz", False),
        ("/healthz/", False),
        ("/healthz/deep", False),
        ("/healthz2", True),
        ("/Healthz", True),
        ("/x/healthz", True),
        ("/.well-known/acme-challenge/x", False),
        ("/.well-known/acme-challengex", True),
        (PROBE, True),
    ],
)
def test_a_whole_site_needs_a_password_but_for_what_is_open(uri: str, needs: bool) -> None:
    text = text_of({"open": ["/healthz"]})
    assert asked(text, uri) == ("Restricted" if needs else "off")
    # The application may take it for another path.
    assert asked(text, uri, dots=True) == "Restricted"


def test_the_check_of_forged_headers_needs_no_password_and_nobody_else_can_be_it() -> None:
    text = text_of({})
    assert asked(text, PROBE, address="127.0.0.1") == "off"
    assert asked(text, f"{PROBE}/x", address="127.0.0.1") == "Restricted"
    assert asked(text, PROBE, dots=True, address="127.0.0.1") == "Restricted"
    assert asked(text, "/admin", address="127.0.0.1") == "Restricted"
    # A proxy on this host brings the requests of visitors.
    assert asked(text, PROBE, address="127.0.0.1", visitor="192.0.2.1") == "Restricted"
    for hops in (1, 2, 3):
        sent = forged_headers(ForwardedChain("/srv/shop/current", "shop.test"), hops)["X-Forwarded-For"]
        assert asked(text, PROBE, address="127.0.0.1", visitor=sent.split(", ")[-1]) == "off"
    for address in ("127.0.0.11", "1127.0.0.1", "192.0.2.1"):
        assert asked(text, PROBE, address=address) == "Restricted"
    chain = chain_of(parse_site({**SITE, "basic_auth": {"users": [ALICE]}}, {}))
    assert chain is not None
    assert chain.path == PROBE


def test_single_paths_need_a_password() -> None:
    text = text_of({"paths": ["/admin", "/private"], "realm": "Staff only"})
    assert asked(text, "/admin") == asked(text, "/admin/x") == asked(text, "/private") == "Staff only"
    assert asked(text, "/") == asked(text, "/admin2") == "off"
    # nginx has another path for it than the application may have.
    assert asked(text, "/", dots=True) == "Staff only"
    chain = chain_of(parse_site({**SITE, "basic_auth": {"users": [ALICE], "paths": ["/admin"]}}, {}))
    assert chain is not None
    assert "path" not in chain.to_json()


def test_visitors_from_known_networks_need_no_password() -> None:
    text = text_of({"allow": ["192.0.2.0/24", "2001:db8::/32"]})
    assert asked(text, "/", known=True) == "off"
    assert asked(text, "/", dots=True, known=True) == "off"
    assert asked(text, "/") == "Restricted"
    assert "192.0.2.0/24 1;" in text
    with pytest.raises(InputError, match="basic_auth: allow need trusted_proxies behind another proxy"):
        text_of({"allow": ["192.0.2.0/24"]}, behind_proxy=True)


def test_no_path_passes_for_an_address_that_needs_no_password() -> None:
    text = text_of({"allow": ["192.0.2.0/24"], "open": ["/status"]})
    for path in ("/files/a,1 b", "/x,1 ", "/x 0/status", f"/127.0.0.1,127.0.0.1,0 0{PROBE}"):
        assert asked(text, path) == "Restricted", path


def test_pages_of_nginx_itself_need_no_password() -> None:
    text = text_of({}, maintenance={"flag": "/run/closed", "page": "/srv/page.html"})
    server = next(item for item in parse(text) if item.name == "server")
    places = [item for item in server.block or () if item.name == "location" and "flaskops" in item.args[-1]]
    answering = [item for item in places if any(line.name == "add_header" for line in item.block or ())]
    assert len(answering) == 3
    for place in answering:
        assert [line.args for line in place.block or () if line.name == "auth_basic"] == [("off",)]


def test_lines_of_the_user_take_the_place_of_ours() -> None:
    text = text_of({}, config='auth_basic "Own";')
    assert text.count("auth_basic ") == 3
    assert "auth_basic $flaskops" not in text


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        ({"users": []}, "basic_auth: users is empty: add a user, or leave basic_auth out"),
        ({"users": [ALICE, {**ALICE, "password": "x"}]}, "users has 'alice' twice"),
        ({"users": [{"name": "a:b", "password": "x"}]}, "name 'a:...' must be 1 to 128 characters without ':'"),
        ({"users": [{"name": "a:secret"}]}, "name 'a:...' must be"),
        ({"users": [{"name": "#a", "password": "x"}]}, "not begin with '#'"),
        ({"users": [{"name": "", "password": "x"}]}, "name '' must be"),
        ({"users": [{"name": "alice", "password": ""}]}, "the password of 'alice' is empty"),
        ({"users": [{"name": "alice"}]}, "the password of 'alice' is empty"),
        ({"users": [{"name": "alice", "password": "se cret\n"}]}, "is there a line break at its end"),
        ({"users": [{"name": "alice", "password": "sec" * 100}]}, "one line of up to 256 bytes"),
        ({"users": [{**ALICE, "pasword": "secret"}]}, "unknown key 'pasword'; did you mean 'password'"),
        ({"realm": "off"}, "realm 'off' must be .* and not 'off'"),
        ({"realm": 'a"b'}, "realm 'a\"b' must be"),
        ({"realm": "$host"}, "without .* and '\\$'"),
        ({"realm": ""}, "realm '' must be 1 to 100"),
        ({"open": ["/"]}, "open has '/', so that nothing needs a password"),
        ({"open": ["/a/../b"]}, "open .* must be an absolute path without"),
        ({"paths": ["admin"]}, "paths 'admin' must be an absolute path"),
        ({"paths": ["/%61"]}, "paths '/%61' must be written decoded"),
        ({"allow": ["here"]}, "basic_auth: allow: 'here' must be an address"),
        ({"except": ["/up"]}, "unknown key 'except'"),
    ],
)
def test_what_cannot_be_is_refused_and_no_password_is_shown(auth: dict[str, t.Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        text_of(auth)
    assert str(caught.value).startswith("site 'shop': basic_auth: ")
    assert "sec" not in str(caught.value).replace("/secret", "")


@pytest.mark.parametrize(
    "written",
    ["alice:secret", ["alice:secret"], {"users": "alice:secret"}, {"users": ["alice:secret"]}, {"users": [["secret"]]}],
)
def test_a_password_at_the_wrong_place_is_not_shown_either(written: object) -> None:
    with pytest.raises(InputError, match=r"basic_auth.* must be a (dictionary|list), not a text or list") as caught:
        parse_site({**SITE, "basic_auth": written}, {})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("off", [{}, None, ""])
def test_a_site_can_do_without_the_passwords_of_all_sites(off: object) -> None:
    defaults = {"basic_auth": {"users": [ALICE]}}
    assert parse_site(SITE, defaults).basic_auth is not None
    wanted = None if off is None else {"basic_auth": off}
    assert (parse_site({**SITE, **(wanted or {})}, defaults).basic_auth is None) == (off is not None)


@pytest.mark.parametrize("key", ["content", "template"])
def test_a_configuration_of_the_users_own_is_not_taken_for_a_protected_one(key: str) -> None:
    site = {"name": "shop", key: "x"}
    with pytest.raises(InputError, match="basic_auth has no effect on content and template"):
        parse_site({**site, "basic_auth": {"users": [ALICE]}}, {})
    with pytest.raises(InputError, match=r"'basic_auth: \{\}' for this site"):
        parse_site(site, {"basic_auth": {"users": [ALICE]}})
    assert parse_site({**site, "basic_auth": {}}, {"basic_auth": {"users": [ALICE]}})


@pytest.mark.parametrize(
    ("path", "config", "refused"),
    [
        ("= /admin/key", "return 200 secret;", True),
        ("/", "if ($arg_x) { return 200 secret; }", True),
        ("~ ^/adm", "return 200 secret;", True),
        ("@x", "return 200 secret;", True),
        ("/public/", "return 200 hello;", False),
        ("= /", "return 200 hello;", False),
        ("/admin/old", "return 301 /admin/new;", False),
        ("/admin/gone", "return 410;", False),
    ],
)
def test_an_answer_that_comes_before_the_password_is_refused(path: str, config: str, refused: bool) -> None:
    given = {"locations": [{"path": path, "config": config}]}
    if refused:
        with pytest.raises(InputError, match=r"basic_auth: location .* is answered by 'return', before nginx asks"):
            text_of({"paths": ["/admin"]}, **given)
    else:
        assert "auth_basic" in text_of({"paths": ["/admin"]}, **given)


def test_config_that_answers_everything_is_refused() -> None:
    with pytest.raises(InputError, match="basic_auth: config answers by 'return', before nginx asks"):
        text_of({}, config="return 200 secret;")
