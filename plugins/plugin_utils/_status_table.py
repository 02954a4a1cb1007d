# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a fleet as text. Pure. Private to flaskops.stack."""

from __future__ import annotations

import typing as t

from ..module_utils._deploy.unhealthy import times
from ._become import explain_missing, explain_refused
from ._fleet import others, status_lines

Item = t.Mapping[str, t.Any]

_COLUMNS = ("HOST", "APP", "RELEASE", "VERSION", "HEALTH", "UP", "MEMORY", "DISK", "PYTHON", "GUNICORN")
_RELEASES = ("HOST", "APP", "RELEASE", "VERSION", "BUILT", "STATE")
_CERTIFICATES = ("HOST", "SITE", "CERTIFICATE", "ENDS", "DAYS")
_LONGEST = 100
# Visitors do not get what it answers.
_UNPUBLISHED = ", not published"


def by_host(results: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """Return, by host, the applications that module flask_status has found there, or why it has found none."""
    found = {}
    for host, result in results.items():
        known = isinstance(result, dict) and "apps" in result
        reason = _reason(result) if isinstance(result, dict) else ""
        found[host] = {"apps": result["apps"] if known else [], "error": "" if known else reason or "not reached"}
        if known and result.get("certificates"):
            found[host]["certificates"] = result["certificates"]
        if known and result.get("unknown"):
            found[host].update(unknown=result["unknown"], known=result["known"])
    return found


def _reason(result: Item) -> str:
    """Return why a host has said nothing of its applications."""
    said = "\n".join(str(result.get(key) or "") for key in ("module_stderr", "module_stdout", "msg"))
    return explain_missing(said) or explain_refused(said) or str(result.get("msg") or "")


def render_status(hosts: t.Mapping[str, Item]) -> str:
    """Return what the fleet serves, tables of applications, certificates and releases, and what is unusual."""
    apps = [
        (host, app)
        for host, found in hosts.items()
        for app in found["apps"]
        if app["name"] not in found.get("unknown", [])
    ]
    notes = [f"{host}: {fault}" for host, found in hosts.items() for fault in _unknown_names(found)]
    notes += [f"{host}: {_short(found['error'])}" for host, found in hosts.items() if found["error"]]
    notes += [f"{host}: no application" for host, found in hosts.items() if not found["apps"] and not found["error"]]
    notes += [f"{host} {app['name']}: {note}" for host, app in apps for note in _notes(app)]
    parts = []
    if len(hosts) > 1:
        parts += ["\n".join(status_lines(hosts))]
    if apps:
        parts.append(_table(_COLUMNS, [_row(host, app) for host, app in apps]))
    certificates = [(host, one) for host, found in hosts.items() for one in found.get("certificates", [])]
    if certificates:
        parts.append(_table(_CERTIFICATES, [_certificate_row(host, one) for host, one in certificates]))
    notes += [
        f"{host} {one['name']}: certificate: {note}" for host, one in certificates if (note := _certificate_note(one))
    ]
    if notes:
        parts.append("\n".join(notes))
    rows = [_release_row(host, app, release) for host, app in apps for release in app["releases"]]
    if rows:
        parts.append(_table(_RELEASES, rows))
    return "\n\n".join(filter(None, parts))


def _unknown_names(found: Item) -> list[str]:
    """Return which applications that were asked for a host does not have, in sentences."""
    return [f"there is no application '{name}'; {others(name, found)}" for name in found.get("unknown") or []]


def _table(titles: t.Sequence[str], rows: t.Sequence[t.Sequence[str]]) -> str:
    widths = [max(len(row[number]) for row in [titles, *rows]) for number in range(len(titles))]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in [titles, *rows]
    )


def _row(host: str, app: Item) -> tuple[str, ...]:
    up = duration(app["uptime"]) if app["running"] else "-"
    return (
        host,
        app["name"],
        app["current"] or "-",
        _version(app),
        _health(app),
        up,
        size(app["memory"]),
        size(app["disk"]),
        app["python"] or "-",
        app["gunicorn"] or "-",
    )


def _version(item: Item) -> str:
    """Return tag and commit, as far as there are any."""
    revision = str(item["revision"] or "")[:7]
    return str(item["version"] or revision or "-")


