# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a CA on the host, from the first to the last: the tests are one story, in the order of this file."""

from __future__ import annotations

import json
import typing as t

import pytest
from testinfra.host import Host

from tools.molecule.protocols import Eventually, Shell, Visit

Obtain = t.Callable[..., dict[str, t.Any]]
Serial = t.Callable[[str], str]
Renew = t.Callable[[str], int]

SHOP = {"name": "shop", "names": ["shop.test", "www.shop.test"]}
BLOG = {"name": "blog", "names": ["blog.test"]}
USUAL: dict[str, t.Any] = {
    "certificates": [SHOP, BLOG],
    "state": "present",
    "revoke": False,
    "directory_url": "https://localhost:14000/dir",
    "email": "ops@shop.test",
    "ca_bundle": "/etc/pebble/ca.pem",
    "eab_file": None,
    "challenge": "http",
    "dns_hook": None,
    "profile": "",
    "renew_before": "",
    "check_names": True,
    "directory_enabled": None,
    "suffix": None,
}
# With the code that the role has left on the host, as the action plugin calls it.
CALL = """
import glob, json, os, sys
sys.path.insert(0, max(glob.glob("/usr/local/lib/flaskops/code/*"), key=os.path.getmtime))
from flaskops_code._entrypoints.nginx_certificate import run
print(json.dumps(run(json.loads(sys.argv[1]), False)))
"""
LIVE = "/etc/letsencrypt/live"
LOADED = "journalctl --no-pager --output cat --identifier flaskops-certificates"


