# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which accounts of a host an application may run as."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._system.account import (
    Account,
    Claim,
    UserError,
    check_claim,
)

SHOP = Claim("shop", "shop", "shop", names_user=False, names_group=False)
OURS = Account("shop", 998, is_ours=True)
THEIRS = Account("shop", 1001)
GROUP = Account("shop", 1001)


@pytest.mark.parametrize(
    ("claim", "user", "group"),
    [
        (SHOP, None, None),
        (SHOP, OURS, Account("shop", 998)),
        # Named in the description: meant.
        (replace(SHOP, names_user=True), THEIRS, GROUP),
        (replace(SHOP, group="web-team", names_group=True), None, Account("web-team", 1005)),
        # It ran as this user before this check was there.
        (replace(SHOP, data=(1001, 1001)), THEIRS, GROUP),
        # The user was removed and its group stayed, because another user is in it.
        (replace(SHOP, data=(998, 1001)), None, GROUP),
    ],
)
def test_an_account_made_for_applications_or_named_may_be_used(
    claim: Claim, user: Account | None, group: Account | None
) -> None:
    check_claim(claim, user, group)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(
    ("name", "uid"),
    [
        ("root", 0),
        ("toor", 0),
        ("backup", 34),
        ("mail", 8),
        ("www-data", 33),
        ("nobody", 65534),
        ("nginx", 997),
        ("systemd-network", 998),
        ("_apt", 42),
        ("_chrony", 105),
        ("messagebus", 101),
    ],
)
def test_an_account_of_the_system_is_always_refused(name: str, uid: int, named: bool) -> None:
    claim = Claim(name, name, name, names_user=named, names_group=named, data=(uid, uid))
    with pytest.raises(UserError, match=f"'{name}'.*( user: |leave 'user' out)"):
        check_claim(claim, Account(name, uid), Account(name, uid))


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("name", ["nginx", "www-data", "mail", "sshd", "systemd-resolve", "postgres", "mysql", "redis"])
def test_an_account_that_a_package_will_make_is_not_made_for_an_application(name: str, named: bool) -> None:
    """The package would take the account for its own: the application would control its files and processes."""
    user = Claim(name, name, name, names_user=named, names_group=named)
    with pytest.raises(UserError, match=f"user '{name}' .*package.*Set user: .*{name}-app"):
        check_claim(user, None, None)
    group = Claim("shop", "shop", name, names_user=False, names_group=True)
    with pytest.raises(UserError, match=f"group '{name}' .*package.*Set group: .*shop-app"):
        check_claim(group, None, None)


def test_an_application_that_has_the_account_of_a_database_for_its_own_keeps_it() -> None:
    claim = Claim("redis", "redis", "redis", names_user=False, names_group=False)
    check_claim(claim, Account("redis", 998, is_ours=True), Account("redis", 998))
    # Both were removed with the application, and its data has stayed.
    check_claim(replace(claim, data=(998, 998)), None, None)
    # An application that says so may be the database's, once that is there.
    check_claim(replace(claim, names_user=True), Account("redis", 998), Account("redis", 998))


def test_the_user_of_a_running_nginx_is_refused_under_any_name() -> None:
    claim = Claim("shop", "web", "web", names_user=True, names_group=False)
    with pytest.raises(UserError, match=r"'web' runs nginx.*socket_group"):
        check_claim(claim, Account("web", 1003, runs_web_server=True), None)


def test_an_application_that_runs_as_such_a_user_already_has_a_way_out_that_is_open() -> None:
    """Another user alone would be refused, because the data belongs to this one."""
    claim = Claim("shop", "www-data", "www-data", names_user=True, names_group=False, data=(33, 33))
    with pytest.raises(UserError, match=r"playbook remove with -e app=shop .*user: shop-app"):
        check_claim(claim, Account("www-data", 33, runs_web_server=True), None)


def test_an_account_of_somebody_else_is_refused_with_both_ways_out() -> None:
    with pytest.raises(UserError, match=r"'shop' \(uid 1001\) exists.*user: to a name .* shop-app.*user: shop$"):
        check_claim(SHOP, THEIRS, GROUP)


@pytest.mark.parametrize("name", ["docker", "sudo", "adm", "disk", "shadow", "lxd", "systemd-journal"])
@pytest.mark.parametrize("named", [False, True])
def test_a_group_with_rights_of_its_own_is_always_refused(name: str, named: bool) -> None:
    claim = Claim(name, name, name, names_user=named, names_group=named)
    with pytest.raises(UserError, match=f"group '{name}' .*rights"):
        check_claim(claim, None, Account(name, 990))


def test_a_group_of_somebody_else_is_refused_unless_named() -> None:
    with pytest.raises(UserError, match=r"group 'shop' \(gid 1001\) exists.*say so with group: shop"):
        check_claim(SHOP, None, GROUP)
