# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications below a path of another one's site; what a visitor sees is looked at in scenario `alternative`."""

from __future__ import annotations

import re
import typing as t
from dataclasses import replace

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.flaskops.stack.plugins.module_utils._app.application import AppError, identify, parse_apps
from ansible_collections.flaskops.stack.plugins.module_utils._app.derive import (
    DeriveError,
    derive_services,
    derive_sites,
)
from ansible_collections.flaskops.stack.plugins.module_utils._deploy.health import Health
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.flask_release_serve import sites_of
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import InputError
from ansible_collections.flaskops.stack.plugins.module_utils._site.forwarded import (
    ForwardedChain,
    find_wrong_headers,
    forged_headers,
)
from ansible_collections.flaskops.stack.plugins.module_utils._site.model import PROBE
from ansible_collections.flaskops.stack.plugins.module_utils._site.parse import parse_site
from ansible_collections.flaskops.stack.plugins.module_utils._site.render import render_site, site_configs
from ansible_collections.flaskops.stack.plugins.modules.nginx_site import ARGUMENTS
from ansible_collections.flaskops.stack.plugins.plugin_utils._input_rules import check_rules
from ansible_collections.flaskops.stack.plugins.plugin_utils._run_record import address_of

SHOP: dict[str, t.Any] = {"name": "shop", "source": "./shop", "app": "shop:app", "domains": ["shop.test"]}
BLOG: dict[str, t.Any] = {
    "name": "blog",
    "source": "./blog",
    "app": "blog:app",
    "mount": {"site": "shop", "path": "/blog/"},
}


def text_of(*apps: dict[str, t.Any], **defaults: object) -> str:
    """Return the file of the only site."""
    [item] = derive_sites(list(apps), "/srv", None, defaults)
    return render_site(parse_site(item, defaults), (1, 26))


def location(text: str, opening: str) -> str:
    """Return what is in a location."""
    found = re.search(rf"^    location {re.escape(opening)} {{\n(.*?)^    }}$", text, re.MULTILINE | re.DOTALL)
    assert found, opening
    return found.group(1)


def test_an_application_is_below_a_path_of_another_ones_site() -> None:
    text = text_of(SHOP, BLOG)
    inside = location(text, '^~ "/blog/"')
    assert "proxy_pass http://flaskops.mount0.shop/;" in inside
    assert 'proxy_set_header X-Forwarded-Prefix "/blog";' in inside
    assert "server unix:/srv/blog/current/run/0.sock;" in text
    assert 'return 308 "/blog/$is_args$args";' in location(text, '= "/blog"')
    # What was removed is not there, instead of being out of order.
    assert 'if (!-e "/srv/blog/current")' in inside
    # The application at the domain itself is told of no path, also when a visitor sends one.
    assert 'proxy_set_header X-Forwarded-Prefix "";' in text.replace(inside, "")


def test_a_site_that_has_nothing_mounted_has_no_line_of_it() -> None:
    text = text_of(SHOP)
    assert "proxy_cookie_path" not in text
    assert "mount" not in text


def test_a_visitors_prefix_never_reaches_an_application_that_believes_it() -> None:
    for changes in (
        {"pass_headers": ["X-Forwarded-Prefix"]},
        {"config": "proxy_set_header X-Forwarded-Prefix $x;"},
        {"config": "proxy_set_header x-forwarded-PREFIX $x;"},
        {"proxy_headers": {"x-forwarded-prefix": "$http_x_forwarded_prefix"}},
    ):
        blog = {**BLOG, "nginx": {"proxy_headers": {"x-forwarded-prefix": "$x"}}}
        inside = location(text_of({**SHOP, "nginx": {"behind_proxy": True, **changes}}, blog), '^~ "/blog/"')
        assert re.findall("(?i)X-Forwarded-Prefix (.*);", inside) == ['"/blog"'], changes


@pytest.mark.parametrize(
    ("cookie", "sent"),
    [("/", "/blog/"), ("/x", "/blog/x"), ("/blog", "/blog"), ("/blog/", "/blog/"), ("/blogger", "/blog/blogger")],
)
def test_sessions_of_two_applications_with_one_domain_are_kept_apart(cookie: str, sent: str) -> None:
    found = re.search(r'proxy_cookie_path "~(.*)" "(.*)";', location(text_of(SHOP, BLOG), '^~ "/blog/"'))
    assert found
    matched = re.search(found.group(1), cookie)
    assert (found.group(2).replace("$1", matched.group(1)) if matched else cookie) == sent


