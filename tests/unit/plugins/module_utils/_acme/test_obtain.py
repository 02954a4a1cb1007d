# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of nginx_certificate: look, ask, accept, serve; and what becomes of what fails."""

from __future__ import annotations

import os
import shutil
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._acme.ask import ask_all
from ansible_collections.flaskops.stack.plugins.module_utils._acme.attempts import Attempt, Attempts
from ansible_collections.flaskops.stack.plugins.module_utils._acme.lifetime import RenewBefore
from ansible_collections.flaskops.stack.plugins.module_utils._acme.lineage import Lineage, read_lineage
from ansible_collections.flaskops.stack.plugins.module_utils._acme.model import Authority, WantedCertificate
from ansible_collections.flaskops.stack.plugins.module_utils._acme.obtain import obtain, remove
from ansible_collections.flaskops.stack.plugins.module_utils._acme.site import Site
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import PRODUCTION, STAGING
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_certbot import (
    DAY,
    Lab,
    certificate,
    problem,
)

SHOP, BLOG = WantedCertificate("shop", ("shop.test", "www.shop.test")), WantedCertificate("blog", ("blog.test",))
ASKED = Authority(email="a@shop.test")


@pytest.fixture(name="lab")
def make_lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    lab.site("shop", *SHOP.names)
    lab.site("blog", *BLOG.names)
    return lab


def run(lab: Lab, *wanted: WantedCertificate, authority: Authority = ASKED, **options: bool) -> dict[str, t.Any]:
    given = {"check": False, "diff": False, **options}
    return obtain(lab.where, wanted or (SHOP, BLOG), authority, given["check"], given["diff"])


def states(result: dict[str, t.Any]) -> dict[str, str]:
    return {one["name"]: one["state"] for one in result["certificates"]}


def calls(lab: Lab) -> int:
    return len(lab.certbot.asked)


def test_all_that_is_missing_is_issued_and_served_with_one_reload(lab: Lab) -> None:
    result = run(lab, diff=True)
    assert (states(result), result["changed"], result["warnings"]) == ({"shop": "issued", "blog": "issued"}, True, [])
    assert (calls(lab), lab.nginx.nginx.reloads) == (2, 1)
    assert lab.current("shop").startswith("issued-") and "failed" not in result
    key = Path(lab.places.current("shop")) / "privkey.pem"
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("key 1\n", 0o600)
    assert result["diff"][0]["after"] == "for shop.test, www.shop.test: there is none yet\n"
    assert result["certificates"][0]["not_after"] == "2027-04-15 08:16 UTC"


def test_a_second_run_asks_nobody_and_changes_nothing(lab: Lab) -> None:
    run(lab)
    lab.nginx.asked.clear()
    result = run(lab)
    assert (states(result), result["changed"]) == ({"shop": "kept", "blog": "kept"}, False)
    assert (calls(lab), lab.nginx.nginx.reloads, lab.nginx.asked, len(lab.trusted)) == (2, 1, [], 1)


def test_check_mode_says_what_is_due_and_asks_nobody(lab: Lab) -> None:
    result = run(lab, check=True, diff=True)
    assert (states(result), result["changed"], calls(lab)) == ({"shop": "stand_in", "blog": "stand_in"}, True, 0)
    assert not os.path.exists(lab.places.hook) and lab.network.asked == []
    run(lab)
    assert run(lab, check=True)["changed"] is False


def test_certbot_is_told_to_renew_when_we_would(lab: Lab) -> None:
    run(lab, SHOP)
    path = Path(lab.places.settings("shop"))
    assert path.read_text().startswith("renew_before_expiry = 720 hours\nversion")
    assert run(lab, SHOP, authority=replace(ASKED, renew_before=RenewBefore(seconds=3600)))["changed"] is True
    assert path.read_text().count("renew_before_expiry") == 1 and "= 1 hours" in path.read_text()


@pytest.mark.parametrize(
    "line", ["renew_before_expiry=60 days\n", "  renew_before_expiry = 60 days\n", "renew_before_expiry = 60 days"]
)
def test_an_interval_that_was_written_by_hand_stands_nowhere_twice(lab: Lab, line: str) -> None:
    run(lab, SHOP)
    path = Path(lab.places.settings("shop"))
    text = path.read_text().replace("renew_before_expiry = 720 hours\n", "")
    # certbot refuses a file that has a key twice.
    path.write_text(text + line if line[-1] != "\n" else line + text)
    path.chmod(0o600)
    assert run(lab, SHOP)["changed"] is True
    assert path.read_text().count("renew_before_expiry") == 1 and path.stat().st_mode & 0o777 == 0o600
    assert run(lab, SHOP)["changed"] is False


