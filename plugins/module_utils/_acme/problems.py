# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from certbot's output and log why a CA has refused. Pure. Private to flaskops.stack.

certbot prints type and domain of a problem in some cases only; its log has each problem document as the CA has sent it.
"""

from __future__ import annotations

import calendar
import json
import re
import typing as t
from contextlib import suppress
from datetime import datetime

from .model import Problem

_ERROR = "urn:ietf:params:acme:error:"
NONCE, RATE_LIMITED, NO_ACCOUNT = "badNonce", "rateLimited", "accountDoesNotExist"
# What happens between certbot and the CA when there is no CA.
UNREACHABLE = "unreachable"
# Seconds that a CA that says no time is left alone.
_PATIENCE = 3600
_BEGIN = "certbot version:"
_RECEIVED = "Received response:\n"
_BLOCK = re.compile(
    r"^ *Domain: *(\S+)\n *Type: *(\S+)\n *Detail: *(.+(?:\n(?! *(?:Domain|Hint):) *\S.*)*)", re.MULTILINE
)
_RETRY = re.compile(r"retry after (\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)", re.IGNORECASE)
_HEADER = re.compile(r"^Retry-After: *(\d{1,9})\s*$", re.MULTILINE | re.IGNORECASE)
_FAILED = re.compile(
    r":(?:ERROR|WARNING):[^\n]*?(?:Failed to renew certificate (\S+) with error: (.+)"
    r"|Attempting to renew cert \((\S+)\) from \S+ produced an unexpected error: (.+))"
)
# A certificate that certbot does not even look at.
_BROKEN = re.compile(
    r":(?:ERROR|WARNING):[^\n]*?Renewal configuration file \S*?([^/\s]+)\.conf"
    r"(?: is broken\.\n[^\n]*?The error was: | \(cert: \S+\) produced an unexpected error: )(.+)"
)
BROKEN = "its settings are broken: "


def find_problems(output: str, log: str, now: float) -> list[Problem]:
    """Return why certbot has got no certificate, as the CA put it; without a word of the CA's, certbot's own."""
    documents = list(_documents(log))
    until = max((_until(document, headers, now) for document, headers in documents), default=0)
    found = [
        _problem(kind, " ".join(detail.split()), domain, until, now) for domain, kind, detail in _BLOCK.findall(output)
    ]
    if found:
        return found
    for document, _headers in reversed(documents):
        if not str(document["type"]).endswith(NONCE) or all(
            str(one["type"]).endswith(NONCE) for one, _headers in documents
        ):
            return _from_document(document, until, now)
    return [Problem(UNREACHABLE if _is_unreachable(output) else "certbot", _last_words(output))]


def _problem(kind: str, detail: str, domain: str, until: float, now: float) -> Problem:
    kind = kind.replace(_ERROR, "")
    limited = kind == RATE_LIMITED
    return Problem(kind, detail, domain, (until if until > now else now + _PATIENCE) if limited else 0)


def _from_document(document: t.Mapping[str, t.Any], until: float, now: float) -> list[Problem]:
    parts = [one for one in document.get("subproblems") or [] if isinstance(one, dict) and "identifier" in one]
    found = [
        _problem(
            str(one.get("type", "")), str(one.get("detail", "")), str(one["identifier"].get("value", "")), until, now
        )
        for one in parts
        if isinstance(one["identifier"], dict)
    ]
    return found or [_problem(str(document["type"]), str(document.get("detail", "")), "", until, now)]


def _documents(log: str) -> t.Iterator[tuple[dict[str, t.Any], str]]:
    """Yield the problem documents of certbot's last run, each with the headers that it came with."""
    for part in log.rpartition(_BEGIN)[2].split(_RECEIVED)[1:]:
        headers, _blank, body = part.partition("\n\n")
        try:
            document, _end = json.JSONDecoder().raw_decode(body.lstrip())
        except ValueError:
            continue
        if isinstance(document, dict) and str(document.get("type", "")).startswith(_ERROR):
            yield document, headers


def _until(document: t.Mapping[str, t.Any], headers: str, now: float) -> float:
    """Return until when the CA does not want to be asked; 0 when it does not say so."""
    found = _RETRY.search(str(document.get("detail", "")))
    # A day that there is not, such as the 30th of February, says nothing.
    with suppress(ValueError):
        if found:
            return float(calendar.timegm(datetime.fromisoformat("T".join(found.groups())).timetuple()))
    header = _HEADER.search(headers)
    return now + int(header.group(1)) if header and str(document["type"]).endswith(RATE_LIMITED) else 0


def _is_unreachable(output: str) -> bool:
    words = (
        "ConnectionError",
        "Connection refused",
        "timed out",
        "Requesting ",
        "Network is unreachable",
        "Name or service",
    )
    return any(word in output for word in words)


def _last_words(output: str) -> str:
    """Return what certbot has said, without where to read more."""
    noise = ("Saving debug log", "Ask for help", "Requesting a certificate", "An unexpected error occurred", "Hint:")
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.strip().startswith(noise)]
    return " ".join(lines[-5:]) or "certbot ended without a word; see /var/log/letsencrypt/letsencrypt.log"


def failed_renewals(log: str) -> dict[str, str]:
    """Return why certificates were not renewed in certbot's last run, by their names."""
    last = log.rpartition(_BEGIN)[2]
    found = {new or old: (reason or former).strip() for new, reason, old, former in _FAILED.findall(last)}
    broken = {name: BROKEN + reason.strip().replace(". Skipping.", "") for name, reason in _BROKEN.findall(last)}
    return {**found, **broken}
