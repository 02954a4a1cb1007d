# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notices of what a run has deployed: who gets one, and what is in it. Pure. Private to flaskops.stack.

C(flask_notify) is read here and nowhere else, because YAML reads its key C(on) as a truth value when it has no quotes,
and because an error must not show a URL, which holds a token.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..module_utils._input.printable import printable
from ..module_utils._input.redact import mask, mask_urls
from ..module_utils._input.values import InputError, read_flag, split_text

Entry = t.Mapping[str, t.Any]

VARIABLE = "flask_notify"
EVENTS = ("success", "failure", "rollback")
_EXAMPLE = "{url: 'https://hooks.example.com/...', on: [failure, rollback]}"
_KEYS = ("url", "on", "apps", "allow_http")
# What YAML makes of the key 'on', and what is left of it as a text.
_ON = ("on", "True", "true")

# What may be quoted: a URL in a wrong place holds a token, too.
_QUOTABLE = re.compile(r"\w{1,20}")
_CALL = re.compile(r"(?<!\w)@")
_LONGEST_REASON = 300
_LONGEST_TEXT = 3000
_MOST_HOSTS = 10


@dataclass(frozen=True)
class Notice:
    """Where a notice goes, and of what."""

    url: str
    on: tuple[str, ...]
    # Applications; none for all.
    apps: tuple[str, ...]


def read_notices(value: object) -> list[Notice]:
    """Return who gets notices; raise InputError, which shows no URL, for what cannot be used."""
    if value is None or value == "":
        return []
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{VARIABLE} must be a list: write '{VARIABLE}:' and below it '  - {_EXAMPLE}'")
    return [_read(item, f"{VARIABLE}[{number}]") for number, item in enumerate(value)]


def _read(item: object, place: str) -> Notice:
    if not isinstance(item, t.Mapping):
        raise InputError(f"{place} must be a dictionary: write '- {_EXAMPLE}'")
    given: dict[str, object] = {}
    for key, value in item.items():
        name = "on" if str(key) in _ON else str(key)
        if name not in _KEYS:
            said = _quote(name, "no option ") or "a key that is no option"
            raise InputError(f"{place} has {said}: choose from {', '.join(_KEYS)}")
        if name in given:
            raise InputError(f"{place}.{name} is given twice: leave one of them")
        given[name] = value
    plain = read_flag(given.get("allow_http") or False)
    if plain is None:
        raise InputError(f"{place}.allow_http must be true or false")
    # Not given, or null, stands for all.
    events = EVENTS if given.get("on") is None else _texts(given["on"], f"{place}.on", EVENTS)
    apps = () if given.get("apps") is None else _texts(given["apps"], f"{place}.apps", ())
    return Notice(_check_url(given.get("url"), f"{place}.url", plain), events, apps)


def _texts(value: object, path: str, choices: tuple[str, ...]) -> tuple[str, ...]:
    found = split_text(value) if isinstance(value, str) else value
    wanted = f"one or more of {', '.join(choices)}" if choices else "a list of names of applications"
    if not isinstance(found, (list, tuple)) or not found:
        raise InputError(f"{path} must be {wanted}: to send no notices, leave out the entry")
    for element in found:
        if not isinstance(element, str) or (choices and element not in choices):
            raise InputError(f"{path} must be {wanted}{_quote(element, ', not ')}")
    return tuple(dict.fromkeys(found))


def _quote(value: object, before: str) -> str:
    """Return a wrong value with C(before) in front, empty for one that may be a URL."""
    return f"{before}'{value}'" if _QUOTABLE.fullmatch(str(value)) else ""


def _check_url(value: object, path: str, allow_http: bool) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"{path} must be the URL to post to, as a text")
    # urllib removes some of these without a word.
    if any(ord(char) <= 32 or ord(char) == 127 for char in value):
        raise InputError(f"{path} has a blank or a control character in it")
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise InputError(f"{path} is no URL: its host or port cannot be read") from None
    if not host or parts.scheme not in ("https", "http"):
        raise InputError(f"{path} must begin with https:// and a host")
    if parts.scheme == "http" and not is_loopback(host) and not allow_http:
        raise InputError(
            f"{path} must begin with https://, or any host on the way can read its token; to accept that: "
            "allow_http: true"
        )
    return value


