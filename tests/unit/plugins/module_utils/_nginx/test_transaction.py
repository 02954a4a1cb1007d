# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of nginx_site: validate, record, swap, reload, prove, and go back where nginx does not load it."""

from __future__ import annotations

import os
import shutil
import time
import typing as t
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.apply import nginx_of
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.inventory import describe_nginx, kept_versions
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.journal import Journal, JournalStep
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.model import (
    ABSENT,
    DISABLED,
    NginxLayout,
    NginxSiteError,
    Node,
    WantedFile,
    WantedSite,
    version_id,
)
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.policy import KINDS, Policy, ReloadError
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.request import NginxRequest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.transaction import manage
from ansible_collections.flaskops.stack.plugins.module_utils._system.command import Result
from ansible_collections.flaskops.stack.plugins.module_utils._system.files import NoDirectoryError
from ansible_collections.flaskops.stack.plugins.module_utils._system.read_only import ReadOnlyError
from ansible_collections.flaskops.stack.tests.unit.plugins.module_utils.fake_host import FakeHost


class Killed(BaseException):
    """The end of a run at some instruction."""


def text(name: str, word: str = "one") -> bytes:
    return f"server {{ listen unix:/run/{name}.sock; server_name {name}.test; # {word}\n}}\n".encode()


@pytest.fixture(name="host")
def make_host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.nginx.start(age=100)
    return host


def request(host: FakeHost, *sites: WantedSite, **options: t.Any) -> NginxRequest:
    root = str(host.root)
    layout = NginxLayout(f"{root}/available", f"{root}/enabled", uid=os.geteuid(), gid=os.getegid())
    places = {"state": f"{root}/state", "locks": f"{root}/locks", "host": host}
    return NginxRequest(layout, "nginx", host.nginx.config, sites=sites, **{**places, **options})


def run(host: FakeHost, *sites: WantedSite, **options: t.Any) -> dict[str, t.Any]:
    return manage(request(host, *sites, **options))


def shop(word: str = "one", **options: t.Any) -> WantedSite:
    return WantedSite("shop", content=text("shop", word), **options)


def blog(word: str = "one") -> WantedSite:
    return WantedSite("blog", content=text("blog", word))


def on_disk(host: FakeHost) -> dict[str, str]:
    """Return the sites that the next load of nginx would find."""
    return {path.name: path.read_text() for path in sorted((host.root / "enabled").iterdir())}


def served(host: FakeHost) -> dict[str, str]:
    """Return the sites that visitors get."""
    enabled = f"{host.root}/enabled/"
    found = {path: text for path, text in host.nginx.loaded.items() if path.startswith(enabled)}
    return {path[len(enabled) :]: text for path, text in found.items()}


def journaled(host: FakeHost) -> bool:
    return bool(list((host.root / "state").glob("*.json")))


def leftovers(host: FakeHost) -> list[str]:
    return [str(path) for path in host.root.rglob(".flaskops-*")]


# The way of a change


@pytest.mark.parametrize(("isolates", "method"), [(True, "namespace"), (False, "shadow")])
def test_a_new_site_is_tested_stored_linked_loaded_and_proved(host: FakeHost, isolates: bool, method: str) -> None:
    host.isolates = isolates
    before = sorted(host.nginx.workers)
    result = run(host, shop(), diff=True)
    link = host.root / "enabled/shop"
    assert os.readlink(link) == f"{host.root}/available/shop@{version_id(text('shop'))}"
    assert served(host) == on_disk(host) == {"shop": text("shop").decode()}
    assert result["changed"] and not result["in_place"] and not result["pending"]
    assert result["validation"]["method"] == method
    assert result["reload"]["proved"] and result["reload"]["old_workers"] == before
    assert set(result["reload"]["new_workers"]) == {
        pid for pid, title in host.nginx.workers.items() if "shutting" not in title
    }
    assert result["diff"][0]["after"] == text("shop").decode()
    assert (host.nginx.reloads, journaled(host), leftovers(host)) == (1, False, [])


def test_a_second_run_asks_nginx_nothing(host: FakeHost) -> None:
    run(host, shop(), blog())
    host.asked.clear()
    result = run(host, shop(), blog())
    assert (result["changed"], result["in_place"], host.asked, host.nginx.reloads) == (False, True, [], 1)