def test_settings_of_its_own_hold_below_the_path() -> None:
    nginx = {
        "static": [{"url": "/static/", "path": "static"}],
        "limits": [{"path": "/login", "rate": "5r/s"}, {"connections": 3}],
        "access": [{"path": "/admin", "allow": ["192.0.2.0/24"]}],
        "methods": ["GET"],
        "body_size": "1g",
        "websockets": True,
        "buffering": False,
        "proxy_headers": {"X-Extra": "yes"},
    }
    gunicorn = {"health": {"path": "/healthz"}, "timeout": 120, "instances": 2}
    shop = {**SHOP, "gunicorn": {"health": {"path": "/up"}}}
    blog = {**BLOG, "nginx": nginx, "gunicorn": gunicorn}
    [item] = derive_sites([shop, blog], "/srv")
    assert item["limits"] == [{"path": "/blog/login", "rate": "5r/s"}, {"path": "/blog", "connections": 3}]
    assert item["access"] == [
        {"path": "/blog", "methods": ["GET"]},
        {"path": "/blog/admin", "allow": ["192.0.2.0/24"]},
    ]
    assert item["access_log_skip"] == ["/up", "/blog/healthz"]
    text = text_of(shop, blog)
    inside = location(text, '^~ "/blog/"')
    for line in (
        "client_max_body_size 1g;",
        "proxy_read_timeout 120s;",
        "proxy_buffering off;",
        "proxy_set_header Upgrade $flaskops_upgrade;",
        'proxy_set_header X-Extra "yes";',
    ):
        assert line.replace('"yes"', "yes") in inside.replace('"yes"', "yes"), line
    assert 'alias "/srv/blog/current/app/static/";' in location(text, '^~ "/blog/static/"')
    assert "proxy_set_header Upgrade" not in text.replace(inside, "")


def test_files_that_only_the_application_may_read_are_left_to_it() -> None:
    blog = {**BLOG, "shared": ["uploads"], "nginx": {"static": [{"url": "/media/", "path": "uploads"}]}}
    assert "/media/" not in text_of(SHOP, blog)


def test_each_application_is_closed_by_itself() -> None:
    text = text_of(SHOP, {**BLOG, "gunicorn": {"health": {"path": "/healthz"}}})
    site, path = re.findall(r"if \(-f .*?rewrite \S+ \S+ last;", text, re.DOTALL)
    assert '-f "/srv/shop/maintenance/on"' in site
    assert "|/blog(?:/|$))" in site
    assert '-f "/srv/blog/maintenance/on"' in path
    assert 'rewrite "^(?=/blog(?:/|$))(?!' in path
    assert "|/blog/healthz$)" in path
    assert path.endswith('" /flaskops-maintenance/blog last;')
    assert 'alias "/srv/blog/maintenance/page.html";' in location(text, "= /flaskops-maintenance/blog.html")