def is_loopback(host: str) -> bool:
    """Tell whether a host is this one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True)
class _Outcome:
    """What became of an application on a host."""

    name: str
    host: str
    result: str
    failed: bool
    release: str = ""
    previous: str = ""
    serving: str = ""
    version: str = ""
    seconds: float = 0.0
    reason: str = ""


def bodies(entries: t.Sequence[Entry], about: Entry) -> list[tuple[str, dict[str, t.Any]]]:
    """Return the URLs that get a notice of a run, and what is posted to each; C(about) is what all of them say."""
    hosts: dict[Notice, set[str]] = {}
    for entry in entries:
        for given in entry["notices"] if entry["kind"] == "notices" else ():
            notice = Notice(given["url"], tuple(given["on"]), tuple(given["apps"]))
            hosts.setdefault(notice, set()).add(entry["host"])
    secrets = [notice.url for notice in hosts]
    found = []
    for notice, told in hosts.items():
        # A notice is about the hosts that ask for it.
        body = _body([entry for entry in entries if entry["host"] in told], notice, about, secrets)
        if body:
            found.append((notice.url, body))
    return found


def _body(
    entries: t.Sequence[Entry], notice: Notice, about: Entry, secrets: t.Sequence[str]
) -> dict[str, t.Any] | None:
    outcomes = _outcomes(entries, secrets)
    failures = _failures(entries, outcomes, secrets)
    if notice.apps:
        outcomes = [outcome for outcome in outcomes if outcome.name in notice.apps]
    events = {outcome.result for outcome in outcomes}
    if failures or any(outcome.failed for outcome in outcomes):
        events.add("failure")
    if not events & set(notice.on):
        return None
    urls = {entry["name"]: entry["url"] for entry in entries if entry["kind"] == "app"}
    applications = [_application(group, urls) for group in _groups(outcomes)]
    reasons = [one["reason"] for one in [*applications, *failures] if one["reason"]]
    return {
        "text": _text(applications, failures, about),
        "result": next(
            event
            for event in ("failure", "rollback", "success")
            if event in {outcome.result for outcome in outcomes} | ({"failure"} if failures else set())
        ),
        "events": [event for event in EVENTS if event in events],
        "hosts": sorted({outcome.host for outcome in outcomes} | {failure["host"] for failure in failures}),
        "reason": reasons[0] if reasons else "",
        "applications": applications,
        "failures": failures,
        **about,
    }


def _outcomes(entries: t.Sequence[Entry], secrets: t.Sequence[str]) -> list[_Outcome]:
    """Return what became of the applications that were deployed, or were not although they were to be."""
    found: dict[tuple[str, str], _Outcome] = {}
    for entry in entries:
        if entry["kind"] == "app" and entry["error"]:
            reason, serving = _reason(entry["error"], secrets), entry.get("serving") or ""
            outcome = _Outcome(entry["name"], entry["host"], "failure", True, serving=serving, reason=reason)
        elif entry["kind"] == "service":
            outcome = _service(entry, secrets)
        else:
            continue
        known = found.get((outcome.name, outcome.host))
        # site.yml may come twice to a service: what was switched, and what failed, is not undone by finding it there.
        if known is None or outcome.result != "unchanged":
            found[outcome.name, outcome.host] = outcome
    return [outcome for outcome in found.values() if outcome.result != "unchanged"]


def _service(entry: Entry, secrets: t.Sequence[str]) -> _Outcome:
    release, previous = entry["release"] or "", entry["previous"] or ""
    reason = _reason(entry["error"] or entry["warning"], secrets)
    result = "success"
    if entry["error"]:
        result = "rollback" if entry["reverted"] else "failure"
    elif entry["warning"]:
        result = "failure"
    elif previous == release or not release:
        result = "unchanged"
    elif entry["rollback"]:
        result = "rollback"
    return _Outcome(
        entry["name"],
        entry["host"],
        result,
        bool(reason),
        release,
        previous,
        previous if entry["error"] else release,
        entry.get("version") or "",
        round(float(entry["seconds"] or 0), 3),
        reason,
    )


def _failures(
    entries: t.Sequence[Entry], outcomes: t.Sequence[_Outcome], secrets: t.Sequence[str]
) -> list[dict[str, str]]:
    """Return what failed beside the applications: one reason for each host, the first."""
    found: dict[str, dict[str, str]] = {}
    told = {outcome.host for outcome in outcomes if outcome.failed}
    for kinds in (("lost", "failed"), ("stopped",)):
        for entry in entries:
            if entry["kind"] not in kinds or entry.get("accepted"):
                continue
            # A task that ends with an error often only repeats one.
            if entry["kind"] == "stopped" and entry["host"] in told:
                continue
            reason = _reason(entry["error"], secrets)
            found.setdefault(entry["host"], {"host": entry["host"], "stage": entry["stage"], "reason": reason})
    for host, stage in _unfinished(entries).items():
        found.setdefault(host, {"host": host, "stage": stage, "reason": "it was interrupted"})
    return [found[host] for host in sorted(found)]


def _unfinished(entries: t.Sequence[Entry]) -> dict[str, str]:
    """Return the hosts whose last task has begun and not ended, and its stage."""
    found: dict[str, str] = {}
    for entry in entries:
        if entry["kind"] == "begun":
            found[entry["host"]] = entry["stage"]
        elif entry["kind"] in ("ended", "stopped") and found.get(entry["host"]) == entry["stage"]:
            del found[entry["host"]]
    return found


def _groups(outcomes: t.Sequence[_Outcome]) -> list[list[_Outcome]]:
    """Return the outcomes that differ in nothing but their host and time, together."""
    found: dict[tuple[object, ...], list[_Outcome]] = {}
    for one in sorted(outcomes, key=lambda outcome: (outcome.name, outcome.host)):
        key = (one.name, one.result, one.failed, one.release, one.previous, one.serving, one.version, one.reason)
        found.setdefault(key, []).append(one)
    return list(found.values())


def _application(group: t.Sequence[_Outcome], urls: t.Mapping[str, str]) -> dict[str, t.Any]:
    first = group[0]
    url = urls.get(first.name, "")
    return {
        "application": first.name,
        "result": first.result,
        "failed": first.failed,
        "hosts": [outcome.host for outcome in group],
        "release": first.release,
        "previous": first.previous,
        "serving": first.serving,
        "version": first.version,
        "url": url if "://" in url else "",
        "duration": max(outcome.seconds for outcome in group),
        "reason": first.reason,
    }


def _text(applications: t.Sequence[Entry], failures: t.Sequence[Entry], about: Entry) -> str:
    lines = [_line(one) for one in applications]
    lines += [f"Failed on {one['host']} ({one['stage']}): {one['reason'] or 'see its output'}" for one in failures]
    lines = [_harmless(line) for line in [*lines, f"By {about['by']}, {about['duration']:.0f} s"]]
    text = "\n".join(lines)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


def _line(one: Entry) -> str:
    hosts = one["hosts"]
    where = ", ".join(hosts[:_MOST_HOSTS]) + (f" and {len(hosts) - _MOST_HOSTS} more" if hosts[_MOST_HOSTS:] else "")
    release = one["release"] + (f", version {one['version']}" if one["version"] else "")
    serving = f"{one['serving']} serves" if one["serving"] else "nothing serves"
    if one["failed"]:
        what = "reverted" if one["result"] == "rollback" else "failed"
        tried = f" of {release}" if release else ""
        known = f"; {serving}" if release and " serves again" not in one["reason"] else ""
        return f"{one['application']}: deploy{tried} {what} on {where}: {one['reason']}{known}"
    verb = "rolled back to" if one["result"] == "rollback" else "deployed"
    more = [
        f"before: {one['previous'] or 'nothing'}",
        f"{one['duration']:.1f} s",
        *([one["url"]] if one["url"] else []),
    ]
    return f"{one['application']}: {verb} {release} on {where}; {'; '.join(more)}"


def _reason(error: str, secrets: t.Sequence[str]) -> str:
    line = (printable(mask_urls(mask(error, secrets))).strip().splitlines() or [""])[0]
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 1]}…"


def _harmless(line: str) -> str:
    """Return a line without mentions and links: Slack and Mattermost read some of it, and logs are quoted."""
    text = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A word joiner, which is invisible. Names of users and units have something before it.
    return _CALL.sub("@\u2060", text)
