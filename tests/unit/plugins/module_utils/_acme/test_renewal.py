# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certbot's own renewals do: hook, its code, certbot.service, and what status says of them."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._acme import renewal
from ansible_collections.flaskops.stack.plugins.module_utils._acme.after_renewal import settle, sites_of
from ansible_collections.flaskops.stack.plugins.module_utils._acme.attempts import Attempts
from ansible_collections.flaskops.stack.plugins.module_utils._acme.certbot import read_log
from ansible_collections.flaskops.stack.plugins.module_utils._acme.lineage import is_served, read_lineage
from ansible_collections.flaskops.stack.plugins.module_utils._acme.model import Authority, WantedCertificate
from ansible_collections.flaskops.stack.plugins.module_utils._acme.obtain import obtain
from ansible_collections.flaskops.stack.plugins.module_utils._acme.state import certificate_states
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints import certificate_renewed
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.certificate_renewed import main
from ansible_collections.flaskops.stack.plugins.module_utils._entrypoints.flask_status import certificates_of_sites
from ansible_collections.flaskops.stack.plugins.module_utils._input.values import PRODUCTION
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_certbot import DAY, Lab

SHOP, BLOG = WantedCertificate("shop", ("shop.test",)), WantedCertificate("blog", ("blog.test",))


@pytest.fixture(name="lab")
def make_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    lab = Lab(tmp_path)
    lab.site("shop", *SHOP.names)
    lab.site("blog", *BLOG.names)
    obtain(lab.where, [SHOP, BLOG], Authority(), check=False, diff=False)
    return lab


def hook(lab: Lab, name: str, **more: str) -> int:
    return main([], lab.where, {"RENEWED_LINEAGE": f"/etc/letsencrypt/live/{name}", **more})