def test_the_innermost_of_several_paths_counts() -> None:
    wiki = {**BLOG, "name": "wiki", "mount": {"site": "shop", "path": "/blog/wiki"}}
    text = text_of(SHOP, wiki, BLOG)
    assert 'X-Forwarded-Prefix "/blog/wiki";' in location(text, '^~ "/blog/wiki/"')
    gates = re.findall(r"if \(-f .*?rewrite \S+ \S+ last;", text, re.DOTALL)
    [outer] = [gate for gate in gates if "/srv/blog/" in gate]
    # nginx's longest prefix serves it, so only its own flag closes it.
    assert "|/blog/wiki(?:/|$))" in outer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mount": {"site": "none", "path": "/blog"}}, "mount.site 'none' is no application .* there are: 'shop'"),
        (
            {"mount": {"site": "blog", "path": "/blog"}},
            "mount.site 'blog' is no application of flask_apps with domains",
        ),
        ({"mount": {"site": "shop", "path": "/"}}, "mount.path must be below '/', such as /blog"),
        ({"mount": {"site": "shop", "path": "blog"}}, "mount.path 'blog' must be a URL path such as /blog"),
        ({"mount": {"site": "shop", "path": "/a/../b"}}, "mount.path '/a/../b' must be"),
        ({"mount": {"site": "shop", "path": "/a b"}}, "mount.path '/a b' must be"),
        ({"mount": {"site": "shop", "path": "//x"}}, "mount.path '//x' must be"),
        ({"mount": {"site": "shop", "path": "/$x"}}, "must be a URL path"),
        ({"domains": ["blog.test"]}, "app 'blog' has domains and mount: .* remove one of them"),
        ({"nginx": {"tls": {"certificate": "/c", "key": "/k"}}}, "nginx.tls concerns a whole site: set it for 'shop'"),
        ({"nginx": {"hsts": 60}}, "nginx.hsts concerns a whole site"),
        ({"trusted_hops": 2}, "trusted_hops is 2, and that of 'shop', .* is 1: set it to 1"),
    ],
)
def test_what_cannot_be_mounted_is_refused(changes: dict[str, t.Any], message: str) -> None:
    apps = [SHOP, {**BLOG, **changes}]
    with pytest.raises(DeriveError, match=message):
        derive_sites(apps, "/srv")
    assert any(re.search(message, fault) for fault in check_rules(apps, [], {}, "/srv"))


def test_two_applications_at_one_path_are_refused() -> None:
    wiki = {**BLOG, "name": "wiki", "mount": {"site": "shop", "path": "/blog"}}
    with pytest.raises(DeriveError, match="apps 'blog' and 'wiki' are both mounted at '/blog' of 'shop'"):
        derive_sites([SHOP, BLOG, wiki], "/srv")
    news = {**SHOP, "name": "news", "domains": ["news.test"]}
    elsewhere = {**wiki, "mount": {"site": "news", "path": "/blog"}}
    assert len(derive_sites([SHOP, BLOG, news, elsewhere], "/srv")) == 2


@pytest.mark.parametrize("place", [{"static": [{"url": "/blog/", "path": "x"}]}, {"locations": [{"path": "/blog/"}]}])
def test_a_path_that_the_site_answers_itself_is_refused(place: dict[str, t.Any]) -> None:
    with pytest.raises(InputError, match="path '/blog/' is listed twice"):
        text_of({**SHOP, "nginx": place}, BLOG)


def test_a_mounted_application_that_failed_does_not_take_away_the_site_and_the_other_way_round() -> None:
    apps = [SHOP, BLOG]
    good, bad = {"name": "shop", "error": ""}, {"name": "blog", "error": "no answer"}
    [item] = derive_sites(apps, "/srv", [good, bad])
    assert [mount["path"] for mount in item["mounts"]] == ["/blog"]
    assert derive_sites(apps, "/srv", [good]) == [item]
    # The site of one that failed is left as it is, with what is mounted there.
    assert derive_sites(apps, "/srv", [{**good, "error": "no answer"}, {**bad, "error": ""}]) == []


def test_the_release_believes_the_prefix_and_is_another_one() -> None:
    [_shop, blog] = parse_apps([SHOP, BLOG], "/srv")
    [alone] = parse_apps([{**BLOG, "mount": None, "domains": ["shop.test"]}], "/srv")
    assert "x_proto=1, x_host=1, x_prefix=1)" in blog.wsgi
    assert 'seen["prefix"] = environ.get("SCRIPT_NAME", "")' in blog.wsgi
    assert "prefix" not in alone.wsgi
    compile(blog.wsgi, "wsgi.py", "exec")
    assert identify(blog, "directory", "abc", "3.13") != identify(alone, "directory", "abc", "3.13")
    # As a visitor of that site would ask.
    health = Health.from_settings(blog.settings)
    assert (health.host, health.prefix) == ("shop.test", "/blog")
    assert Health.from_settings(alone.settings).prefix == ""


@pytest.mark.parametrize("key", ["environment", "secrets"])
def test_a_script_name_in_the_environment_is_refused(key: str) -> None:
    with pytest.raises(AppError, match="app 'blog': SCRIPT_NAME in its environment makes gunicorn refuse paths"):
        parse_apps([SHOP, {**BLOG, key: {"SCRIPT_NAME": "/blog"}}], "/srv")


