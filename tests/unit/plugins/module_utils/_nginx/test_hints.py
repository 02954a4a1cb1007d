# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx refuses is explained with the site and the variable of the role."""

from __future__ import annotations

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.checks import ServerBlock
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.hints import (
    CERTIFICATE,
    KEY,
    Used,
    bucket_size,
    byte_order_marks,
    misplaced,
    missing_files,
    missing_http3,
    missing_ipv6,
    small_hashes,
    unknown_variables,
    unread_shared_file,
    unusable_files,
)

SHOP = ServerBlock("/etc/nginx/sites-enabled/shop", 3, (), ("shop.test",), (), False)
THEIRS = ServerBlock("/etc/nginx/conf.d/theirs.conf", 7, (), ("theirs.test",), (), False)
SITES = {SHOP.file: "shop"}
USED = [
    Used(CERTIFICATE, "/etc/ssl/shop.pem", SHOP),
    Used(KEY, "/etc/ssl/shop.key", SHOP),
    Used(CERTIFICATE, "/etc/ssl/theirs.pem", THEIRS),
    Used(CERTIFICATE, "/etc/ssl/$ssl_server_name.pem", THEIRS),
]
# As nginx 1.26 with OpenSSL 3.5 and 3.0 says it.
ASKED = (
    '[emerg] cannot load certificate key "/etc/ssl/shop.key": PEM_read_bio_PrivateKey() failed (SSL: error:1400006B:UI '
    "routines::processing error:while reading strings error:0480006D:PEM routines::problems getting password)"
)
DOES_NOT_FIT = (
    '[emerg] cannot load certificate key "/etc/ssl/shop.key": PEM_read_bio_PrivateKey() failed (SSL: error:1C800064:'
    "Provider routines::bad decrypt error:11800074:PKCS12 routines::pkcs12 cipherfinal error:maybe wrong password)"
)


def test_each_missing_file_is_named_with_its_site_and_its_variable() -> None:
    found = missing_files(USED, lambda path: path == "/etc/ssl/theirs.pem", SITES)
    assert len(found) == 2
    assert found[0].startswith("site 'shop': certificate /etc/ssl/shop.pem does not exist on this host")
    assert "nginx_sites[].tls.certificate" in found[0]
    assert "flask_apps[].nginx.tls.certificate" in found[0]
    assert "site 'shop': key /etc/ssl/shop.key does not exist" in found[1]
    assert "nginx_sites[].tls.key" in found[1]
    assert missing_files(USED, lambda _path: True, SITES) == []


def test_a_missing_file_of_others_is_named_with_its_place() -> None:
    (found,) = missing_files(USED[2:], lambda _path: False, SITES)
    assert found.startswith("certificate /etc/ssl/theirs.pem, used in /etc/nginx/conf.d/theirs.conf:7, does not exist")


@pytest.mark.parametrize("output", [ASKED, DOES_NOT_FIT])
def test_a_key_with_a_passphrase_names_both_ways_out(output: str) -> None:
    (found,) = unusable_files(output, USED, SITES)
    assert found.startswith("site 'shop': key /etc/ssl/shop.key has a passphrase")
    assert "openssl pkey -in /etc/ssl/shop.key" in found
    assert "nginx_sites[].tls.key" in found
    assert "ssl_password_file" in found
    assert "flask_apps[].nginx.config" in found


def test_a_file_in_another_format_is_told() -> None:
    pem = 'cannot load certificate "/etc/ssl/shop.pem": PEM_read_bio_X509_AUX() failed (SSL: error:0480006C:PEM '
    (found,) = unusable_files(pem + "routines::no start line:Expecting: TRUSTED CERTIFICATE)", USED, SITES)
    assert found.startswith("site 'shop': certificate /etc/ssl/shop.pem is no certificate in PEM format")
    assert unusable_files('unknown directive "x" in /etc/nginx/sites-enabled/shop:4', USED, SITES) == []