def test_check_mode_tests_as_fully_and_changes_nothing(host: FakeHost) -> None:
    result = run(host, shop(), check=True)
    assert result["changed"] and result["validation"]["method"] == "namespace"
    assert result["reload"] == {
        "performed": False,
        "proved": False,
        "reason": "check mode",
        "old_workers": [],
        "new_workers": [],
    }
    with pytest.raises(NginxSiteError, match=r"enabled/shop:1"):
        run(host, shop("broken"), check=True)
    assert (on_disk(host), list((host.root / "available").iterdir()), host.nginx.reloads) == ({}, [], 0)


@pytest.mark.parametrize("check", [True, False])
def test_a_disk_that_is_mounted_read_only_is_named_also_in_check_mode(
    host: FakeHost, check: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(host, shop())
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert not run(host, shop(), check=check)["changed"]
    with pytest.raises(ReadOnlyError, match="mounted read-only"):
        run(host, shop("two"), check=check)
    assert "# one" in served(host)["shop"]


def test_the_journal_is_there_exactly_while_nginx_may_run_something_else(host: FakeHost) -> None:
    seen = []
    host.nginx.happens_at_reload = lambda: seen.append((journaled(host), on_disk(host), served(host)))
    run(host, shop())
    assert seen == [(True, {"shop": text("shop").decode()}, {})]
    assert not journaled(host)


def test_many_sites_change_at_once_by_one_reload(host: FakeHost) -> None:
    run(host, shop(), blog())
    run(host, shop("two"), blog("two"), WantedSite("more", content=text("more")))
    assert served(host) == on_disk(host)
    assert ("two" in on_disk(host)["blog"], len(on_disk(host)), host.nginx.reloads) == (True, 3, 2)
    assert leftovers(host) == []


@pytest.mark.parametrize(("state", "kept"), [(DISABLED, 1), (ABSENT, 0)])
def test_a_site_is_withdrawn(host: FakeHost, state: str, kept: int) -> None:
    run(host, shop(), blog())
    result = run(host, WantedSite("shop", state))
    assert list(served(host)) == ["blog"] and result["reload"]["proved"]
    assert len(kept_versions(request(host).layout).get("shop", [])) == kept


def test_a_file_beside_the_sites_is_written_with_its_mode_and_loaded(host: FakeHost) -> None:
    main = Path(host.nginx.config)
    wanted = WantedFile(str(main), main.read_bytes() + b"# more\n", 0o640)
    result = run(host, files=[wanted])
    assert result["files"] == [{"path": str(main), "changed": True}]
    assert host.nginx.loaded[str(main)].endswith("# more\n") and main.stat().st_mode & 0o777 == 0o640
    assert not run(host, files=[wanted])["changed"]


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("place", ["tls", "tls/shop", "state", "conf.d"])
def test_what_is_in_the_place_of_a_directory_is_named_before_anything_changes(
    host: FakeHost, place: str, check: bool
) -> None:
    path = host.root / place
    path.parent.mkdir(exist_ok=True)
    shutil.rmtree(path, ignore_errors=True)
    path.write_text("")
    wanted = WantedFile(str(host.root / "conf.d" / "shared.conf"), b"# one\n")
    site = shop(self_signed=("shop.test",))
    with pytest.raises(NoDirectoryError, match=f"^{path} is a file and has to be a directory"):
        run(host, site, files=[wanted], tls=str(host.root / "tls"), check=check)
    assert on_disk(host) == {}


def test_more_sites_than_are_synced_one_by_one_are_loaded_and_purged_together(host: FakeHost) -> None:
    sites = [WantedSite(f"s{number}", content=text(f"s{number}")) for number in range(9)]
    run(host, *sites)
    assert len(served(host)) == 9
    run(host, sites[0], purge=True)
    assert list(served(host)) == list(on_disk(host)) == ["s0"]
    assert sorted(kept_versions(request(host).layout)) == ["s0"]


def test_a_version_that_others_may_write_gets_its_mode_back_without_a_reload(host: FakeHost) -> None:
    run(host, shop())
    version = (host.root / "enabled/shop").resolve()
    version.chmod(0o666)
    result = run(host, shop())
    assert result["changed"] and not result["reload"]["performed"]
    assert (version.stat().st_mode & 0o777, host.nginx.reloads) == (0o644, 1)


# What is refused before anything changes


@pytest.mark.parametrize("isolates", [True, False])
def test_what_nginx_refuses_never_comes_to_where_it_reads(host: FakeHost, isolates: bool) -> None:
    host.isolates = isolates
    run(host, shop())
    with pytest.raises(NginxSiteError) as failed:
        run(host, shop("broken"), policy=Policy(origins={f"{host.root}/enabled/shop": "template shop.j2"}))
    assert f'unknown directive "broken" in {host.root}/enabled/shop:1' in str(failed.value)
    assert "(from template shop.j2)" in str(failed.value) and "nothing was changed" in str(failed.value)
    assert served(host) == on_disk(host) == {"shop": text("shop").decode()}
    assert (host.nginx.reloads, journaled(host)) == (1, False)


def test_a_host_that_was_broken_before_is_told_so(host: FakeHost) -> None:
    (host.root / "enabled/theirs").write_text("broken;\n")
    with pytest.raises(NginxSiteError, match=r"was already broken before this change: .*enabled/theirs:1"):
        run(host, shop())
    assert host.nginx.reloads == 0


def test_a_site_that_no_include_matches_is_refused(host: FakeHost) -> None:
    layout = replace(request(host).layout, enabled=str(host.root / "elsewhere"))
    with pytest.raises(NginxSiteError, match=r"nginx would not read .*/elsewhere/shop: .*nginx_directory_enabled"):
        manage(replace(request(host, shop()), layout=layout))


def link_to_versions(host: FakeHost) -> None:
    (host.root / "enabled").rmdir()
    (host.root / "enabled").symlink_to("available")


def include_versions(host: FakeHost) -> None:
    main = host.root / "nginx.conf"
    main.write_text(main.read_text().replace("/enabled/*", "/available/*"))


def include_both(host: FakeHost) -> None:
    main = host.root / "nginx.conf"
    main.write_text(main.read_text().replace("/enabled/*;", "/enabled/*; include [ab]vailable/*;"))


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("make", [link_to_versions, include_versions, include_both])
def test_no_version_is_written_where_nginx_reads_it(
    host: FakeHost, make: t.Callable[[FakeHost], None], kept: bool
) -> None:
    """Without its link, or before it is tested with the others, it would be live with the next load."""
    make(host)
    if kept:
        (host.root / f"available/shop@{version_id(text('shop'))}").write_bytes(text("shop"))
    before = sorted(os.listdir(host.root / "available"))
    for check in (True, False):
        with pytest.raises(NginxSiteError, match=r"nginx would read \S+/shop@\w+, a version of a site, by 'include "):
            run(host, shop(), check=check)
    assert (sorted(os.listdir(host.root / "available")), host.nginx.reloads, journaled(host)) == (before, 0, False)


def test_a_warning_of_many_variables_is_of_no_consequence(host: FakeHost) -> None:
    host.nginx.warning = (
        "could not build optimal variables_hash, you should increase either variables_hash_max_size: 1024 or "
        "variables_hash_bucket_size: 64; ignoring variables_hash_bucket_size"
    )
    assert run(host, shop(), policy=Policy(strict=True))["warnings"] == []


@pytest.mark.parametrize(("size", "advised"), [(512, 4096), (4096, 8192)])
def test_a_warning_of_many_host_names_names_the_variable(host: FakeHost, size: int, advised: int) -> None:
    host.nginx.warning = (
        f"could not build optimal server_names_hash, you should increase either server_names_hash_max_size: {size} or "
        "server_names_hash_bucket_size: 64; ignoring server_names_hash_bucket_size"
    )
    (warning,) = run(host, shop())["warnings"]
    assert f"Set nginx_http_config of role nginx to 'server_names_hash_max_size {advised};'." in warning


def test_a_warning_is_passed_on_and_with_strict_it_refuses(host: FakeHost) -> None:
    host.nginx.warning = "the old way"
    with pytest.raises(NginxSiteError, match="the old way"):
        run(host, shop(), policy=Policy(strict=True))
    assert run(host, shop())["warnings"] == ["the old way"]


def test_a_site_that_takes_the_name_of_another_is_refused_or_tolerated(host: FakeHost) -> None:
    run(host, shop())
    twin = WantedSite(
        "twin", content=text("twin").replace(b"twin.test", b"shop.test").replace(b"twin.sock", b"shop.sock")
    )
    with pytest.raises(NginxSiteError, match=r"duplicate_server_name.*nginx_tolerate"):
        run(host, twin)
    assert run(host, twin, policy=Policy(frozenset({"duplicate_server_name"})))["warnings"]


@pytest.mark.parametrize("check", [True, False])
def test_without_nginx_only_check_mode_goes_on(host: FakeHost, check: bool) -> None:
    host.nginx.stop()
    host.nginx.installed = False
    if check:
        assert "'nginx' was not found" in run(host, shop(), check=True)["validation"]["reason"]
    else:
        with pytest.raises(NginxSiteError, match=r"'nginx' was not found\): install it first, or name it in 'binary'"):
            run(host, shop())


# A reload that does not take


def test_a_refused_reload_goes_back_to_what_was_served(host: FakeHost) -> None:
    run(host, shop())
    with pytest.raises(ReloadError) as failed:
        run(host, shop("unloadable"), blog())
    assert 'unknown directive "unloadable"' in str(failed.value)
    assert "back in place, and nginx runs the previous configuration" in str(failed.value)
    assert served(host) == on_disk(host) == {"shop": text("shop").decode()}
    assert (journaled(host), leftovers(host)) == (False, [])
    # The run after it starts from a clean host, without a debt.
    done = run(host, shop("two"))
    assert (done["pending"], done["reload"]["proved"]) == (False, True)


def test_nobody_goes_back_to_a_version_that_nginx_could_not_load(host: FakeHost) -> None:
    for each in ("first", "second"):
        run(host, WantedSite("shop", content=text("shop", each)))
    with pytest.raises(ReloadError):
        run(host, WantedSite("shop", content=text("shop", "unloadable")))
    assert not [each for each in (host.root / "available").iterdir() if b"unloadable" in each.read_bytes()]
    run(host, WantedSite("shop", version="previous"))
    assert "first" in (host.root / "enabled/shop").read_text()


def test_a_version_that_nginx_cannot_load_again_is_not_the_newest_of_the_former(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in ("first", "second", "third"):
        run(host, WantedSite("shop", content=text("shop", each)))
    complain = host.nginx.complaint
    monkeypatch.setattr(
        host.nginx, "complaint", lambda files, word: complain(files, "first" if word == "unloadable" else word)
    )
    with pytest.raises(ReloadError):
        run(host, WantedSite("shop", content=text("shop", "first")))
    run(host, WantedSite("shop", version="previous"))
    assert "second" in (host.root / "enabled/shop").read_text()


def test_a_version_that_a_link_of_others_leads_to_is_not_removed(host: FakeHost) -> None:
    run(host, shop())
    version = Path(os.readlink(host.root / "enabled/shop"))
    (host.root / "enabled/copy").symlink_to(version)
    layout = replace(request(host).layout, keep=1)
    for site in (shop("two"), WantedSite("shop", ABSENT)):
        for check in (True, False):
            result = manage(replace(request(host, site, check=check, policy=Policy(frozenset(KINDS))), layout=layout))
            assert (
                result["changed"] and f"{version} stays: {host.root}/enabled/copy leads to it" in result["warnings"][0]
            )
    assert (list((host.root / "available").iterdir()), sorted(on_disk(host))) == ([version], ["copy"])
    assert not run(host, WantedSite("shop", ABSENT))["changed"]
    (host.root / "enabled/copy").unlink()
    assert run(host, WantedSite("shop", ABSENT))["changed"]
    assert not version.exists()


def test_a_fifo_that_nginx_would_wait_for_is_named_at_once(host: FakeHost) -> None:
    os.mkfifo(host.root / "enabled/theirs")
    with pytest.raises(NginxSiteError, match=r"already broken before .*: \S+/enabled/theirs is a FIFO"):
        run(host, shop())
    assert not host.nginx.tests


def test_a_directory_in_the_place_of_a_version_is_named(host: FakeHost) -> None:
    (host.root / f"available/shop@{version_id(text('shop'))}").mkdir()
    for check in (True, False):
        with pytest.raises(
            NginxSiteError, match=r"shop@\w+ is a directory, and a version of site 'shop' belongs there"
        ):
            run(host, shop(), check=check)


@pytest.mark.parametrize("place", ["enabled/versions", "here/versions"])
def test_the_directory_of_versions_is_not_made_where_nginx_reads_it(host: FakeHost, place: str) -> None:
    main = host.root / "nginx.conf"
    main.write_text(main.read_text().replace("/enabled/*;", f"/enabled/*; include {host.root}/here/*;"))
    layout = replace(request(host).layout, available=str(host.root / place))
    for check in (True, False):
        with pytest.raises(NginxSiteError, match=r"/versions lies in |read the directory \S+/versions by"):
            manage(replace(request(host, shop(), check=check), layout=layout))
    assert not (host.root / place).exists()


def test_a_program_that_is_no_nginx_is_named(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Result(("nginx", "-V"), 127, "", "error while loading shared libraries: libpcre2-8.so.0\n")
    monkeypatch.setattr(host, "run", lambda *_argv, **_options: said)
    with pytest.raises(NginxSiteError, match=r"binary 'nginx' is no nginx: .*libpcre2-8.so.0' \(exit code 127\)"):
        run(host, shop())


def test_a_file_goes_back_with_its_links(host: FakeHost) -> None:
    main = Path(host.nginx.config)
    before = main.read_bytes()
    with pytest.raises(ReloadError, match="back in place"):
        run(host, shop(), files=[WantedFile(str(main), before + b"# unloadable\n")])
    assert (main.read_bytes(), on_disk(host)) == (before, {})


# Passwords


SECRET = b"alice:$6$salt$hash\n"


def guarded(host: FakeHost, *sites: WantedSite, **options: t.Any) -> dict[str, t.Any]:
    """Run with a place of its own for passwords, and with the group of this process as that of nginx's workers."""
    asked = request(host, *sites, **options)
    layout = replace(asked.layout, passwords=f"{host.root}/passwords", workers=os.getegid())
    return manage(replace(asked, layout=layout))


def passwords(host: FakeHost) -> dict[str, tuple[bytes, str]]:
    """Return the password files and their modes."""
    found = sorted((host.root / "passwords").glob("*"))
    return {path.name: (path.read_bytes(), oct(path.stat().st_mode & 0o7777)) for path in found}


def test_passwords_are_published_with_their_site_and_shown_nowhere(host: FakeHost) -> None:
    preview = guarded(host, shop(passwords=SECRET), check=True, diff=True)
    assert preview["changed"] and passwords(host) == {}
    done = guarded(host, shop(passwords=SECRET), diff=True)
    assert passwords(host) == {"shop": (SECRET, "0o640")}
    for result in (preview, done):
        assert "hash" not in str(result)
        assert {"before": "", "after": "(not shown)\n"}.items() <= result["diff"][-1].items()
    assert not guarded(host, shop(passwords=SECRET))["changed"]


def test_a_password_that_changes_and_a_file_that_others_may_read_are_put_right(host: FakeHost) -> None:
    guarded(host, shop(passwords=SECRET))
    assert guarded(host, shop(passwords=b"bob:x\n"))["changed"]
    (host.root / "passwords" / "shop").chmod(0o644)
    assert guarded(host, shop(passwords=b"bob:x\n"), check=True)["changed"]
    assert guarded(host, shop(passwords=b"bob:x\n"))["changed"]
    assert passwords(host) == {"shop": (b"bob:x\n", "0o640")}


def test_passwords_go_when_nginx_has_loaded_the_site_without_them(host: FakeHost) -> None:
    there = []
    guarded(host, shop(passwords=SECRET))
    host.nginx.happens_at_reload = lambda: there.append(set(passwords(host)))
    assert guarded(host, shop("open"))["changed"]
    assert (there, passwords(host)) == ([{"shop"}], {})
    assert not guarded(host, shop("open"))["changed"]


def test_passwords_of_paths_come_and_go_with_them_and_with_their_site(host: FakeHost) -> None:
    below = {"@blog": b"bob:x\n", "@a@b": b"ann:x\n"}
    assert guarded(host, shop(passwords=SECRET, further_passwords=below), blog())["changed"]
    assert sorted(passwords(host)) == ["shop", "shop@a@b", "shop@blog"]
    assert not guarded(host, shop(passwords=SECRET, further_passwords=below), blog(), purge=True)["changed"]
    assert guarded(host, shop(further_passwords={"@blog": b"bob:y\n"}), blog())["changed"]
    assert passwords(host) == {"shop@blog": (b"bob:y\n", "0o640")}
    guarded(host, blog(), purge=True)
    assert passwords(host) == {}


@pytest.mark.parametrize("way", ["absent", "purge", "rename"])
def test_passwords_go_with_their_site(host: FakeHost, way: str) -> None:
    guarded(host, shop(passwords=SECRET), blog())
    if way == "absent":
        guarded(host, WantedSite("shop", ABSENT))
    elif way == "purge":
        guarded(host, blog(), purge=True)
    else:
        guarded(host, WantedSite("store", content=text("shop"), rename_from="shop", passwords=b"carol:x\n"))
    assert passwords(host) == ({"store": (b"carol:x\n", "0o640")} if way == "rename" else {})


def test_passwords_that_a_killed_run_has_left_are_removed_by_the_next(host: FakeHost) -> None:
    guarded(host, shop(passwords=SECRET), blog())
    (host.root / "passwords" / "gone").write_bytes(SECRET)
    guarded(host, blog(), purge=True)
    assert passwords(host) == {}


@pytest.mark.parametrize("state", [DISABLED, "version"])
def test_passwords_stay_for_a_site_that_may_come_back(host: FakeHost, state: str) -> None:
    guarded(host, shop(passwords=SECRET))
    guarded(host, WantedSite("shop", version=version_id(text("shop"))) if state == "version" else shop(state=DISABLED))
    assert set(passwords(host)) == {"shop"}


def test_passwords_go_back_with_a_site_that_nginx_cannot_load(host: FakeHost) -> None:
    guarded(host, shop(passwords=SECRET))
    with pytest.raises(ReloadError) as failed:
        guarded(host, shop("unloadable", passwords=b"bob:x\n"), WantedSite("new", content=b"#", passwords=SECRET))
    assert passwords(host) == {"shop": (SECRET, "0o640")}
    assert "hash" not in str(failed.value)


def test_nobody_goes_back_to_passwords_that_were_replaced(host: FakeHost) -> None:
    state = f"{host.root}/state"
    journal = Journal(host.nginx.config, 5, state)
    path = NginxLayout("/a", "/e").password_path("shop")
    other = Node("file", "", b"log_format x y;", 0o644)
    steps = [JournalStep(path, Node("file", "", b"old"), Node("file", "", SECRET)), JournalStep("/x", Node(), other)]
    journal.write(steps)
    assert journal.read() == steps
    journal.close()
    kept = [found.read_bytes() for found in Path(state).rglob("*@*")]
    assert kept == [b"log_format x y;"]


def test_a_directory_in_the_place_of_passwords_is_named(host: FakeHost) -> None:
    (host.root / "passwords" / "shop").mkdir(parents=True)
    with pytest.raises(NginxSiteError, match="passwords/shop is a directory, not a file with passwords"):
        guarded(host, shop(passwords=SECRET))


def test_a_reload_that_nobody_takes_stays_owed(host: FakeHost) -> None:
    run(host, shop())
    host.nginx.takes_signals = False
    began = host.clock.now
    with pytest.raises(ReloadError, match=r"could not be made to load them: the next run tries again.*systemctl"):
        run(host, shop("two"))
    assert on_disk(host) == {"shop": text("shop").decode()}
    assert journaled(host)
    # A second signal would wait behind the first, which loads what is back in place.
    assert host.clock.now - began < 31
    host.nginx.takes_signals = True
    done = run(host, shop())
    assert (done["changed"], done["pending"], done["reload"]["proved"], journaled(host)) == (True, True, True, False)


@pytest.mark.parametrize("check", [False, True])
def test_a_master_that_is_suspended_is_named_before_anything_changes(host: FakeHost, check: bool) -> None:
    run(host, shop())
    host.nginx.suspended, began = True, host.clock.now
    with pytest.raises(NginxSiteError, match=f"process {host.nginx.master} is suspended.*Nothing was changed.*-s CONT"):
        run(host, shop("two"), check=check)
    assert (on_disk(host), journaled(host)) == ({"shop": text("shop").decode()}, False)
    assert host.clock.now == began
    assert not run(host, shop())["changed"]


def test_a_master_that_ends_meanwhile_proves_nothing(host: FakeHost) -> None:
    run(host, shop())
    host.nginx.happens_at_reload = host.nginx.stop
    with pytest.raises(ReloadError, match="the master process ended"):
        run(host, shop("two"))
    assert on_disk(host) == {"shop": text("shop").decode()}


def test_an_error_while_links_are_swapped_puts_back_what_was_swapped(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(host, shop())

    def full(path: str, *arguments: t.Any, **options: t.Any) -> None:
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(os, "utime", full)
    with pytest.raises(OSError, match="No space left"):
        run(host, shop("two"))
    assert (on_disk(host), journaled(host), host.nginx.reloads) == ({"shop": text("shop").decode()}, False, 1)


# A run that is killed, and the next one


def kill_at_reload(host: FakeHost, *sites: WantedSite) -> None:
    """End a run between its swap and its reload."""

    def kill() -> None:
        raise Killed

    host.nginx.happens_at_reload, host.nginx.takes_signals = kill, False
    with pytest.raises(Killed):
        run(host, *sites)
    host.nginx.happens_at_reload, host.nginx.takes_signals = None, True
    host.nginx._pending = False


@pytest.mark.parametrize("wanted", ["the same", "another", "what was before"])
def test_a_run_killed_before_its_reload_is_taken_up_by_the_next(host: FakeHost, wanted: str) -> None:
    run(host, shop())
    kill_at_reload(host, shop("two"))
    assert served(host) != on_disk(host) and journaled(host)
    sites = {"the same": [shop("two")], "another": [blog()], "what was before": [shop()]}[wanted]
    assert run(host, *sites, check=True)["pending"]
    done = run(host, *sites)
    assert done["changed"] and done["pending"] and done["reload"]["proved"]
    assert served(host) == on_disk(host)
    assert ("two" in served(host)["shop"]) == (wanted != "what was before")
    assert not journaled(host) and not run(host, *sites)["changed"]


def test_a_killed_change_that_nginx_refuses_goes_back_to_before_it(host: FakeHost) -> None:
    run(host, shop())
    kill_at_reload(host, shop("unloadable"))
    with pytest.raises(ReloadError, match="back in place"):
        run(host, shop("unloadable"), blog())
    assert served(host) == on_disk(host) == {"shop": text("shop").decode()}


def test_half_a_swap_is_undone_by_the_next_run(host: FakeHost) -> None:
    run(host, shop(), blog())
    kill_at_reload(host, shop("two"), blog("two"))
    old = f"{host.root}/available/blog@{version_id(text('blog'))}"
    (host.root / "enabled/blog").unlink()
    (host.root / "enabled/blog").symlink_to(old)
    # Also when that run wants something else.
    done = run(host, WantedSite("more", content=text("more")))
    assert done["pending"] and served(host) == on_disk(host)
    assert on_disk(host) == {name: text(name).decode() for name in ("blog", "more", "shop")}


def test_a_journal_that_cannot_be_read_names_the_way_out(host: FakeHost) -> None:
    kill_at_reload(host, shop())
    journal = next((host.root / "state").glob("*.json"))
    journal.write_text("{")
    with pytest.raises(NginxSiteError, match=r"cannot be read .*reload nginx and remove that file"):
        run(host, shop())


def test_what_a_killed_run_has_left_is_swept(host: FakeHost) -> None:
    (host.root / "enabled/.flaskops-x").write_text("")
    (host.root / ".flaskops-enabled-1-0").mkdir()
    run(host, shop())
    assert leftovers(host) == []


# An nginx that does not run, and what others do


def test_an_nginx_that_does_not_run_stays_so_unless_its_start_is_asked_for(host: FakeHost) -> None:
    host.nginx.stop()
    result = run(host, shop())
    assert result["reload"]["reason"] == "nginx is not running" and not host.nginx.master and not journaled(host)
    started = run(host, shop("two"), start=True)
    assert started["reload"]["proved"] and "two" in served(host)["shop"]
    assert started["reload"]["new_workers"] == sorted(host.nginx.workers)


def test_a_start_that_fails_leaves_what_was_on_disk(host: FakeHost) -> None:
    run(host, shop())
    host.nginx.stop()
    host.journal = [(time.time() + 9, "bind() to 0.0.0.0:80 failed")]
    with pytest.raises(ReloadError, match=r"does not start.*bind\(\)[\s\S]*nginx is stopped, as it was before"):
        run(host, shop("unloadable"), start=True)
    assert (on_disk(host), journaled(host)) == ({"shop": text("shop").decode()}, False)


def test_what_somebody_else_has_changed_is_loaded_by_the_next_run(host: FakeHost) -> None:
    run(host, shop())
    path = (host.root / "enabled/shop").resolve()
    run(host, shop())
    path.touch()
    os.utime(path, (1, 1))
    found = run(host, shop(), check=True)
    assert found["unloaded"] == [f"{host.root}/enabled/shop"] and found["pending"]
    assert run(host, shop())["reload"]["proved"] and host.nginx.reloads == 2
    assert not run(host, shop())["changed"]


def test_the_inventory_tells_what_runs_and_what_is_owed(host: FakeHost) -> None:
    run(host, shop())
    kill_at_reload(host, shop("two"))
    wanted = request(host)
    (host.root / "enabled/gone").symlink_to(host.root / "nowhere")
    (host.root / "enabled/theirs").write_text("")
    told = describe_nginx(wanted.layout, nginx_of(wanted), "nginx", wanted.state)
    assert {(site["name"], site["state"]) for site in told["sites"]} == {
        ("shop", "enabled"),
        ("gone", "dangling"),
        ("theirs", "foreign"),
    }
    assert told["pending"] == [f"{host.root}/enabled/shop"]
    assert told["nginx"] == {"installed": True, "version": "1.26.3", "options": told["nginx"]["options"]}
    assert told["running"]["master"] == host.nginx.master and len(told["running"]["workers"]) == 2
    assert len(told["running"]["leaving"]) == 2


def test_two_masters_of_an_exchanged_binary_are_refused(host: FakeHost) -> None:
    """Each takes connections with the configuration that it has loaded: no reload reaches both."""
    old, new = host.nginx.master, 900
    host.titles = {new: host.title(old), 901: "nginx: worker process"}
    host.parents = {new: old, 901: new}
    with pytest.raises(NginxSiteError, match=rf"{old} \(old\) and {new} \(new\).*kill -s QUIT {old}"):
        run(host, shop())
    assert on_disk(host) == {}


def test_the_lock_is_waited_for_and_named(host: FakeHost) -> None:
    seen: list[str] = []

    def second() -> None:
        started = time.monotonic()
        with pytest.raises(OSError, match="sites of nginx") as failed:
            run(host, blog(), lock_timeout=0.05)
        seen.append(f"{type(failed.value).__name__} {time.monotonic() - started < 5}")

    host.nginx.happens_at_reload = second
    run(host, shop())
    assert len(seen) == 1


def test_answers_of_sites_that_keep_none_any_more_are_removed(host: FakeHost) -> None:
    prefix = f"{host.root}/answers"
    for name in ("shop", "blog", "wiki", "former", "of-others"):
        (host.root / f"answers-{name}/1/2").mkdir(parents=True)

    def kept(*sites: WantedSite, **options: t.Any) -> tuple[bool, list[str]]:
        result = run(host, *sites, answers=prefix, **options)
        found = sorted(path.name.partition("-")[2] for path in host.root.glob("answers-*"))
        return result["changed"], found

    using = f'proxy_cache_path "{prefix}-shop" levels=1:2;\n'.encode()
    keeping = replace(shop(), content=using + (shop().content or b""))
    # Those of a site that has another name now, or a name that begins with it, are not those of this one.
    everything = ["blog", "former", "of-others", "shop", "wiki"]
    assert kept(keeping, check=True) == (True, everything)
    assert kept(keeping) == (True, everything)
    assert kept(keeping, blog(), check=True) == (True, everything)
    assert kept(keeping, blog(), WantedSite("wiki", ABSENT)) == (True, ["former", "of-others", "shop"])
    assert kept(keeping, blog(), WantedSite("wiki", ABSENT)) == (False, ["former", "of-others", "shop"])
    assert kept(WantedSite("shop", DISABLED), blog()) == (True, ["former", "of-others"])
    assert kept(replace(keeping, name="store", rename_from="former"), blog()) == (True, ["of-others"])
    assert kept(blog(), purge=True) == (True, [])
