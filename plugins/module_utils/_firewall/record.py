# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of our firewall is on a host. Private to flaskops.stack."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass

from .._system.files import read_file, remove_file, write_file
from .._system.paths import FIREWALL_STATE
from .openings import Opening

NONE, NFTABLES, UFW = "none", "nftables", "ufw"


@dataclass(frozen=True)
class Record:
    """What the last change that was confirmed has left."""

    backend: str = NONE
    openings: t.Tuple[Opening, ...] = ()
    # As nft has listed our table: another listing is another table.
    listing: str = ""
    # Whether ufw was inactive before, and its default for incoming connections then, where we have changed that.
    enabled_ufw: bool = False
    ufw_default: str = ""

    def to_json(self) -> dict[str, t.Any]:
        """Return what C(from_json) reads."""
        return {**vars(self), "openings": [opening.to_json() for opening in self.openings]}

    @classmethod
    def from_json(cls, values: t.Mapping[str, t.Any]) -> Record:
        """Return what C(to_json) has made a dictionary of."""
        return cls(**{**values, "openings": tuple(Opening.from_json(each) for each in values["openings"])})


def read_record() -> Record:
    """Return the record of this host; one that cannot be read is as good as none."""
    try:
        return Record.from_json(json.loads(read_file(FIREWALL_STATE) or b""))
    except (ValueError, KeyError, TypeError):
        return Record()


def write_record(record: Record) -> None:
    """Keep a record; of nothing there is none."""
    os.makedirs(os.path.dirname(FIREWALL_STATE), mode=0o755, exist_ok=True)
    if record.backend == NONE:
        remove_file(FIREWALL_STATE)
    else:
        write_file(FIREWALL_STATE, (json.dumps(record.to_json(), sort_keys=True) + "\n").encode(), 0o600)