@pytest.mark.parametrize(
    "hook", ["renew_hook=HOOK", "renew_hook = 'HOOK'", 'renew_hook = "HOOK"', "renew_hook  = HOOK # ours"]
)
def test_settings_that_were_edited_by_hand_say_the_same(lab: Lab, hook: str) -> None:
    run(lab, SHOP)
    path = Path(lab.places.settings("shop"))
    text = path.read_text()
    path.write_text(text.replace(f"renew_hook = {lab.places.hook}", hook.replace("HOOK", lab.places.hook)))
    assert path.read_text() != text
    assert (run(lab, SHOP)["changed"], calls(lab)) == (False, 1)


@pytest.mark.parametrize(("line", "error"), [('renew_hook = ""', ""), ("renew_hook='x # y'", "of others ('x # y')")])
def test_a_hook_that_was_written_by_hand_is_read_as_certbot_does(lab: Lab, line: str, error: str) -> None:
    run(lab, SHOP)
    path = Path(lab.places.settings("shop"))
    path.write_text(path.read_text().replace(f"renew_hook = {lab.places.hook}", line))
    assert error in run(lab, SHOP)["certificates"][0]["error"]
    assert calls(lab) == (1 if error else 2)


def without_links(lab: Lab) -> None:
    """Leave what scp(1) has copied from another host."""
    for link in Path(f"{lab.places.certbot}/live/shop").iterdir():
        content = link.read_bytes()
        link.unlink()
        link.write_bytes(content)


def without_live(lab: Lab) -> None:
    shutil.rmtree(f"{lab.places.certbot}/live/shop")


def without_settings(lab: Lab) -> None:
    os.unlink(lab.places.settings("shop"))


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (without_links, "live/shop/cert.pem is not a link to a file in"),
        (without_live, "live/shop/cert.pem is not a link to a file in"),
        (without_settings, "archive/shop is there without"),
    ],
)
def test_a_certificate_that_certbot_cannot_renew_is_asked_for_by_no_run(
    lab: Lab, break_it: t.Callable[[Lab], None], words: str
) -> None:
    run(lab, SHOP)
    break_it(lab)
    lab.clock.now += 61 * DAY
    result = run(lab, SHOP)
    assert (states(result), calls(lab)) == ({"shop": "kept"}, 1)
    assert words in result["warnings"][0] and "The certificate that is there stays" in result["warnings"][0]
    # The way out.
    lab.certbot.delete("shop")
    assert states(run(lab, SHOP)) == {"shop": "issued"}


@pytest.mark.parametrize(("lifetime", "age"), [(90 * DAY, 60.1 * DAY), (45 * DAY, 30.1 * DAY), (6 * DAY, 3.1 * DAY)])
def test_a_certificate_is_renewed_in_time_whatever_its_lifetime(lab: Lab, lifetime: float, age: float) -> None:
    lab.certbot.lifetime = lifetime
    run(lab, SHOP)
    before = lab.current("shop")
    lab.clock.now += age - 0.2 * DAY
    assert run(lab, SHOP)["changed"] is False
    lab.clock.now += 0.2 * DAY
    assert states(run(lab, SHOP)) == {"shop": "issued"}
    assert lab.current("shop") != before and "--force-renewal" in lab.certbot.asked[-1]
    assert len([name for name in os.listdir(f"{lab.places.tls}/shop") if name.startswith("issued-")]) == 1


def test_other_names_another_ca_or_a_lost_account_make_a_new_certificate(lab: Lab) -> None:
    run(lab, SHOP)
    path = lab.root / "enabled/shop"
    path.write_text(path.read_text().replace(" www.shop.test", ""))
    assert states(run(lab, WantedCertificate("shop", ("shop.test",)))) == {"shop": "issued"}
    assert "--renew-with-new-domains" in lab.certbot.asked[-1]
    run(lab, SHOP)
    assert states(run(lab, SHOP, authority=replace(ASKED, server=STAGING))) == {"shop": "issued"}
    assert states(run(lab, SHOP)) == {"shop": "issued"}
    (lab.account() / "a1").rmdir()
    assert states(run(lab, SHOP)) == {"shop": "issued"}
    assert run(lab, SHOP)["changed"] is False