def test_another_prefix_for_gunicorn_is_refused() -> None:
    with pytest.raises(AppError, match=r"gunicorn.prefix '/news' is not mount.path '/blog'"):
        parse_apps([SHOP, {**BLOG, "gunicorn": {"prefix": "/news"}}], "/srv")


def test_it_is_checked_through_the_site_with_a_forged_prefix() -> None:
    releases = [{"name": name, "path": f"/srv/{name}/releases/a"} for name in ("shop", "blog")]
    [_shop, service] = derive_services([SHOP, BLOG], releases)
    chain = ForwardedChain(**service["site"])
    assert (chain.current, chain.host, chain.path, chain.prefix) == (
        "/srv/blog/current",
        "shop.test",
        "/blog/",
        "/blog",
    )
    assert sites_of([SHOP, BLOG], "/srv", {})["blog"] == service["site"]
    assert forged_headers(chain, 1)["X-Forwarded-Prefix"] == "/forged"
    seen = {"address": "127.0.0.1", "scheme": "http", "host": "shop.test"}
    assert not find_wrong_headers(chain, 1, {**seen, "prefix": "/blog"})
    assert "its path (SCRIPT_NAME) was '/forged' and should be '/blog'" in find_wrong_headers(
        chain, 1, {**seen, "prefix": "/forged"}
    )
    auth = {"basic_auth": {"users": [{"name": "alice", "password": "secret"}]}}
    [_shop, service] = derive_services([{**SHOP, "nginx": auth}, BLOG], releases)
    assert service["site"]["path"] == f"/blog{PROBE}"
    assert f"0(?:/blog)?{PROBE}$".replace(".", "\\\\.") in text_of({**SHOP, "nginx": auth}, BLOG)


def test_a_site_that_changes_has_all_of_its_applications_checked() -> None:
    shop, blog = (ForwardedChain(f"/srv/{name}/current", "shop.test") for name in ("shop", "blog"))
    [config] = site_configs(derive_sites([SHOP, BLOG], "/srv"), {}, "1.26", catch_all=False)
    assert ForwardedChain(**config["chain"]) == shop
    assert [ForwardedChain(**chain) for chain in config["chains"]] == [replace(blog, path="/blog/", prefix="/blog")]
    checked = ArgumentSpecValidator(**ARGUMENTS).validate({"sites": [config]})
    assert not checked.error_messages


def test_its_health_path_needs_no_password_either() -> None:
    auth = {"basic_auth": {"users": [{"name": "alice", "password": "secret"}]}}
    healthy = {**BLOG, "gunicorn": {"health": {"path": "/up"}}}
    [item] = derive_sites([{**SHOP, "nginx": auth}, healthy], "/srv")
    assert item["basic_auth"]["open"] == ["/blog/up"]
    # Also where all sites ask for one.
    [item] = derive_sites([SHOP, healthy], "/srv", None, auth)
    assert item["basic_auth"]["open"] == ["/blog/up"]
    [item] = derive_sites([{**SHOP, "nginx": {"basic_auth": {}}}, healthy], "/srv", None, auth)
    assert not item["basic_auth"]
    encoded = {**BLOG, "gunicorn": {"health": {"path": "/%C3%BCp"}}}
    [item] = derive_sites([{**SHOP, "nginx": auth}, encoded], "/srv")
    assert item["basic_auth"]["open"] == ["/blog/üp"]
    unnamed = {**BLOG, "gunicorn": {"health": {"path": "//up"}}}
    [item] = derive_sites([{**SHOP, "nginx": auth}, unnamed], "/srv")
    assert "open" not in item["basic_auth"]