@pytest.fixture
def obtain(host: Host) -> Obtain:
    """Call module nginx_certificate, with some options of its own."""

    def call(*certificates: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
        wanted = {**USUAL, **({"certificates": certificates} if certificates else {}), **options}
        done = host.run("python3 -c %s %s", CALL, json.dumps(wanted))
        assert done.rc == 0, done.stderr
        return t.cast("dict[str, t.Any]", json.loads(done.stdout))

    return call


@pytest.fixture
def root(sh: Shell) -> str:
    """Return a file with the root of the CA, which makes another one at each start."""
    sh("curl -sf --cacert /etc/pebble/ca.pem https://localhost:15000/roots/0 > /etc/pebble/root.pem")
    return "/etc/pebble/root.pem"


@pytest.fixture
def serial(sh: Shell) -> Serial:
    """Return the serial number of the certificate that visitors of a name get."""
    return lambda name: sh(
        f"openssl s_client -connect 127.0.0.1:443 -servername {name} </dev/null 2>/dev/null"
        " | openssl x509 -noout -serial"
    )


@pytest.fixture
def renew(sh: Shell, host: Host) -> Renew:
    """Make a certificate due, let certbot's timer do its work, and return the exit status."""

    def do(name: str) -> int:
        settings = f"/etc/letsencrypt/renewal/{name}.conf"
        before = sh(f"readlink {LIVE}/{name}/cert.pem")
        # certbot gives up a certificate when the CA has refused two nonces in a row.
        for _attempt in range(4):
            sh(f"sed -i 's/^renew_before_expiry.*/renew_before_expiry = 9000 hours/' {settings}")
            status = int(host.run("systemctl start certbot.service").rc)
            sh(f"sed -i 's/^renew_before_expiry.*/renew_before_expiry = 719 hours/' {settings}")
            if sh(f"readlink {LIVE}/{name}/cert.pem") != before:
                break
        else:
            raise AssertionError(f"certbot has not renewed {name}")
        return status

    return do


def states(result: dict[str, t.Any]) -> dict[str, str]:
    return {one["name"]: one["state"] for one in result["certificates"]}


def test_two_sites_with_three_names_are_served_by_the_ca(visit: Visit, root: str) -> None:
    for name in ("shop.test", "www.shop.test", "blog.test"):
        assert visit(name, ca_file=root).status == 204
        assert visit(name).status in (301, 308)


def test_a_second_run_asks_nobody(obtain: Obtain, sh: Shell) -> None:
    before = sh("wc -c < /var/log/letsencrypt/letsencrypt.log")
    result = obtain()
    assert (states(result), result["changed"], result["warnings"]) == ({"shop": "kept", "blog": "kept"}, False, [])
    assert sh("wc -c < /var/log/letsencrypt/letsencrypt.log") == before


def test_certbot_renews_and_nginx_serves_what_it_has_got(renew: Renew, serial: Serial, sh: Shell) -> None:
    shop, blog = serial("shop.test"), serial("blog.test")
    assert renew("shop") == 0
    assert serial("shop.test") != shop and serial("blog.test") == blog
    assert "shop: nginx serves the renewed certificate" in sh(LOADED)


def test_what_nginx_refuses_is_not_loaded_and_the_service_fails(
    renew: Renew, serial: Serial, sh: Shell, host: Host
) -> None:
    before = serial("blog.test")
    sh("echo 'server { nonsense on; }' > /etc/nginx/sites-enabled/zz")
    try:
        assert renew("blog") != 0
        assert sh("systemctl is-failed certbot.service") == "failed"
        assert "blog: the renewed certificate was not loaded" in sh(LOADED)
    finally:
        sh("rm /etc/nginx/sites-enabled/zz")
    # nginx would begin with the certificate that it has, and not with that of certbot.
    sh("systemctl restart nginx.service")
    assert serial("blog.test") == before
    assert host.run("systemctl start certbot.service").rc == 0
    assert serial("blog.test") != before


def test_a_refusal_of_the_ca_names_domain_type_and_detail_and_the_others_go_on(obtain: Obtain) -> None:
    result = obtain({"name": "bad", "names": ["blocked.test"]}, {"name": "late", "names": ["late.test"]}, SHOP)
    assert states(result) == {"bad": "failed", "late": "issued", "shop": "kept"}
    assert "bad: the CA has given no certificate: blocked.test: rejectedIdentifier:" in result["msg"]
    assert states(obtain({"name": "late"}, state="absent")) == {"late": "absent"}


def test_a_name_that_leads_elsewhere_is_not_asked_for(obtain: Obtain, sh: Shell) -> None:
    sh("echo '192.0.2.1 away.test' >> /etc/hosts")
    result = obtain({"name": "away", "names": ["away.test"]}, {"name": "none", "names": ["none.invalid"]})
    assert states(result) == {"away": "failed", "none": "failed"}
    assert "away.test leads to 192.0.2.1, which does not answer" in result["msg"]
    assert "none.invalid has no address" in result["msg"]


def test_a_good_certificate_stays_while_the_ca_is_down(obtain: Obtain, sh: Shell, serial: Serial) -> None:
    before = serial("shop.test")
    sh("systemctl stop pebble-port.service")
    # Another CA's directory would do; here the names change, so that something is due.
    result = obtain({"name": "shop", "names": ["shop.test"]})
    assert states(result) == {"shop": "kept"} and "failed" not in result
    assert "shop: the CA https://localhost:14000/dir cannot be reached" in result["warnings"][0]
    assert states(obtain({"name": "new", "names": ["late.test"]})) == {"new": "failed"}
    assert serial("shop.test") == before


def test_a_renewal_fails_while_the_ca_is_down_and_the_next_one_brings_it(
    sh: Shell, host: Host, serial: Serial, renew: Renew
) -> None:
    before, settings = serial("blog.test"), "/etc/letsencrypt/renewal/blog.conf"
    sh("systemctl stop pebble-port.service")
    sh(f"sed -i 's/^renew_before_expiry.*/renew_before_expiry = 9000 hours/' {settings}")
    assert host.run("systemctl start certbot.service").rc != 0
    sh(f"sed -i 's/^renew_before_expiry.*/renew_before_expiry = 719 hours/' {settings}")
    assert serial("blog.test") == before
    sh("systemctl start pebble-port.service")
    assert renew("blog") == 0
    assert serial("blog.test") != before


def test_a_lost_account_is_named_with_the_way_out(
    obtain: Obtain, sh: Shell, eventually: Eventually, host: Host
) -> None:
    # It keeps accounts in its memory: it has forgotten ours.
    sh("systemctl restart pebble.service")
    eventually(lambda: host.run("curl -sf --cacert /etc/pebble/ca.pem https://localhost:14000/dir").rc == 0, 20)
    late = {"name": "late", "names": ["late.test"]}
    result = obtain(late)
    assert "accountDoesNotExist" in result["msg"]
    assert "Move /etc/letsencrypt/accounts/localhost:14000/dir away and run this again" in result["msg"]
    sh("mv /etc/letsencrypt/accounts/localhost:14000/dir /root/lost-account")
    result = obtain(late, SHOP, BLOG)
    assert states(result) == {"late": "issued", "shop": "issued", "blog": "issued"}
    assert obtain()["changed"] is False


def test_a_wildcard_is_issued_by_dns(obtain: Obtain, sh: Shell) -> None:
    wild = {"name": "wild", "names": ["wild.test", "*.wild.test"]}
    assert "only by the challenge dns" in obtain(wild)["msg"]
    options = {"challenge": "dns", "dns_hook": "/usr/local/sbin/set-record"}
    assert states(obtain(wild, **options)) == {"wild": "issued"}
    assert obtain(wild, **options)["changed"] is False
    assert "DNS:*.wild.test" in sh(f"openssl x509 -noout -ext subjectAltName -in {LIVE}/wild/cert.pem")


def test_a_certificate_is_revoked_and_forgotten(obtain: Obtain, sh: Shell, host: Host) -> None:
    number = sh(f"openssl x509 -noout -serial -in {LIVE}/wild/cert.pem").partition("=")[2].lower()
    assert states(obtain({"name": "wild"}, state="absent", revoke=True)) == {"wild": "absent"}
    status = sh(f"curl -sf --cacert /etc/pebble/ca.pem https://localhost:15000/cert-status-by-serial/{number}")
    assert json.loads(status)["Status"] == "Revoked"
    assert not host.file(f"{LIVE}/wild").exists and not host.file("/etc/flaskops/tls/wild").exists


def test_a_site_whose_certificate_is_revoked_goes_on_and_gets_another_one(
    obtain: Obtain, visit: Visit, root: str, serial: Serial
) -> None:
    before = serial("shop.test")
    obtain({"name": "shop"}, state="absent", revoke=True)
    assert "CERTIFICATE_VERIFY_FAILED" in visit("shop.test", ca_file=root).error
    assert states(obtain(SHOP)) == {"shop": "issued"}
    assert visit("shop.test", ca_file=root).status == 204 and serial("shop.test") != before


def test_keys_are_for_root_alone(sh: Shell) -> None:
    assert sh("find /etc/flaskops/tls /etc/letsencrypt/archive -name 'privkey*' -perm /077") == ""