def test_a_renewed_certificate_is_loaded_and_logged(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    before = lab.current("shop")
    lab.certbot.renew("shop")
    assert hook(lab, "shop") == 0
    assert lab.current("shop") != before and lab.nginx.nginx.reloads == 2
    assert capsys.readouterr().err == "shop: nginx serves the renewed certificate\n"
    assert (hook(lab, "shop"), lab.nginx.nginx.reloads) == (0, 2)


def test_the_hook_leaves_it_to_the_run_that_has_called_certbot(lab: Lab) -> None:
    lab.certbot.renew("shop")
    assert hook(lab, "shop", FLASKOPS_IN_RUN="1") == 0
    assert lab.nginx.nginx.reloads == 1


def test_the_hook_does_not_wait_for_a_run_that_waits_for_certbot(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_renewed, "PATIENCE", 0.01)
    lab.certbot.renew("shop")
    with lab.where.lock():
        assert hook(lab, "shop") == 1
    assert main(["--after"], lab.where, {}) == 0
    assert is_served(lab.places, read_lineage(lab.places, "shop"))


def test_the_hook_leaves_the_certificates_of_others_alone(lab: Lab) -> None:
    assert (hook(lab, "mail"), hook(lab, ""), lab.nginx.nginx.reloads) == (0, 0, 1)


def test_what_certbot_has_for_others_under_the_name_of_a_site_is_not_loaded(lab: Lab) -> None:
    # The site has the certificate of other files until the CA has answered.
    before = lab.current("shop")
    lab.certbot.keep("shop", ["mail.test"], {"renew_hook": "systemctl reload postfix", "server": PRODUCTION})
    assert (hook(lab, "shop"), main(["--after"], lab.where, {})) == (0, 0)
    assert (lab.current("shop"), lab.nginx.nginx.reloads, sites_of(lab.where)) == (before, 1, ["blog"])


def test_what_a_user_has_let_certbot_renew_for_the_names_of_a_site_is_loaded(lab: Lab) -> None:
    """The site has that certificate until the CA answers, which has to let certbot renew it as the role would."""
    lab.certbot.keep("shop", SHOP.names, {"account": "a1", "server": PRODUCTION, "authenticator": "nginx"})
    lab.directory = OSError(111, "Connection refused")
    (entry,) = obtain(lab.where, [SHOP], Authority(), check=False, diff=False)["certificates"]
    assert entry["state"] == "issued" and is_served(lab.places, read_lineage(lab.places, "shop"))
    lab.certbot.renew("shop")
    assert main(["--after"], lab.where, {}) == 0
    assert is_served(lab.places, read_lineage(lab.places, "shop"))
    # One for other names is not.
    before = lab.current("shop")
    lab.certbot.keep("shop", ["mail.test"], {"server": PRODUCTION, "authenticator": "standalone"})
    assert main(["--after"], lab.where, {}) == 0
    assert lab.current("shop") == before


def test_what_nginx_refuses_is_not_loaded_and_tried_again(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    before = lab.current("shop")
    (lab.root / "enabled/other").write_text("broken\n")
    lab.certbot.renew("shop")
    assert hook(lab, "shop") == 1
    assert "shop: the renewed certificate was not loaded" in capsys.readouterr().err
    assert (lab.current("shop"), lab.nginx.nginx.reloads) == (before, 1)
    last = Attempts(lab.places.state).read("shop")
    assert last and "unknown directive" in last.reason
    assert "unknown directive" in certificate_states(lab.clock.time(), lab.places)[1]["problem"]
    # certbot.service fails until it is loaded.
    assert main(["--after"], lab.where, {}) == 1
    (lab.root / "enabled/other").unlink()
    assert main(["--after"], lab.where, {}) == 0
    assert is_served(lab.places, read_lineage(lab.places, "shop"))
    assert certificate_states(lab.clock.time(), lab.places)[1]["problem"] == ""


def test_a_renewal_that_failed_is_remembered_and_shown(lab: Lab) -> None:
    lab.clock.now += 60.5 * DAY
    Path(lab.places.log).write_text(
        "certbot version: 4.0.0\nx:ERROR:certbot._internal.renewal:Failed to renew certificate shop with error: no\n"
        "x:ERROR:certbot._internal.renewal:Failed to renew certificate mail with error: no\n"
    )
    said: list[str] = []
    assert settle(lab.where, said.append)
    assert said == ["shop: certbot has not renewed it: no"]
    blog, shop = certificate_states(lab.clock.time(), lab.places)
    assert (shop["days"], shop["problem"]) == (29, "certbot has not renewed it: no")
    assert (blog["days"], blog["problem"]) == (29, "")
    lab.certbot.renew("shop")
    settle(lab.where, said.append)
    assert certificate_states(lab.clock.time(), lab.places)[1]["problem"] == ""


def test_settings_that_certbot_cannot_read_are_shown_until_it_can(lab: Lab) -> None:
    def renew(log: str = "") -> str:
        Path(lab.places.log).write_text(f"certbot version: 4.0.0\n{log}")
        settle(lab.where, lambda _text: None)
        return str(certificate_states(lab.clock.time(), lab.places)[1]["problem"])

    lab.clock.now += DAY
    broken = (
        "x:ERROR:certbot._internal.renewal:Renewal configuration file /etc/letsencrypt/renewal/shop.conf is broken.\n"
        "x:ERROR:certbot._internal.renewal:The error was: error parsing shop.conf\nSkipping.\n"
    )
    assert renew(broken) == "certbot has not renewed it: its settings are broken: error parsing shop.conf"
    # It is not due before months have passed.
    assert renew() == ""


def test_a_renewal_that_nobody_has_tried_is_shown(lab: Lab) -> None:
    lab.clock.now += 63 * DAY
    assert "certbot.timer" in certificate_states(lab.clock.time(), lab.places)[0]["problem"]


@pytest.mark.parametrize("damage", [os.mkdir, lambda path: os.symlink(path, path)], ids=["directory", "loop"])
def test_what_is_no_file_among_certbots_settings_is_no_certificate(lab: Lab, damage: t.Callable[[str], None]) -> None:
    hook = {"renew_hook": lab.places.hook, "server": PRODUCTION}
    lab.certbot.keep("gone", ["gone.test"], hook)
    damage(lab.places.settings("odd"))
    assert [one["name"] for one in certificate_states(lab.clock.time(), lab.places)] == ["blog", "shop", "gone"]
    assert settle(lab.where, lambda _text: None)


def test_a_certificate_whose_site_is_gone_is_shown_and_its_failures_are_remembered(lab: Lab) -> None:
    hook = {"renew_hook": lab.places.hook, "server": PRODUCTION}
    lab.certbot.keep("gone", ["gone.test"], hook)
    lab.certbot.keep("mail", ["mail.test"], {"renew_hook": "systemctl reload postfix"})
    lab.certbot.keep("old", ["shop.test"], hook)
    link = Path(lab.places.current("shop"))
    link.unlink()
    # The certificate of a former name is not gone.
    link.symlink_to(f"{lab.places.certbot}/live/old")
    assert [one["name"] for one in certificate_states(lab.clock.time(), lab.places)] == ["blog", "shop", "gone"]
    state = certificate_states(lab.clock.time(), lab.places, ["gone"])[0]
    assert (state["issued"], state["days"], state["failed"]) == (True, 90, "")
    assert state["problem"] == ("no site has it, and certbot goes on renewing it: 'certbot delete --cert-name gone'")
    lab.clock.sleep(4 * 3600)
    Path(lab.places.log).write_text(
        "DEBUG:certbot._internal.main:certbot version: 4.0.0\n"
        "2026-11-28 10:00:00,000:ERROR:certbot._internal.renewal:Failed to renew certificate gone with error: Some\n"
    )
    assert settle(lab.where, lambda _text: None)
    state = certificate_states(lab.clock.time(), lab.places, ["gone"])[0]
    assert state["failed"] and state["problem"].endswith("(certbot has not renewed it: Some)")


def test_stand_ins_and_hosts_without_certificates_are_told_apart(lab: Lab, tmp_path: Path) -> None:
    link = Path(lab.places.current("blog"))
    link.unlink()
    link.symlink_to("stand-in")
    state = certificate_states(lab.clock.time(), lab.places)[0]
    assert (state["name"], state["issued"], state["not_after"], state["days"]) == ("blog", False, "", 0)
    assert sites_of(lab.where) == ["shop"]
    lab.where.places = lab.where.places.__class__(tls=f"{tmp_path}/none")
    assert (sites_of(lab.where), certificate_states(0, lab.where.places)) == ([], [])


def test_a_stand_in_that_no_site_reads_any_more_is_not_shown(lab: Lab, tmp_path: Path) -> None:
    def shown() -> list[str]:
        found = certificates_of_sites(lab.clock.time(), None, lab.places, str(tmp_path / "nginx"))
        return [one["name"] for one in found]

    for name in ("blog", "shop"):
        link = Path(lab.places.current(name))
        link.unlink()
        link.symlink_to("stand-in" if name == "blog" else f"{lab.places.certbot}/live/shop")
    assert shown() == ["blog", "shop"]
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx/nginx.conf").write_text(f"http {{ ssl_certificate {lab.places.current('blog')}/x; }}")
    assert shown() == ["blog", "shop"]
    (tmp_path / "nginx/nginx.conf").write_text("http {}")
    assert shown() == ["shop"]


def test_an_error_of_the_host_is_in_the_journal(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.where.locks = f"{lab.root}/nginx.conf/locks"
    assert main(["--after"], lab.where, {}) == 1
    assert "renewed certificates were not loaded" in capsys.readouterr().err


def test_the_hook_runs_by_itself_with_code_of_its_own(lab: Lab) -> None:
    lab.code.rmdir()
    assert renewal.install(lab.where.host, lab.places, "") is True
    script = Path(lab.places.hook)
    assert script.stat().st_mode & 0o777 == 0o755
    assert script.read_text().startswith(f"#!{renewal.interpreter(sys.executable)} -I\n")
    environment = {"FLASKOPS_IN_RUN": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_hook_is_written_once_and_its_code_replaced_with_another_version(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert renewal.install(lab.where.host, lab.places, "") is False
    other = lab.root / "deadbeef/flaskops_code"
    (other / "_acme").mkdir(parents=True)
    (other / "_acme/renewal.py").write_text("")
    monkeypatch.setattr(renewal, "__file__", str(other / "_acme/renewal.py"))
    assert renewal.install(lab.where.host, lab.places, "") is True
    assert os.readlink(f"{lab.places.renewal}/code") == "deadbeef"
    assert sorted(os.listdir(lab.places.renewal)) == ["code", "deadbeef", "deploy-hook"]


def test_certbot_service_gets_a_drop_in_where_there_is_systemd(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "is_running", lambda: True)
    assert renewal.install(lab.where.host, lab.places, "/x/ca.pem") is True
    text = Path(f"{lab.places.units}/certbot.service.d/flaskops.conf").read_text()
    assert f"Environment=REQUESTS_CA_BUNDLE=/x/ca.pem\nExecStopPost={lab.places.hook} --after\n" in text
    assert renewal.install(lab.where.host, lab.places, "/x/ca.pem") is False


@pytest.mark.parametrize(
    ("running", "hook"),
    [
        ("/usr/bin/python3.13", "/usr/bin/python3"),
        ("/usr/bin/python3", "/usr/bin/python3"),
        ("", "/usr/bin/python3"),
        ("/opt/python/bin/python3", "/opt/python/bin/python3"),
    ],
)
def test_the_hook_outlives_an_upgrade_of_the_distribution(running: str, hook: str) -> None:
    assert renewal.interpreter(running) == hook


def test_a_host_that_renews_nothing_is_warned_of(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "is_running", lambda: True)
    assert "systemctl enable --now certbot.timer" in renewal.unattended(lab.places)[0]
    path = Path(lab.places.units) / "timers.target.wants/certbot.timer"
    path.parent.mkdir(parents=True)
    path.symlink_to("/usr/lib/systemd/system/certbot.timer")
    assert renewal.unattended(lab.places) == []


def test_a_log_that_is_not_there_says_nothing(lab: Lab) -> None:
    Path(lab.places.log).unlink(missing_ok=True)
    assert read_log(lab.places) == ""