def test_what_a_killed_run_has_got_is_served_without_asking_again(lab: Lab) -> None:
    run(lab, SHOP)
    link = Path(lab.places.current("shop"))
    link.unlink()
    link.symlink_to("stand-in")
    assert (states(run(lab, SHOP)), calls(lab)) == ({"shop": "issued"}, 1)


def test_a_site_that_is_not_published_yet_has_its_certificate_before(lab: Lab) -> None:
    wanted = WantedCertificate("new", ("new.test",))
    assert states(run(lab, wanted)) == {"new": "issued"}
    assert (lab.current("new")[:7], lab.nginx.nginx.reloads) == ("issued-", 0)


# What fails


def test_a_name_that_leads_elsewhere_stops_its_site_alone(lab: Lab) -> None:
    lab.network.addresses["blog.test"] = ["192.0.2.9"]
    lab.network.answers["192.0.2.9"] = (404, "", b"")
    result = run(lab)
    assert states(result) == {"shop": "issued", "blog": "failed"} and result["failed"]
    assert "blog.test leads to 192.0.2.9" in result["msg"] and "shop" not in result["msg"]
    assert states(run(lab, authority=replace(ASKED, check_names=False))) == {"shop": "kept", "blog": "issued"}


def test_a_refusal_says_domain_type_and_detail(lab: Lab) -> None:
    lab.certbot.refusals["blog"] = [("  Domain: blog.test\n  Type:   caa\n  Detail: CAA forbids it\n", "")]
    result = run(lab)
    assert "blog.test: caa: CAA forbids it" in result["msg"] and states(result)["shop"] == "issued"
    last = Attempts(lab.places.state).read("blog")
    assert last and "CAA forbids it" in last.reason


def test_a_good_certificate_stays_and_the_run_warns(lab: Lab) -> None:
    run(lab)
    lab.clock.now += 70 * DAY
    lab.directory = OSError(111, "Connection refused")
    result = run(lab)
    assert (states(result), result["changed"]) == ({"shop": "kept", "blog": "kept"}, False) and "failed" not in result
    assert "cannot be reached" in result["warnings"][0] and "it ends at 2027-04-15" in result["warnings"][0]
    lab.clock.now += 30 * DAY
    result = run(lab)
    assert states(result)["shop"] == "failed" and "the last one ended at 2027-04-15" in result["msg"]


def test_an_old_nonce_is_tried_once_more(lab: Lab) -> None:
    lab.certbot.refusals["shop"] = [("JWS", problem("badNonce", "old")), ("", "")]
    assert (states(run(lab, SHOP)), calls(lab)) == ({"shop": "issued"}, 2)


def test_a_refusal_is_read_from_a_log_that_certbot_begins_anew(lab: Lab) -> None:
    Path(lab.places.log).write_text("certbot version: 4.0.0\n" + "x" * 400)
    lab.certbot.rotates = True
    lab.certbot.refusals["shop"] = [("", problem("rateLimited", "too many") + "x" * 1000)]
    assert "rateLimited: too many" in run(lab, SHOP)["msg"]


def test_a_rate_limit_is_respected_until_it_ends(lab: Lab) -> None:
    lab.certbot.refusals["shop"] = [("", problem("rateLimited", "too many")), ("", "")]
    result = run(lab, SHOP)
    assert "rateLimited: too many To try things out use directory_url: staging" in result["msg"]
    again = run(lab, SHOP)
    assert "wants no request before 2027-01-15 09:16 UTC" in again["msg"] and calls(lab) == 1
    # Another CA, or other names, are another matter.
    assert states(run(lab, SHOP, authority=replace(ASKED, server=STAGING))) == {"shop": "issued"}
    lab.clock.now += 3700
    assert states(run(lab, SHOP)) == {"shop": "issued"}
    assert Attempts(lab.places.state).read("shop") is None


def test_a_lost_account_stops_the_run_and_names_the_way_out(lab: Lab) -> None:
    refusal = ("An unexpected error occurred:\nx", problem("accountDoesNotExist", "not found."))
    lab.certbot.refusals["shop"] = [refusal]
    result = run(lab)
    assert f"Move {lab.account()} away and run this again" in result["msg"]
    assert (states(result), calls(lab)) == ({"shop": "failed", "blog": "failed"}, 1)


def test_a_name_that_has_failed_is_not_asked_for_twice(lab: Lab) -> None:
    lab.network.addresses["shop.test"] = []
    again = WantedCertificate("again", ("shop.test",))
    assert "again: the CA was not asked: shop.test has failed in this run" in run(lab, SHOP, again)["msg"]