def test_a_long_host_name_names_the_variable_and_a_size_that_is_enough() -> None:
    said = "[emerg] could not build server_names_hash, you should increase server_names_hash_bucket_size: 64"
    long = "a" * 60 + "." + "b" * 25 + ".test"
    (found,) = small_hashes(said, ["short.test", long])
    assert f"'{long}'" in found
    assert "nginx_http_config of role nginx to 'server_names_hash_bucket_size 128;'" in found
    (other,) = small_hashes("could not build map_hash, you should increase map_hash_bucket_size: 64", ["x.test"])
    assert "'map_hash_bucket_size 128;'" in other
    assert "x.test" not in other


@pytest.mark.parametrize(("length", "expected"), [(10, 128), (91, 128), (110, 128), (111, 256), (253, 512)])
def test_buckets_are_large_enough(length: int, expected: int) -> None:
    assert bucket_size(length, 64) == expected


def test_an_nginx_without_http3_is_explained() -> None:
    (found,) = missing_http3('nginx: [emerg] the "quic" parameter requires ngx_http_v3_module in /x:4')
    assert "set http3 to false (nginx_sites[].http3, or flask_apps[].nginx.http3)" in found
    assert missing_http3('nginx: [emerg] unknown directive "quic" in /x:4') == []


def test_the_lines_with_a_variable_that_nothing_defines_are_named() -> None:
    """The error of nginx names no file: it looks for variables when it has read them all."""
    texts = {
        "/n/a": '# $hots\nmap $hots_b $c {\n}\nproxy_set_header X-A "$hots"; # $hots\nadd_header X-B ${hots}x;',
        "/n/b": "a\u2028b;\nreturn 200 $host$hots;",
    }
    (found,) = unknown_variables('[emerg] unknown "hots" variable', texts)
    assert found.endswith("used in /n/a:4 and /n/a:5 and /n/b:2")
    assert unknown_variables('[emerg] unknown "other" variable', texts) == []
    assert unknown_variables('[emerg] unknown directive "hots"', texts) == []


@pytest.mark.parametrize(
    "said", ['[emerg] unknown "flaskops_nosniff" variable', '[emerg] unknown log format "flaskops_json" in /n/a:3']
)
def test_what_the_shared_file_defines_names_the_setting_of_its_place(said: str) -> None:
    (found,) = unread_shared_file(said)
    assert found.startswith("flaskops_") and "set nginx_shared_file of role nginx" in found
    # A task of nginx_site alone, with what the filter nginx_site_configs returns.
    assert "a task of your own comes after role nginx, which writes that file" in found
    assert unread_shared_file(said.replace("flaskops", "other")) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("map", "'map' belongs into http, outside of server: write it in nginx_http_config of role nginx"),
        ("upstream", "'upstream' belongs into http"),
        ("stream", "'stream' belongs outside of http, where no site is: write it in nginx's main file"),
    ],
)
def test_a_directive_at_the_wrong_level_is_told_its_place(name: str, said: str) -> None:
    output = f'[emerg] "{name}" directive is not allowed here in /n/a:'
    (found,) = misplaced(f"{output}4\n{output}5")
    assert found.startswith(said)
    assert misplaced('[emerg] "proxy_pass" directive is not allowed here in /n/a:4') == []


def test_what_cannot_be_seen_is_named() -> None:
    assert len(byte_order_marks('[emerg] unknown directive "\ufeffreturn" in /n/a:4')) == 1
    assert byte_order_marks('[emerg] unknown directive "return" in /n/a:4') == []


def test_a_host_without_ipv6_is_told_of_the_setting_that_holds_for_all_sites() -> None:
    said = "[emerg] socket() [::]:80 failed (97: Address family not supported by protocol)"
    (found,) = missing_ipv6(f"{said}\n{said.replace('80', '443')}")
    assert found.startswith("this host has no IPv6, and [::]:80 needs it: set 'ipv6: false' in nginx_site_defaults")
    assert missing_ipv6("[emerg] bind() to [::]:80 failed (98: Address already in use)") == []
    (found,) = missing_ipv6("[emerg] bind() to [::1]:8181 failed (99: Cannot assign requested address)")
    assert found.startswith("this host has no IPv6, and [::1]:8181 needs it: set 'ipv6: false'")
    assert missing_ipv6("[emerg] bind() to [2001:db8::1]:80 failed (99: Cannot assign requested address)") == []
