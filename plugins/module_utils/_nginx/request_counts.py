# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count the requests in lines of nginx's access log in JSON. Pure. Private to flaskops.stack."""

from __future__ import annotations

import json
import typing as t

from .._input.values import read_whole
from .._system.exposition import Family

# Upper bounds in milliseconds.
BUCKETS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000)
# What nginx logs without sending it, beside what has a name. An application may answer with any number.
_CODES = frozenset(
    (
        *(100, 101, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308),
        *range(400, 419),
        *(421, 422, 423, 424, 425, 426, 428, 429, 431, 444, 451, 494, 495, 496, 497, 499),
        *(500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511),
    )
)
OTHER = "other"

# Application and release.
Key = t.Tuple[str, str]


class Counts:
    """The requests to a release of an application. Times are in whole milliseconds, as nginx logs them."""

    def __init__(self, data: t.Mapping[str, t.Any] | None = None) -> None:
        """Begin with nothing, or with what was counted before."""
        known = data or {}
        self.codes: dict[str, int] = {str(code): int(number) for code, number in known.get("codes", {}).items()}
        buckets = [int(number) for number in known.get("buckets", [])]
        # Those of a version with other bounds cannot be gone on with.
        fitting = len(buckets) == len(BUCKETS) + 1
        self.buckets = buckets if fitting else [0] * (len(BUCKETS) + 1)
        self.time = int(known.get("time", 0)) if fitting else 0
        self.upstream_time = int(known.get("upstream_time", 0))
        self.upstream = int(known.get("upstream", 0))
        self.sent = int(known.get("sent", 0))

    def to_json(self) -> dict[str, t.Any]:
        """Return what the constructor takes."""
        return dict(vars(self))

    def add(self, line: t.Mapping[str, t.Any]) -> None:
        """Count a request."""
        code = read_whole(line.get("status"))
        name = str(code) if code in _CODES else OTHER
        self.codes[name] = self.codes.get(name, 0) + 1
        time = _milliseconds(line.get("request_time"))
        self.time += time
        self.buckets[next((place for place, bound in enumerate(BUCKETS) if time <= bound), len(BUCKETS))] += 1
        waited = str(line.get("upstream_time") or "")
        if waited.strip("-, :"):
            self.upstream += 1
            # One for each server that was asked.
            self.upstream_time += sum(_milliseconds(part) for part in waited.replace(":", ",").split(","))
        self.sent += max(0, read_whole(line.get("bytes_sent")) or 0)

    def merge(self, other: Counts) -> None:
        """Add what was counted elsewhere."""
        for code, number in other.codes.items():
            self.codes[code] = self.codes.get(code, 0) + number
        self.buckets = [ours + theirs for ours, theirs in zip(self.buckets, other.buckets)]
        self.time += other.time
        self.upstream_time += other.upstream_time
        self.upstream += other.upstream
        self.sent += other.sent


def _milliseconds(value: object) -> int:
    try:
        return max(0, round(float(str(value)) * 1000))
    except (ValueError, OverflowError):
        return 0


def parse_line(line: bytes) -> dict[str, t.Any] | None:
    """Return a line of the log; None for one that is none, such as one in another format."""
    if not line.startswith(b"{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and "status" in found and "request_time" in found else None


def families(counted: t.Mapping[Key, Counts]) -> list[Family]:
    """Return the metrics of the requests."""
    requests = Family("flaskops_http_requests_total", "counter", "Requests that nginx has answered, by status.")
    duration = Family(
        "flaskops_http_request_duration_seconds",
        "histogram",
        "Time from the first byte of a request to the last of its answer.",
    )
    upstream = Family(
        "flaskops_http_upstream_duration_seconds",
        "summary",
        "Time that the application took for requests that it was asked.",
    )
    sent = Family("flaskops_http_sent_bytes_total", "counter", "Bytes sent to visitors.")
    for (application, release), counts in sorted(counted.items()):
        labels = {"application": application, "release": release}
        for code, number in sorted(counts.codes.items()):
            requests.add(number, **labels, code=code)
        total = 0
        for bound, number in zip(BUCKETS, counts.buckets):
            total += number
            duration.add(total, "_bucket", **labels, le=f"{bound / 1000:g}")
        total += counts.buckets[-1]
        duration.add(total, "_bucket", **labels, le="+Inf")
        duration.add(counts.time / 1000, "_sum", **labels)
        duration.add(total, "_count", **labels)
        upstream.add(counts.upstream_time / 1000, "_sum", **labels)
        upstream.add(counts.upstream, "_count", **labels)
        sent.add(counts.sent, **labels)
    return [requests, duration, upstream, sent]