@pytest.mark.parametrize(("names", "lifetime", "words"), [(("x.test",), DAY, "is for x.test"), ((), -DAY, "ended at")])
def test_what_came_back_is_looked_at(lab: Lab, names: tuple[str, ...], lifetime: float, words: str) -> None:
    lab.certbot.names, lab.certbot.lifetime = names, lifetime
    result = run(lab, SHOP)
    assert words in result["msg"] and lab.current("shop") == "stand-in"


def test_a_profile_is_looked_up_before_anything_is_asked(lab: Lab) -> None:
    result = run(lab, SHOP, authority=replace(ASKED, profile="nosuch"))
    assert "has no profile 'nosuch': it has shortlived" in result["msg"] and calls(lab) == 0
    lab.certbot.version = "2.1.0"
    assert "needs certbot 4.0" in run(lab, SHOP, authority=replace(ASKED, profile="shortlived"))["msg"]
    lab.certbot.version = "4.0.0"
    run(lab, SHOP, authority=replace(ASKED, profile="shortlived"))
    assert "--required-profile shortlived" in " ".join(lab.certbot.asked[-1])


def test_another_profile_is_another_certificate(lab: Lab) -> None:
    short = replace(ASKED, profile="shortlived")
    for authority in (ASKED, short, ASKED):
        assert states(run(lab, SHOP, authority=authority)) == {"shop": "issued"}
        assert not run(lab, SHOP, authority=authority)["changed"]
    assert (
        "the profile changes: it has the usual one"
        in run(lab, SHOP, authority=short, check=True, diff=True)["diff"][0]["after"]
    )


def of_other_files(lab: Lab, *names: str) -> None:
    """Have nginx the certificate that a site had before it was to have one of a CA, as nginx_site leaves it."""
    copy = lab.root / "tls/shop/issued-own"
    copy.mkdir()
    (copy / "fullchain.pem").write_bytes(certificate(names, lab.clock.time() - DAY, lab.clock.time() + 20 * DAY))
    (copy / "privkey.pem").write_text("own key\n")
    link = lab.root / "tls/shop/current"
    link.unlink()
    link.symlink_to("issued-own")


def test_a_certificate_from_elsewhere_is_kept_until_the_ca_has_answered(lab: Lab) -> None:
    of_other_files(lab, *SHOP.names)
    answer, lab.directory = lab.directory, OSError(111, "Connection refused")
    result = run(lab, SHOP)
    assert (states(result), lab.current("shop")) == ({"shop": "kept"}, "issued-own") and "failed" not in result
    assert (
        "Connection refused" in result["warnings"][0] and "The certificate that is there stays" in result["warnings"][0]
    )
    lab.directory = answer
    assert states(run(lab, SHOP)) == {"shop": "issued"}
    assert [name for name in os.listdir(f"{lab.places.tls}/shop") if name.startswith("issued-")] == [
        lab.current("shop")
    ]


def test_the_warning_tells_the_names_that_a_kept_certificate_is_not_for(lab: Lab) -> None:
    of_other_files(lab, SHOP.names[0])
    lab.directory = OSError(111, "Connection refused")
    result = run(lab, SHOP)
    assert states(result) == {"shop": "kept"}
    assert result["warnings"][0].endswith(" UTC, and browsers refuse it for www.shop.test")


def test_a_certificate_for_none_of_the_names_is_no_reason_to_go_on(lab: Lab) -> None:
    of_other_files(lab, "old.test")
    lab.directory = OSError(111, "Connection refused")
    result = run(lab, SHOP)
    assert states(result) == {"shop": "failed"} and result["failed"]
    assert result["msg"].endswith("The site has no valid certificate of a CA")


def test_a_certificate_that_a_user_has_got_is_served_when_the_ca_does_not_answer(lab: Lab) -> None:
    lab.certbot.keep("shop", SHOP.names, {"server": PRODUCTION, "authenticator": "nginx"})
    lab.directory = OSError(111, "Connection refused")
    result = run(lab, SHOP)
    assert states(result) == {"shop": "issued"} and "failed" not in result
    assert "Connection refused. The certificate that is there stays; it ends at " in result["warnings"][0]


def test_a_certificate_that_others_use_is_left_alone(lab: Lab) -> None:
    lab.certbot.keep("shop", SHOP.names, {"renew_hook": "systemctl reload postfix", "server": PRODUCTION})
    result = run(lab)
    assert "deploy hook of others ('systemctl reload postfix')" in result["msg"] and calls(lab) == 1
    assert states(result) == {"shop": "failed", "blog": "issued"} and lab.current("shop") == "stand-in"


