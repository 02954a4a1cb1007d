# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which accounts of a host an application may run as. Private to flaskops.stack."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

# Debian policy 9.2.2: ids below 100 belong to the base system on every host, 65534 is "nobody".
_FIRST_FREE, _NOBODY = 100, 65534
# Accounts that packages make with ids of their own, and whose files or sockets are the host's.
_SYSTEM = re.compile(r"systemd-.*|_.*|nginx|www-data|messagebus|sshd|polkitd|nobody")
# Accounts of the base system, and of servers that are often installed beside an application, perhaps later: their
# packages take an account of this name for their own.
_PACKAGED = re.compile(
    r"daemon|bin|sys|sync|games|man|lp|mail|news|uucp|proxy|backup|list|irc|operator|staff|users|ssh|ssl-cert|crontab|"
    r"postgres|mysql|redis|valkey|rabbitmq|memcache|mongodb|haproxy|varnish|caddy|postfix|postdrop|dovecot|dovenull"
)
# Groups by which a process becomes root, or reads what only root may.
_POWERFUL = re.compile(r"root|sudo|wheel|adm|docker|lxd|incus(-admin)?|libvirt(-qemu)?|kvm|disk|shadow|systemd-.*")


class UserError(ValueError):
    """A user or group that an application must not have."""


@dataclass(frozen=True)
class Account:
    """A user or group that exists on the host, and whether this collection made it for an application."""

    name: str
    id: int
    is_ours: bool = False
    runs_web_server: bool = False


@dataclass(frozen=True)
class Claim:
    """The user and the group that an application asks for."""

    app: str
    user: str
    group: str
    # Whether the description names them, instead of the application's name standing for them.
    names_user: bool
    names_group: bool
    # The ids that the application's data belongs to already; None before its first deploy.
    data: t.Optional[t.Tuple[int, int]] = None


def check_claim(claim: Claim, user: Account | None, group: Account | None) -> None:
    """Raise UserError when the application must not run as this user or group; None is one that does not exist.

    An account that exists, and that this collection has not made, belongs to another service or person: its files and
    its processes would be the application's. Only C(user) or C(group) in the description says that this is meant.
    """
    if user is not None:
        _check_user(claim, user)
    if group is not None:
        _check_group(claim, group, user)
    if claim.data is None:
        _check_new_names(claim, user is None, group is None)


def _check_user(claim: Claim, user: Account) -> None:
    has_data = claim.data is not None and claim.data[0] == user.id
    way_out = f"set user: to a name that no account has, such as {claim.app}-app, or rename the application"
    if has_data:
        way_out = (
            f"run the playbook remove with -e app={claim.app} (the data stays), and then this one with "
            f"user: {claim.app}-app, which hands the data over"
        )
    if user.name == "root" or user.id == 0:
        raise UserError(f"user '{user.name}' is root: an application runs as a user of its own; leave 'user' out")
    if user.runs_web_server:
        raise UserError(
            f"user '{user.name}' runs nginx, whose connections and files the application would control: {way_out}. "
            "nginx reaches the application through gunicorn.socket_group"
        )
    if _is_system(user):
        raise UserError(
            f"user '{user.name}' is an account of the system (uid {user.id}), whose files and processes the "
            f"application would control: {way_out}"
        )
    if not (user.is_ours or claim.names_user or has_data):
        raise UserError(
            f"user '{user.name}' (uid {user.id}) exists on this host and was not made for an application: {way_out}. "
            f"If the application is to run as this user, say so with user: {user.name}"
        )


def _check_new_names(claim: Claim, user_is_new: bool, group_is_new: bool) -> None:
    if user_is_new and _is_made_by_package(claim.user):
        raise UserError(
            f"user '{claim.user}' is one that a package makes, or takes for its own when it is there: the application "
            f"would control the package's files and processes. Set user: to another name, such as {claim.app}-app, or "
            "rename the application"
        )
    if group_is_new and _is_made_by_package(claim.group):
        raise UserError(
            f"group '{claim.group}' is one that a package makes, or takes for its own when it is there: the "
            f"application would have its rights. Set group: to another name, such as {claim.app}-app, or leave it out"
        )


def _check_group(claim: Claim, group: Account, user: Account | None) -> None:
    way_out = f"set group: to a name that no group has, such as {claim.app}-app, or leave it out"
    if _is_system(group) or _POWERFUL.fullmatch(group.name):
        raise UserError(
            f"group '{group.name}' (gid {group.id}) is a group of the system, whose rights the application would "
            f"have: {way_out}. nginx reaches the application through gunicorn.socket_group"
        )
    # A user that may be used brings its group.
    named = user is not None or claim.names_user or claim.names_group
    if not (named or (claim.data and claim.data[1] == group.id)):
        raise UserError(
            f"group '{group.name}' (gid {group.id}) exists on this host and was not made for an application: "
            f"{way_out}. If the application is to have this group, say so with group: {group.name}"
        )


def _is_made_by_package(name: str) -> bool:
    return any(names.fullmatch(name) for names in (_SYSTEM, _POWERFUL, _PACKAGED))


def _is_system(account: Account) -> bool:
    return account.id < _FIRST_FREE or account.id == _NOBODY or bool(_SYSTEM.fullmatch(account.name))