def test_the_summary_names_its_address() -> None:
    assert address_of(BLOG, "/srv", {}, [SHOP, BLOG]) == "http://shop.test/blog/"
    assert address_of(SHOP, "/srv", {}, [SHOP, BLOG]) == "http://shop.test/"


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ({"path": "/", "upstream": "10.0.0.1:80"}, "mounts: path '/' must be below '/'"),
        ({"path": "/.well-known/x", "upstream": "10.0.0.1:80"}, "not one that nginx itself answers"),
        ({"path": "/blog"}, "mounts: path '/blog' leads nowhere: set upstream"),
        ({"path": "/blog", "upstream": "10.0.0.1:80", "tls": {}}, "unknown key 'tls'"),
    ],
)
def test_a_mount_of_any_site_is_checked(mount: dict[str, t.Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_site({"name": "shop", "domains": ["shop.test"], "mounts": [mount]}, {})


@pytest.mark.parametrize("key", ["content", "template"])
def test_a_site_with_a_configuration_of_its_own_has_nothing_mounted(key: str) -> None:
    with pytest.raises(InputError, match="mounts: path '/blog' leads nowhere, because content or template"):
        text_of({**SHOP, "nginx": {key: "x"}}, BLOG)


@pytest.mark.parametrize("proxied", [{}, {"trusted_proxies": ["10.0.0.0/8"]}, {"behind_proxy": True}])
def test_a_prefix_without_a_mount_is_said_by_nginx_and_nobody_else(proxied: dict[str, t.Any]) -> None:
    text = text_of({**SHOP, "gunicorn": {"prefix": "/outer/"}, "nginx": proxied})
    assert set(re.findall("X-Forwarded-Prefix (.*);", text)) == {'"/outer"'}


OWN: dict[str, t.Any] = {
    "cache": {"valid": 10, "paths": ["/news"], "bypass": ["/news/live"]},
    "locations": [
        {"path": "/", "body_size": "5m", "config": "add_header X-A b;"},
        {"path": "= /robots.txt", "config": "return 200 x;"},
        {"path": "/up/", "body_size": "1g", "buffering": False, "read_timeout": 90},
        {"path": "~ ^/api/v[0-9]+/", "config": "return 404;"},
        {"path": "/ws/", "websockets": True},
        {"path": "/other/", "upstream": ["127.0.0.1:9"]},
    ],
}


def test_locations_of_its_own_are_below_the_path_and_get_the_rest_of_it() -> None:
    text = text_of(SHOP, {**BLOG, "nginx": OWN, "gunicorn": {"health": {"path": "/healthz"}}})
    whole = location(text, '^~ "/blog/"')
    assert whole.index("proxy_pass http://flaskops.mount0.shop/;") < whole.index("add_header X-A b;")
    assert "client_max_body_size 5m;" in whole
    found = dict(re.findall(r"\n        location (.*?) {\n(.*?)\n        }", whole, re.DOTALL))
    assert list(found) == [
        '= "/blog/robots.txt"',
        '"/blog/up/"',
        '~ "^/blog/api/v[0-9]+/"',
        '"/blog/ws/"',
        '"/blog/other/"',
    ]
    up, ws, other = found['"/blog/up/"'], found['"/blog/ws/"'], found['"/blog/other/"']
    # The application there gets the path without what is in front of it; nothing of the outer location is lost.
    assert "proxy_pass http://flaskops.mount0.shop/up/;" in up and "proxy_set_header" not in up
    assert "client_max_body_size 1g;" in up and "proxy_read_timeout 90s;" in up and "proxy_buffering off;" in up
    assert 'proxy_set_header X-Forwarded-Prefix "/blog";' in ws and "proxy_set_header Upgrade $flaskops_upgrade;" in ws
    assert "proxy_pass http://flaskops.mount0.5.shop/other/;" in other
    assert "upstream flaskops.mount0.5.shop {\n    server 127.0.0.1:9;" in text
    assert all("rewrite" not in body for body in found.values())
    # What is streamed, or private, is not kept.
    assert ["proxy_cache off;" in body for body in (up, ws, other)] == [True, False, True]


def test_answers_of_its_own_are_kept_by_themselves() -> None:
    cache = {"nginx": {"cache": {"valid": 5}}}
    deeper = {**BLOG, "name": "deep", "mount": {"site": "shop", "path": "/blog/deep"}, "nginx": {"cache": {"valid": 1}}}
    other = {**BLOG, "name": "wiki", "mount": {"site": "shop", "path": "/wiki"}}
    text = text_of({**SHOP, **cache}, {**BLOG, "nginx": OWN, "gunicorn": {"health": {"path": "/up"}}}, deeper, other)
    for directory in ("shop", "shop@blog", "shop@blog@deep"):
        zone = f"flaskops-answers-{directory}"
        assert f'proxy_cache_path "/var/cache/{zone}" levels=1:2 keys_zone={zone}:' in text
    lines = re.search(r'map "\$flaskops_dots\$uri" \$flaskops_shop_cache {\n(.*?)}', text, re.DOTALL)
    assert lines and [line.strip() for line in lines.group(1).splitlines()[1:]] == [
        '"~^0/blog/deep(?:/|$)" "flaskops-answers-shop@blog@deep";',
        '"~^0/blog/deep(?:/|$)" off;',
        '"~^0/blog/news/live(?:/|$)" off;',
        '"~^0/blog/up(?:/|$)" off;',
        '"~^0/blog/news(?:/|$)" "flaskops-answers-shop@blog";',
        '"~^0/blog(?:/|$)" off;',
        '"~^0/wiki(?:/|$)" off;',
        '"~^0(?:/|$)" "flaskops-answers-shop";',
    ]
    assert "proxy_cache " not in location(text, '^~ "/wiki/"')
    key = re.search('proxy_cache_key "(.*)";', location(text, '^~ "/blog/deep/"'))
    assert key and "$flaskops_root" in key.group(1)
    assert "proxy_cache_valid 200 1s;" in location(text, '^~ "/blog/deep/"')


@pytest.mark.parametrize(
    ("nginx", "message"),
    [
        ({"locations": [{"path": "@x"}]}, "belongs to the locations of the site"),
        ({"locations": [{"path": "~ ^/a"}]}, "cannot be passed on without the path"),
        ({"locations": [{"path": "/a b/"}]}, "cannot be passed on without the path"),
        ({"locations": [{"path": "/a/"}, {"path": "/a/"}]}, "path '/blog/a/' is listed twice"),
        ({"locations": [{"path": "/s/"}], "static": [{"url": "/s/", "path": "s"}]}, "'/blog/s/' is listed twice"),
        ({"cache": {"valid": 1}, "buffering": False}, "path '/blog': cache needs buffering"),
        (
            {"limits": [{"path": "/a", "rate": "1r/s"}], "locations": [{"path": "/a", "config": "return 200;"}]},
            "limits",
        ),
    ],
)
def test_what_cannot_be_below_a_path_is_refused(nginx: dict[str, t.Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        text_of(SHOP, {**BLOG, "nginx": nginx})


def test_an_expression_that_begins_twice_is_refused() -> None:
    nginx = {"locations": [{"path": "~ ^/a|^/b", "config": "return 404;"}]}
    with pytest.raises(DeriveError, match="put what may follow into brackets"):
        text_of(SHOP, {**BLOG, "nginx": nginx})
    for place in ("~ ^/[^/]+/x", "~* \\.php$", "~ /a\\^b"):
        nginx = {"locations": [{"path": place, "config": "return 404;"}]}
        assert f"location {place.partition(' ')[0]} " in text_of(SHOP, {**BLOG, "nginx": nginx})


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ({"locations": [{"path": "/x/"}]}, "locations: path '/x/' is not below it: write '/blog/...'"),
        ({"cache": {"valid": 1, "paths": ["/x"]}}, "cache: '/x' is not below it"),
        ({"cache": {"valid": 1, "bypass": ["/bloggers"]}}, "cache: '/bloggers' is not below it"),
    ],
)
def test_a_mount_of_a_site_is_written_with_the_whole_path(mount: dict[str, t.Any], message: str) -> None:
    item = {
        "name": "shop",
        "domains": ["shop.test"],
        "mounts": [{"path": "/blog", "upstream": ["127.0.0.1:1"], **mount}],
    }
    with pytest.raises(InputError, match=re.escape(message)):
        parse_site(item, {})


def asking(name: str, **more: object) -> dict[str, t.Any]:
    return {
        "nginx": {"basic_auth": {"users": [{"name": name, "password": f"secret of {name}"}], "realm": name, **more}}
    }


def asked(text: str, what: str) -> dict[str, str]:
    """Return a map of the site, by what it compares."""
    found = re.search(rf"map \S+ \$flaskops_shop_{what} {{\n(.*?)}}", text, re.DOTALL)
    assert found, what
    lines = (line.strip().rstrip(";").rpartition(" ") for line in found.group(1).splitlines())
    return {place: value for place, _blank, value in lines if value}


def test_passwords_of_its_own_are_asked_for_below_the_path_only() -> None:
    wiki = {**BLOG, "name": "wiki", "mount": {"site": "shop", "path": "/blog/wiki"}}
    chat = {**BLOG, "name": "chat", "mount": {"site": "shop", "path": "/chat"}, "nginx": {"basic_auth": {}}}
    blog = {**BLOG, **asking("bob", paths=["/admin"], allow=["10.0.0.0/8"]), "gunicorn": {"health": {"path": "/up"}}}
    text = text_of({**SHOP, **asking("ann")}, blog, wiki, chat)
    assert "auth_basic $flaskops_shop_asked;" in text and "auth_basic_user_file $flaskops_shop_users;" in text
    files = "/etc/nginx/flaskops-passwords/shop"
    assert asked(text, "asked") == {
        "default": "$flaskops_shop_realm",
        '"~^[01]/blog/wiki(?:/|$)"': "$flaskops_shop_realm",
        '"~^[01]/blog(?:/|$)"': "$flaskops_shop_realm0",
        '"~^[01]/chat(?:/|$)"': "off",
    }
    assert list(asked(text, "users").values()) == [f'"{files}"', f'"{files}"', f'"{files}@blog"', '""']
    rules = re.search(r'map "([^"]*)" \$flaskops_shop_realm0 {\n(.*?)}', text, re.DOTALL)
    assert rules and "$flaskops_shop_known0" in rules.group(1)
    assert '"~^[^ ]* 0/blog/up(?:/|$)" off;' in rules.group(2)
    assert '"~^[^ ]* (?:1|0/blog/admin(?:/|$))" "bob";' in rules.group(2)


def test_without_a_password_at_the_domain_others_are_not_asked() -> None:
    text = text_of(SHOP, {**BLOG, **asking("bob")})
    assert asked(text, "asked") == {"default": "off", '"~^[01]/blog(?:/|$)"': "$flaskops_shop_realm0"}
    assert "auth_basic off;" in location(text, "^~ /flaskops-error.")
    # nginx answers a CA itself where visitors are asked for something.
    assert "location ^~ /.well-known/acme-challenge/" in text


def test_each_application_has_a_file_with_its_passwords() -> None:
    apps = [{**SHOP, **asking("ann")}, {**BLOG, **asking("ann"), "mount": {"site": "shop", "path": "/a/b"}}]
    config = next(one for one in site_configs(derive_sites(apps, "/srv"), {}, "1.26", True) if one["name"] == "shop")
    (further,) = config["further_passwords"]
    assert further["place"] == "@a@b"
    # Equal passwords are not told by equal hashes.
    assert further["passwords"].startswith("ann:$6$") and further["passwords"] != config["passwords"]
    assert "secret" not in repr(config)


def test_forged_headers_are_tried_where_no_password_is_asked_for() -> None:
    for nginx, path in (({}, "/blog/"), (asking("bob"), f"/blog{PROBE}"), (asking("bob", paths=["/x"]), "/blog/")):
        [site] = derive_sites([SHOP, {**BLOG, **nginx}], "/srv")
        assert [each["path"] for each in site_configs([site], {}, "1.26", False)[0]["chains"]] == [path]
    [site] = derive_sites([{**SHOP, **asking("ann")}, {**BLOG, "nginx": {"basic_auth": {}}}], "/srv")
    assert [each["path"] for each in site_configs([site], {}, "1.26", False)[0]["chains"]] == ["/blog/"]


@pytest.mark.parametrize(
    ("nginx", "message"),
    [
        (asking("bob", open=["/"])["nginx"], "open has '/blog', so that nothing needs a password"),
        ({**asking("bob")["nginx"], "locations": [{"path": "/x", "config": "return 200 x;"}]}, "before nginx asks"),
        (asking("bob", allow=["10.0.0.0/8"])["nginx"], "basic_auth: allow need trusted_proxies"),
    ],
)
def test_passwords_that_would_not_protect_are_refused(nginx: dict[str, t.Any], message: str) -> None:
    shop = {**SHOP, "nginx": {"behind_proxy": True}} if "allow" in nginx["basic_auth"] else SHOP
    with pytest.raises(InputError, match=re.escape(message)):
        text_of(shop, {**BLOG, "nginx": nginx, "trusted_hops": 0})