def renamed(lab: Lab, names: t.Sequence[str] = SHOP.names, **settings: str) -> None:
    """Have certbot a certificate of the former name of a site, which nginx reads meanwhile, as nginx_site leaves it."""
    hook = {"renew_hook": lab.places.hook, "server": PRODUCTION}
    lab.certbot.keep("old", names, {**hook, **settings})
    link = lab.root / "tls/shop/current"
    link.unlink()
    link.symlink_to(f"{lab.places.certbot}/live/old")


def test_the_certificate_of_a_former_name_is_taken_along(lab: Lab) -> None:
    renamed(lab)
    lab.certbot.refusals["shop"] = [("refused", ""), ("", "")]
    # The site keeps it as long as there is no other one.
    assert states(run(lab, SHOP)) == {"shop": "kept"} and os.path.exists(lab.places.settings("old"))
    result = run(lab, SHOP)
    assert (states(result), result["warnings"]) == ({"shop": "issued"}, [])
    assert lab.commands()[-1].startswith("delete") and "--cert-name=old" in lab.certbot.asked[-1]
    assert not os.path.exists(lab.places.settings("old"))
    assert not run(lab, SHOP)["changed"]


@pytest.mark.parametrize(
    ("names", "settings", "words"),
    [
        (SHOP.names, {"renew_hook": "systemctl reload postfix"}, ""),
        ((*SHOP.names, "mail.shop.test"), {}, "(it is also for mail.shop.test). Unless something else uses it, run"),
    ],
)
def test_a_former_certificate_that_others_may_use_stays(
    lab: Lab, names: tuple[str, ...], settings: dict[str, str], words: str
) -> None:
    renamed(lab, names, **settings)
    result = run(lab, SHOP)
    assert states(result) == {"shop": "issued"} and words in "".join(result["warnings"])
    assert bool(result["warnings"]) is bool(words) and os.path.exists(lab.places.settings("old"))


def test_a_former_certificate_that_another_site_reads_stays(lab: Lab) -> None:
    renamed(lab)
    live = f"{lab.places.certbot}/live/old"
    path = lab.root / "enabled/blog"
    path.write_text(path.read_text().replace(f"{lab.root}/tls/blog/current", live))
    (lab.root / "letsencrypt/live/old").mkdir(parents=True, exist_ok=True)
    result = run(lab, SHOP)
    assert states(result) == {"shop": "issued"} and os.path.exists(lab.places.settings("old"))


def test_one_that_nginx_refuses_stops_no_other(lab: Lab) -> None:
    # The check of names refuses the one, not the other.
    path = lab.root / "enabled/shop"
    path.write_text(path.read_text().replace("server_name", "server_name more.test"))
    result = run(lab)
    assert states(result) == {"shop": "failed", "blog": "issued"}
    assert "nginx does not accept it" in result["msg"] and lab.current("shop") == "stand-in"


def test_a_reload_that_fails_is_reverted(lab: Lab) -> None:
    def fail() -> None:
        path = lab.root / "enabled/blog"
        path.write_text(path.read_text() + "unloadable\n")

    lab.nginx.nginx.happens_at_reload = fail
    result = run(lab, SHOP)
    assert states(result) == {"shop": "failed"} and lab.current("shop") == "stand-in"


def test_without_certbot_nothing_is_asked(lab: Lab) -> None:
    lab.where.which = lambda _name: None
    assert "install the package certbot" in run(lab, SHOP)["msg"]


# Secrets and hooks


def test_an_external_account_is_in_no_argument(lab: Lab) -> None:
    path = lab.root / "eab"
    path.write_text('{"kid": "kid-1", "hmac_key": "s3cr3t"}')
    path.chmod(0o644)
    authority = replace(ASKED, eab_file=str(path))
    assert "chmod 0600" in run(lab, SHOP, authority=authority)["msg"] and calls(lab) == 0
    path.chmod(0o600)
    # A run that was killed while certbot asked.
    left = f"{lab.places.state}/.flaskops-left"
    os.makedirs(left)
    Path(left, "cli.ini").write_text("eab-hmac-key = s3cr3t\n")
    run(lab, authority=authority)
    assert lab.certbot.seen == ["eab-kid = kid-1\neab-hmac-key = s3cr3t\n"]
    assert "s3cr3t" not in str(lab.certbot.asked) and not list(lab.root.rglob("cli.ini"))