def _health(app: Item) -> str:
    answers = app["answers"]
    if app["healthy"] and not answers:
        return "asleep" + _UNPUBLISHED * (app.get("published") is False)
    if app["healthy"]:
        slowest = max(answer["seconds"] for answer in answers)
        return f"{answers[0]['status']}, {slowest * 1000:.0f} ms" + _UNPUBLISHED * (app.get("published") is False)
    if not answers:
        return "nothing runs"
    if app.get("ill"):
        return "FAILS, keeps ending"
    failed = next((answer for answer in answers if answer["problem"]), answers[0])
    return f"FAILS, {failed['status'] or 'no answer'}"


def _notes(app: Item) -> list[str]:
    """Return what is not as it should be, or as usual."""
    found = [
        f"instance {answer['instance']}: {_short(answer['problem'])}" for answer in app["answers"] if answer["problem"]
    ]
    asleep = app.get("asleep", 0)
    if asleep and asleep < app["instances"]:
        found.append(f"{asleep} of {app['instances']} instances are asleep")
    if app["running"] + asleep < app["instances"]:
        found.append(f"{app['running']} of {app['instances']} instances run")
    if app.get("ill"):
        found.append(_short(app["ill"]))
    elif app["restarts"]:
        found.append(f"systemd had to start it again, {times(app['restarts'])}")
    idle = [unit["unit"] for unit in app["beside"] if unit["state"] == "failed"]
    found += [f"failed beside it: {', '.join(idle)}"] if idle else []
    if app.get("published") is False:
        found.append(
            "not published: no site of nginx leads to it. Set domains and run site.yml, or see why it refused the site"
        )
    found += [app["edited"]] if app.get("edited") else []
    found += [
        f"release {release['id']} counts as unfinished: {release['reason']}" for release in app.get("damaged", [])
    ]
    found += [app["obstacle"]] if app.get("obstacle") else []
    found += ["closed for maintenance"] if app["maintenance"] else []
    return found + _deploys(app)


def _deploys(app: Item) -> list[str]:
    """Return what goes on, was killed or has failed."""
    lock, begun, failed = app["lock"], app["unfinished"], app["failed"]
    if lock:
        who = f"{lock['who'] or 'an unknown user'}, process {lock['pid']}, since {lock['since']}"
        return [f"locked by {who}, for: {lock['what']}"]
    if begun:
        when = f"begun {begun['when']} by {begun['by']}"
        where = (
            "after its switch: the next run clears up" if begun["release"] == app["current"] else "before its switch"
        )
        return [f"{begun.get('what', 'deploy')} of {begun['release']}, {when}, was killed {where}"]
    if failed:
        when = f"{failed['when']} by {failed.get('by', '?')}, release {failed['release']}"
        return [f"last {failed.get('what', 'deploy')} failed, {when}: {_short(failed.get('reason', ''))}"]
    return []


def _release_row(host: str, app: Item, release: Item) -> tuple[str, ...]:
    state = release["state"] + (", rollback goes here" if release["rollback"] else "")
    return (
        host,
        app["name"],
        release["id"],
        _version(release),
        str(release["built"])[:16].replace("T", " "),
        _short(state),
    )


def _certificate_row(host: str, one: Item) -> tuple[str, ...]:
    if not one["issued"]:
        return (host, one["name"], "self-signed", "-", "-")
    return (host, one["name"], "of a CA", one["not_after"], str(one["days"]))


def _certificate_note(one: Item) -> str:
    """Return what is wrong with a certificate; empty for nothing."""
    ended = "it has ended. " if one["issued"] and one["days"] < 0 else ""
    when = f" (tried {one['failed']})" if one["failed"] else ""
    return f"{ended}{_short(one['problem'])}{when}" if one["problem"] else ended.strip()


def _short(text: object) -> str:
    """Return the first line, or its beginning."""
    line = (str(text).splitlines() or [""])[0]
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def duration(seconds: int) -> str:
    """Return a time in its two greatest units."""
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes}m" if hours else f"{minutes}m {rest}s" if minutes else f"{rest}s"


def size(number: int) -> str:
    """Return bytes in a unit that fits; a dash for none."""
    if not number:
        return "-"
    value = number / 2**20
    return f"{value / 1024:.1f} GB" if value >= 1000 else f"{value:.0f} MB" if value >= 1 else "1 MB"