def test_a_wildcard_is_proved_by_the_hook(lab: Lab) -> None:
    hook = lab.root / "hook"
    wanted, authority = WantedCertificate("blog", ("*.blog.test",)), replace(ASKED, challenge="dns", dns_hook=str(hook))
    assert "cannot be read" in run(lab, wanted, authority=authority)["msg"]
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o644)
    assert "cannot be executed" in run(lab, wanted, authority=authority)["msg"]
    hook.chmod(0o777)
    assert "no more rights than 0755" in run(lab, wanted, authority=authority)["msg"]
    hook.chmod(0o755)
    (lab.root / "enabled/blog").unlink()
    assert states(run(lab, wanted, authority=authority)) == {"blog": "issued"}
    words = lab.certbot.asked[-1]
    assert words[words.index("--manual-auth-hook") + 1] == f"{hook} auth" and lab.network.asked == []
    assert run(lab, wanted, authority=authority)["changed"] is False


def test_a_ca_of_ones_own_is_trusted_beside_the_others(lab: Lab) -> None:
    bundle = lab.root / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nx\n")
    run(lab, SHOP, authority=replace(ASKED, ca_bundle=str(bundle)))
    combined = f"{lab.places.state}/ca-bundle.pem"
    assert lab.certbot.asked[0][:3] == ["env", "FLASKOPS_IN_RUN=1", f"REQUESTS_CA_BUNDLE={combined}"]
    assert Path(combined).read_text().endswith(bundle.read_text()) and lab.trusted == [combined]


# Removal


def test_what_is_removed_is_taken_from_nginx_first(lab: Lab) -> None:
    run(lab)
    (lab.root / "enabled/blog").unlink()
    result = remove(lab.where, ["shop", "blog"], ASKED, revoke=False, check=False)
    assert (states(result), result["changed"]) == ({"shop": "absent", "blog": "absent"}, True)
    # The site that is still there goes on with its stand-in.
    assert lab.current("shop") == "stand-in" and not os.path.exists(f"{lab.places.tls}/blog")
    assert all("delete" in words for words in lab.certbot.asked[2:])
    assert remove(lab.where, ["shop", "blog"], ASKED, revoke=False, check=False)["changed"] is False


def test_a_certificate_is_revoked_when_asked(lab: Lab) -> None:
    run(lab, SHOP)
    assert remove(lab.where, ["shop"], ASKED, revoke=True, check=True)["changed"] is True
    assert calls(lab) == 1
    lab.certbot.refusals["shop"] = [("x", problem("unauthorized", "no")), ("", "")]
    before = lab.current("shop")
    assert "unauthorized: no" in remove(lab.where, ["shop"], ASKED, revoke=True, check=False)["msg"]
    assert lab.current("shop") == before
    assert "failed" not in remove(lab.where, ["shop"], ASKED, revoke=True, check=False)
    assert "revoke" in lab.certbot.asked[-1] and "--delete-after-revoke" in lab.certbot.asked[-1]
    assert read_lineage(lab.places, "shop").certificate is None


def test_one_that_a_site_without_a_stand_in_uses_is_not_removed(lab: Lab) -> None:
    run(lab, SHOP)
    (Path(lab.places.tls) / "shop/stand-in/privkey.pem").unlink()
    said = remove(lab.where, ["shop"], ASKED, revoke=False, check=False)["msg"]
    assert "the site 'shop' of nginx uses the certificate" in said and calls(lab) == 1


def test_a_refusal_without_a_domain_names_the_only_one(lab: Lab) -> None:
    lab.certbot.refusals["blog"] = [("x", problem("rejectedIdentifier", "policy"))]
    assert "blog.test: rejectedIdentifier: policy" in run(lab, BLOG)["msg"]


def test_one_that_others_use_is_not_removed(lab: Lab) -> None:
    lab.certbot.keep("shop", SHOP.names, {"renew_hook": "x"})
    assert "deploy hook of others" in remove(lab.where, ["shop"], ASKED, revoke=False, check=False)["msg"]


def test_nothing_is_asked_for_no_site(lab: Lab) -> None:
    ask_all(lab.where, [], ASKED, "")
    assert calls(lab) == 0
    assert Site(SHOP, Lineage("shop")).outcome(lab.places, 0).state == "stand_in"
    assert not Attempt(0, "x").forbids(PRODUCTION, (), 1)
